"""What a user writes: `value=avro("schemas/order.avsc")`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, overload

from pipeline.serde.base import Serde
from pipeline.serde.local_registry import LocalRegistry
from pipeline.serde.registry import Registry, SubjectNameStrategy, check_strategy
from pipeline.serde.schema_registry import SchemaRegistry

T = TypeVar("T")

#: A schema as a user gives it: JSON, as text or as what it stands for; or a path, ending in `.avsc`.
SchemaLike: TypeAlias = str | Path | Mapping[str, Any] | list[Any]

#: Where the schema registry is, unless a serde is told.
REGISTRY_VARIABLE: Final = "SCHEMA_REGISTRY_URL"
#: So many registries that nobody was told of are shared.
_SHARED: Final = 100


@overload
def avro(
    schema: SchemaLike,
    *,
    registry: Registry | str | None = ...,
    subject_name_strategy: SubjectNameStrategy = ...,
    auto_register_schemas: bool = ...,
) -> Serde[Any]: ...


@overload
def avro(
    schema: SchemaLike,
    *,
    type: type[T],
    registry: Registry | str | None = ...,
    subject_name_strategy: SubjectNameStrategy = ...,
    auto_register_schemas: bool = ...,
) -> Serde[T]: ...


def avro(
    schema: SchemaLike,
    *,
    type: Any = None,  # noqa: A002 - what it is
    registry: Registry | str | None = None,
    subject_name_strategy: SubjectNameStrategy = "topic-name",
    auto_register_schemas: bool = True,
) -> Serde[Any]:
    """Return a serde for Avro on Confluent's wire format: `app.stream("orders", value=avro("order.avsc"))`.

    A record is read with the schema that it was written with, as this one wants it: fields that it lacks have
    their defaults, those that it does not want are left out, types are promoted, aliases are followed.
    Records and maps are dictionaries, arrays lists, logical types what they stand for, as fastavro has them.

    Args:
        schema: a path that ends in `.avsc`; JSON, as text or as the dictionary that it stands for; or a
            primitive type's name.
        type: of the values, for a record: a msgspec Struct, a dataclass, a TypedDict, with its fields.
        registry: knows schemas by their ids: a `SchemaRegistry`, or its URL; a `LocalRegistry`. Unless told
            it is the one that the environment variable SCHEMA_REGISTRY_URL names; else a local one, of the
            folder that `schema` is in.
        subject_name_strategy: what the schema's subject is named after: `topic-name`, `record-name` or
            `topic-record-name`.
        auto_register_schemas: whether the schema is registered, where the worker starts, if it is not.

    Raises:
        TopologyError: it is no Avro schema, or the type does not fit.
        ConfigError: the registry cannot be used as it is given.
    """
    # A twentieth of a second, which only those pay who have Avro.
    from pipeline.serde.avro.schema import read_schema  # noqa: PLC0415
    from pipeline.serde.avro.serde import AvroSerde  # noqa: PLC0415
    from pipeline.serde.avro.values import check_type  # noqa: PLC0415

    check_strategy(subject_name_strategy)
    read, path = read_schema(schema)
    if type is not None:
        check_type(type, read)
    chosen = _registry(registry, None if path is None else path.parent)
    return AvroSerde(read, type, chosen, subject_name_strategy, register=auto_register_schemas)


def _registry(given: Registry | str | None, folder: Path | None) -> Registry:
    if given is None:
        given = os.environ.get(REGISTRY_VARIABLE)
    if given:
        return _shared_registry(given) if isinstance(given, str) else given
    return _shared_local_registry(folder)


@lru_cache(_SHARED)
def _shared_registry(url: str) -> Registry:
    return SchemaRegistry(url)


@lru_cache(_SHARED)
def _shared_local_registry(folder: Path | None) -> Registry:
    return LocalRegistry(folder)
