"""Rights as a table to read, and as commands of Kafka's own tool."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from pipeline.plan.acl import Resource, Right, Rights

#: By resource: the option of kafka-acls.sh that names it.
_OPTIONS: Final[dict[Resource, str]] = {
    "Topic": "--topic",
    "Group": "--group",
    "TransactionalId": "--transactional-id",
    "Cluster": "--cluster",
}


def to_table(rights: Rights, principal: str) -> str:
    """Return rights as a table, one resource a line, with what they are for."""
    rows = [("resource", "name", "pattern", "operations", "for")]
    for first, group in _by_resource(rights):
        operations = ", ".join(right.operation + ("" if right.without is None else "*") for right in group)
        reasons = "; ".join(dict.fromkeys(right.reason for right in group))
        pattern = "prefixed" if first.prefixed else "literal"
        rows.append((first.resource, first.name, pattern, operations, reasons))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[-1] = 0
    lines = [f"Rights of {principal}", ""]
    lines += ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    optional = _optional(rights)
    lines += ["", f"* {optional}."] if optional else []
    lines += [line for note in rights.notes for line in ("", f"Note: {note}.")]
    return "\n".join(lines) + "\n"


def to_commands(rights: Rights, principal: str, address: str) -> str:
    """Return the `kafka-acls.sh` commands that grant rights, one a resource; notes are comments.

    Args:
        rights: what is to be granted.
        principal: whom to, such as `User:shop`.
        address: bootstrap servers.
    """
    lines = ["# Who grants rights must be known to the broker: add --command-config <file> to each."]
    optional = _optional(rights)
    lines += [f"# {optional}."] if optional else []
    lines += [f"# {note}." for note in rights.notes]
    for first, group in _by_resource(rights):
        command = ["kafka-acls.sh", "--bootstrap-server", address, "--add", "--allow-principal", principal]
        for right in group:
            command += ["--operation", right.operation]
        command += [_OPTIONS[first.resource], *([] if first.resource == "Cluster" else [first.name])]
        command += ["--resource-pattern-type", "prefixed"] if first.prefixed else []
        lines.append(shlex.join(command))
    return "\n".join(lines) + "\n"


def _optional(rights: Rights) -> str:
    """Say what becomes of a worker without the rights that it can run without; nothing if there are none."""
    said = {right.operation: right.without for right in rights.rights if right.without is not None}
    return "; ".join(f"without {operation} a worker runs, but {what}" for operation, what in said.items())


def _by_resource(rights: Rights) -> Iterator[tuple[Right, list[Right]]]:
    """Yield the rights on each resource, and the first of them."""
    for _, group in groupby(rights.rights, lambda right: (right.resource, right.name, right.prefixed)):
        of_one = list(group)
        yield of_one[0], of_one
