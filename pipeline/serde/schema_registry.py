"""Confluent's Schema Registry, or whatever speaks its protocol."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pipeline.errors import ConfigError, RegistryRefusedError, RegistryUnreachableError
from pipeline.serde.registry import REQUEST_S, Registered

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryError

T = TypeVar("T")

#: Whoever asked waits for it, and tries again later, with pauses: the client need not.
_DEFAULTS: Final[Mapping[str, Any]] = {"timeout": REQUEST_S, "max.retries": 0}
#: What passes by itself, as server errors do.
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class _NotFoundError(RegistryRefusedError):
    """The registry does not have what was asked for."""


class SchemaRegistry:
    """Confluent's Schema Registry. Needs the packages of `headrace[registry]`.

    Args:
        url: `http://host:port`, several separated by commas.
        settings: further settings of `confluent_kafka.schema_registry.SchemaRegistryClient`, such as
            `basic.auth.user.info` and `ssl.ca.location`. A request takes at most `timeout` (seconds, 5
            unless told) for each URL.

    Raises:
        ConfigError: a setting is wrong, or the packages are missing.
    """

    def __init__(self, url: str, settings: Mapping[str, Any] | None = None) -> None:
        self.address = f"the schema registry at {', '.join(map(_without_user, url.split(',')))}"
        try:
            # Packages of an extra; and a quarter of a second, which only those pay who have a registry.
            self._library = importlib.import_module("confluent_kafka.schema_registry")
            self._errors = importlib.import_module("confluent_kafka.schema_registry.error")
            self._http_error: type[Exception] = importlib.import_module("httpx2").HTTPError
        except ImportError as error:
            raise ConfigError(
                f"{self.address} needs the package {error.name}: install headrace[registry]"
            ) from error
        try:
            self._client = self._library.SchemaRegistryClient({**_DEFAULTS, **(settings or {}), "url": url})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.address}: {error}") from error

    def id_of(self, subject: str, schema: str, *, register: bool) -> int:
        """Return a schema's number; see `Registry.id_of`. The registry judges compatibility."""
        what, given = f"the schema of subject {subject!r}", self._library.Schema(schema, "AVRO")
        if register:
            schema_id: int = self._ask(what, lambda: self._client.register_schema(subject, given))
            return schema_id
        try:
            found = self._ask(what, lambda: self._client.lookup_schema(subject, given))
        except _NotFoundError as error:
            raise RegistryRefusedError(
                f"{self.address} does not know {what}: register it, or leave auto_register_schemas=False out"
            ) from error
        return int(found.schema_id)

    def schema(self, schema_id: int) -> Registered | None:
        """Return the schema that has this number, with what it refers to.

        Raises:
            ValueError: it is no Avro schema.
        """
        try:
            found: Schema = self._ask(f"schema id {schema_id}", lambda: self._client.get_schema(schema_id))
        except _NotFoundError:
            return None
        if found.schema_type not in {None, "AVRO"}:
            raise ValueError(f"schema id {schema_id} of {self.address} is {found.schema_type}, not Avro")
        return Registered(found.schema_str or "", tuple(dict.fromkeys(self._references(found))))

    def _references(self, schema: Schema) -> Iterator[str]:
        for reference in schema.references or ():
            subject, version = reference.subject, reference.version
            found = self._version(subject, version).schema
            yield from self._references(found)
            yield found.schema_str

    def _version(self, subject: str | None, version: int | None) -> Any:
        what = f"version {version} of subject {subject!r}"
        return self._ask(what, lambda: self._client.get_version(subject, version))

    def _ask(self, what: str, request: Callable[[], T]) -> T:
        try:
            return request()
        except (self._http_error, self._errors.OAuthTokenError) as error:
            raise self._unreachable(what, f"{type(error).__name__}: {error}") from error
        except self._library.SchemaRegistryError as error:
            raise self._refused(what, error) from error

    def _refused(
        self, what: str, error: SchemaRegistryError
    ) -> RegistryUnreachableError | RegistryRefusedError:
        status = error.http_status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
            return self._unreachable(what, str(error))
        if status == HTTPStatus.NOT_FOUND:
            return _NotFoundError(f"{self.address} does not know {what}: {error}")
        advice = ""
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            advice = "; tell SchemaRegistry(url, settings) who the application is, or allow it to"
        elif status == HTTPStatus.CONFLICT:
            advice = "; earlier versions are not compatible with it: give fields that are new a default"
        return RegistryRefusedError(f"{self.address} refused {what}: {error}{advice}")

    def _unreachable(self, what: str, why: str) -> RegistryUnreachableError:
        return RegistryUnreachableError(f"{self.address} did not answer for {what}: {why}")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _without_user(url: str) -> str:
    """Return a URL without name and password, for messages."""
    parts = urlsplit(url.strip())
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
