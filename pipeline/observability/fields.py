"""A vocabulary: which names mean which role, and how an open event is sorted by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pipeline.observability.errors import InvalidEventError

SERVICE_NAME: Final = "service.name"

#: Name to what OpenTelemetry's semantic conventions call it.
RESOURCE_NAMES: Final[dict[str, str]] = {
    "service": SERVICE_NAME,
    "service_name": SERVICE_NAME,
    "serviceName": SERVICE_NAME,
    "SYSLOG_IDENTIFIER": SERVICE_NAME,
    "host": "host.name",
    "hostname": "host.name",
    "_HOSTNAME": "host.name",
    "node": "k8s.node.name",
    "pod": "k8s.pod.name",
    "container": "k8s.container.name",
    "namespace": "k8s.namespace.name",
    "kubernetes.host": "k8s.node.name",
    "kubernetes.pod_name": "k8s.pod.name",
    "kubernetes.container_name": "k8s.container.name",
    "kubernetes.namespace_name": "k8s.namespace.name",
    **{
        name: name
        for name in (
            SERVICE_NAME,
            "service.version",
            "service.namespace",
            "service.instance.id",
            "deployment.environment.name",
            "host.name",
            "host.id",
            "container.name",
            "container.id",
            "k8s.node.name",
            "k8s.pod.name",
            "k8s.container.name",
            "k8s.namespace.name",
        )
    },
}


class Found(msgspec.Struct, frozen=True):
    """The field that plays a role: its name in the event, and its value, never null."""

    name: str
    value: Any


class Fields(msgspec.Struct, frozen=True):
    """An event, sorted.

    Attributes:
        roles: role to the field that plays it.
        attributes: what no role took, nested as it was.
        resource: what emitted the event, under the names of the semantic conventions.
    """

    roles: dict[str, Found]
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Vocabulary:
    """Names and their roles.

    A nested object such as `{"trace": {"id": ...}}` counts as `trace.id` where that is a name.
    Of several names of one role the first declared counts, the others stay attributes. Nulls are
    no values: a role's field that is null is absent.

    Args:
        roles: role to its names, the most precise first. The roles `attributes` and `resource`
            are objects that are merged into those of the result.
    """

    __slots__ = ("_known", "_prefixes", "_ranks")

    def __init__(self, roles: Mapping[str, tuple[str, ...]]) -> None:
        self._ranks = {name: (role, rank) for role, names in roles.items() for rank, name in enumerate(names)}
        self._prefixes = frozenset(
            name[:end]
            for name in (*self._ranks, *RESOURCE_NAMES)
            for end in range(len(name))
            if name[end] == "."
        )
        self._known = {*self._ranks, *RESOURCE_NAMES, *self._prefixes}

    def sort(self, event: Mapping[str, Any]) -> Fields:
        """Sort an event's fields by role.

        Raises:
            InvalidEventError: the service, `attributes` or `resource` has a wrong type.
        """
        roles: dict[str, Found] = {}
        attributes: dict[str, Any] = {}
        fields = Fields(roles, attributes, {})
        known = self._known
        for name, value in event.items():
            if name in known and self._take(fields, name, value):
                continue
            attributes[name] = value
        if "attributes" in roles:
            _merge(roles.pop("attributes"), attributes)
        if "resource" in roles:
            _merge(roles.pop("resource"), fields.resource)
        service = fields.resource.get(SERVICE_NAME, "")
        if type(service) is not str:
            raise InvalidEventError(f"expected text, got {type(service).__name__}", field=SERVICE_NAME)
        return fields

    def _take(self, fields: Fields, name: str, value: Any) -> bool:
        """Give a field to its role; False where it has none."""
        if type(value) is dict and name in self._prefixes:
            self._take_nested(fields, name, value)
            return True
        rank = self._ranks.get(name)
        if rank is not None:
            if value is not None:
                self._play(fields, rank, Found(name, value))
            return True
        canonical = RESOURCE_NAMES.get(name)
        if canonical is None or canonical in fields.resource:
            return False
        if type(value) is str:
            fields.resource[canonical] = value
            return True
        if canonical == SERVICE_NAME and value is not None:
            raise InvalidEventError(f"expected text, got {type(value).__name__}", field=name)
        return False

    def _take_nested(self, fields: Fields, prefix: str, nested: Mapping[str, Any]) -> None:
        rest = {
            name: value for name, value in nested.items() if not self._take(fields, f"{prefix}.{name}", value)
        }
        if rest:
            _put(fields.attributes, prefix, rest)

    def _play(self, fields: Fields, place: tuple[str, int], field: Found) -> None:
        """Let a field play its role, unless one with a name declared earlier does."""
        role, rank = place
        other = fields.roles.get(role)
        if other is None:
            fields.roles[role] = field
        elif rank < self._ranks[other.name][1]:
            fields.roles[role] = field
            fields.attributes[other.name] = other.value
        else:
            fields.attributes[field.name] = field.value


def _merge(found: Found, into: dict[str, Any]) -> None:
    if type(found.value) is not dict:
        raise InvalidEventError(f"expected an object, got {type(found.value).__name__}", field=found.name)
    for name, value in found.value.items():
        _put(into, name, value)


def _put(into: dict[str, Any], name: str, value: Any) -> None:
    """Set an attribute; another of that name moves to `event.<name>`."""
    if name in into:
        into[f"event.{name}"] = into[name]
    into[name] = value
