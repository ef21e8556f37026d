"""Reading Avro: by the schema that a record was written with, as another schema wants it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from threading import Lock
from typing import Any, Final

from fastavro import _read_py, schemaless_reader
from fastavro.read import SchemaResolutionError

from pipeline.clock import Clock, SystemClock
from pipeline.errors import RegistryUnreachableError, RewindError
from pipeline.serde.avro.schema import AvroSchema
from pipeline.serde.compatibility import incompatibility
from pipeline.serde.registry import MAX_SCHEMAS, UNKNOWN_MS, Registry

#: A zero byte, the id of the writer's schema.
HEAD: Final = struct.Struct(">bI")


class Writer:
    """How what one schema has written is read.

    Args:
        schema_id: the id.
        schema: what it was written with.
        wanted: what it is to be read as.
    """

    def __init__(self, schema_id: int, schema: AvroSchema, wanted: AvroSchema) -> None:
        self._id, self._schema, self._wanted = schema_id, schema, wanted
        self._wanted_parsed = None if schema.parsed == wanted.parsed else wanted.parsed
        # The compiled reader overflows the C stack where a value contains itself a hundred thousand times,
        # which takes as many bytes; the one in Python raises a RecursionError.
        self._read = _read_py.schemaless_reader if schema.recursive else schemaless_reader

    def read(self, data: bytes) -> Any:
        """Return the value of a record, head included, which has to be all that there is.

        Raises:
            ValueError: it is not what the schema says.
        """
        body = BytesIO(data)
        body.seek(HEAD.size)
        try:
            value = self._read(body, self._schema.parsed, self._wanted_parsed)
        except SchemaResolutionError as error:
            why = incompatibility(self._wanted.text, self._schema.text) or error
            raise ValueError(
                f"schema id {self._id} wrote what {self._wanted.name} cannot read: {why}"
            ) from error
        except Exception as error:
            raise ValueError(
                f"not what schema id {self._id} says: {type(error).__name__}{f': {error}' * bool(str(error))}"
            ) from error
        if body.read(1):
            raise ValueError(f"bytes follow after what schema id {self._id} says")
        return value


class Readers:
    """What reads records, by the five bytes that they begin with: one for each writer's schema that was met.

    Args:
        registry: asked once for each.
        wanted: what is to be read.
        clock: the wall clock.
    """

    def __init__(self, registry: Registry, wanted: AvroSchema, clock: Clock | None = None) -> None:
        self._registry, self._wanted, self._clock = registry, wanted, clock or SystemClock()
        self.known: dict[bytes, Callable[[bytes], Any]] = {}
        self._unknown: dict[int, int] = {}
        #: Asked for when the registry did not answer.
        self._owed: int | None = None
        self._lock = Lock()

    def find(self, head: bytes) -> Callable[[bytes], Any]:
        """Return how a record is read that begins with these bytes, by asking the registry.

        Raises:
            ValueError: they are no beginning, or nobody knows the schema, or it cannot be used.
            RewindError: the registry does not answer now.
            RegistryRefusedError: it does not tell.
        """
        if len(head) < HEAD.size or head[0] != 0:
            raise ValueError(
                "it does not begin with a zero byte and the id of a schema, as what is written with a schema "
                "registry does"
            )
        schema_id: int = HEAD.unpack(head)[1]
        with self._lock:
            read = self.known.get(head) or Writer(schema_id, self._ask(schema_id), self._wanted).read
            _keep(self.known, head, read)
        return read

    def settle(self) -> None:
        """Ask again what the registry did not answer the last time.

        Raises:
            BrokerError: it still does not answer.
        """
        if self._owed is not None:
            self._registry.schema(self._owed)
            self._owed = None

    def _ask(self, schema_id: int) -> AvroSchema:
        now = self._clock.now_ms()
        if now >= self._unknown.get(schema_id, now):
            self._owed = schema_id
            try:
                found = self._registry.schema(schema_id)
            except RegistryUnreachableError as error:
                # Whatever is in hand, it cannot be finished without.
                raise RewindError(f"{error}; going back to the last commit") from error
            self._owed = None
            if found is not None:
                return AvroSchema(*found)
            _keep(self._unknown, schema_id, now + UNKNOWN_MS)
        raise ValueError(
            f"{self._registry.address} does not know schema id {schema_id}: the record was written with "
            "another registry, or its schema is deleted there; give avro(registry=) the one that it was "
            "written with"
        )


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > MAX_SCHEMAS:
        del kept[next(iter(kept))]
