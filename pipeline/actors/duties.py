"""What Faust runs beside the engine: when timers, tasks and services start, who leads, what ends with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from pipeline.actors.global_tables import GlobalTables

if TYPE_CHECKING:
    from pipeline.engine import Engine

#: How often it is asked whether the worker runs.
_INTERVAL_S: Final = 0.05


class Duties(GlobalTables):
    """Part of `App`: before Faust's class, whose hooks these are."""

    if TYPE_CHECKING:
        should_stop: bool
        _app_tasks: list[Any]
        _extra_services: list[Any]
        #: The HTTP server.
        web: Any
        #: A client for HTTP; Faust's.
        http_client: Any

        @property
        def engine(self) -> Engine:
            """The service that runs the topology."""

        def add_future(self, coroutine: Any) -> Any:
            """Run a coroutine until the application stops; Faust's."""

        async def sleep(self, n: float) -> None:
            """Sleep, or wake because the application stops; Faust's."""

    #: Whether something is declared that one worker alone is to run.
    leads = False
    #: Whether commands are declared.
    _commands = False

    @property
    def has_duties(self) -> bool:
        """Whether anything is declared that reads no topic: a task, a service, a view, a command."""
        return bool(self._app_tasks or self._extra_services or self._commands or self.web.extended)

    def is_leader(self) -> bool:
        """Whether this worker runs what is declared with `on_leader=True`.

        It is the one that has the application's first task (partition 0 of the first sub-topology): one at a
        time, none while that moves. An application that reads no topic has one for this if it declares
        something `on_leader`, and none leads otherwise.
        """
        return self.engine.status().leads

    def timer(self, interval: Any, on_leader: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - Faust's
        """Run a coroutine every so often: a decorator; Faust's."""
        self.leads |= on_leader
        return super().timer(interval, on_leader, **options)  # type: ignore[misc]

    def crontab(self, cron_format: str, *, on_leader: bool = False, **options: Any) -> Any:
        """Run a coroutine when a cron expression says so: a decorator; Faust's."""
        self.leads |= on_leader
        return super().crontab(cron_format, on_leader=on_leader, **options)  # type: ignore[misc]

    def task(self, fun: Any = None, *, on_leader: bool = False, **options: Any) -> Any:
        """Run a coroutine once, when the worker runs: a decorator; Faust's."""
        self.leads |= on_leader
        return super().task(fun, on_leader=on_leader, **options)  # type: ignore[misc]

    def command(self, *options: Any, **given: Any) -> Any:
        """Declare a coroutine as a command of the `faust` program: a decorator; Faust's."""
        self._commands = True
        return super().command(*options, **given)  # type: ignore[misc]

    def background(self, function: Callable[[], Awaitable[None]]) -> None:
        """Have a coroutine run beside the engine, once that runs; if it raises, the worker stops."""
        self._app_tasks.append(function)

    async def on_started_init_extra_tasks(self) -> None:
        """Have timers and tasks started once the worker runs, tables being restored."""
        self.add_future(self._begin_when_running())

    async def on_started_init_extra_services(self) -> None:
        """Leave services to the same moment."""

    async def _begin_when_running(self) -> None:
        while self.engine.status().state != "running":
            await self.sleep(_INTERVAL_S)
            if self.should_stop:
                return
        await super().on_started_init_extra_tasks()  # type: ignore[misc]  # Faust's
        await super().on_started_init_extra_services()  # type: ignore[misc]

    async def on_shutdown(self) -> None:
        """Close what was written with, when all that could write has ended."""
        await super().on_shutdown()  # type: ignore[misc]
        self.close_clients()
