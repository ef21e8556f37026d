"""A schema registry without a server: schemas in memory, and in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from pipeline.errors import RegistryRefusedError, TopologyError
from pipeline.serde.compatibility import incompatibility
from pipeline.serde.registry import Registered

#: Ids are signed 32-bit integers in Java.
_ID_BITS: Final = 31
#: What says nothing about the bytes that are written.
_PROSE: Final = ("doc",)


class LocalRegistry:
    """Gives each schema a number that is made of the schema itself, so that all workers agree on it.

    For tests, and for applications whose topics nobody else reads or writes: another registry gives other
    numbers. It keeps no record of what was written: schemas that records in topics or stores were written
    with, and that the application no longer uses, are files in its folder.

    Args:
        folder: where `*.avsc` files are, each with a schema; None: there are none.

    Raises:
        TopologyError: there is no such folder, or a file in it is no JSON.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.address = "the local registry" if folder is None else f"the local registry of {folder}"
        self._schemas: dict[int, str] = {}
        #: By full name, the schemas in the folder; by subject, those that were registered.
        self._filed: dict[str, list[int]] = {}
        self._registered: dict[str, list[int]] = {}
        if folder is not None:
            if not Path(folder).is_dir():
                raise TopologyError(f"LocalRegistry({str(folder)!r}): there is no such folder")
            for file in sorted(Path(folder).glob("*.avsc")):
                schema = _read(file)
                self._filed.setdefault(_name_of(schema), []).append(self._add(schema))

    def id_of(self, subject: str, schema: str, *, register: bool) -> int:
        """Return a schema's number; see `Registry.id_of`.

        It must be able to read what those in the folder of the same full name wrote, and those of the same
        subject.
        """
        schema_id = _id_of(schema)
        registered = self._registered.setdefault(subject, [])
        if schema_id in registered:
            return schema_id
        if schema_id not in self._schemas and not register:
            raise RegistryRefusedError(
                f"{self.address} does not know the schema of subject {subject!r}: put it there, or leave "
                "auto_register_schemas=False out"
            )
        for known in (*self._filed.get(_name_of(schema), ()), *registered):
            if known != schema_id and (reason := incompatibility(schema, self._schemas[known])):
                raise RegistryRefusedError(
                    f"the schema of subject {subject!r} cannot read what schema id {known} of {self.address} "
                    f"wrote: {reason}; give fields that are new a default, or the record another name"
                )
        registered.append(self._add(schema))
        return schema_id

    def schema(self, schema_id: int) -> Registered | None:
        """Return the schema that has this number, if it is known."""
        schema = self._schemas.get(schema_id)
        return None if schema is None else Registered(schema)

    def _add(self, schema: str) -> int:
        schema_id = _id_of(schema)
        self._schemas[schema_id] = schema
        return schema_id


def _read(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    try:
        json.loads(text)
    except ValueError as error:
        raise TopologyError(f"{file} is no Avro schema: {error}") from error
    return text


def _id_of(schema: str) -> int:
    """Return a number that only a schema that means the same has."""
    canonical = json.dumps(_without_prose(json.loads(schema)), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return int.from_bytes(digest[:4]) & ((1 << _ID_BITS) - 1)


def _without_prose(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_prose(part) for name, part in schema.items() if name not in _PROSE}
    return [_without_prose(part) for part in schema] if isinstance(schema, list) else schema


def _name_of(schema: str) -> str:
    parsed = json.loads(schema)
    name = parsed.get("name", "") if isinstance(parsed, dict) else ""
    if name and "." not in name and parsed.get("namespace"):
        return f"{parsed['namespace']}.{name}"
    return str(name)
