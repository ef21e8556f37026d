"""Whether records written with one Avro schema can be read with another: the `avro` package judges."""

from __future__ import annotations


def incompatibility(reader: str, writer: str) -> str | None:
    """Return why records written with one schema cannot be read with another; None if they can.

    Args:
        reader: schema to read with, JSON.
        writer: schema that the records were written with, JSON.

    Returns:
        The rules that are broken, where in the schema, and by what.

    >>> incompatibility('"string"', '"long"')
    'type mismatch at / (reader type: string not compatible with writer type: long)'
    >>> incompatibility('"double"', '"long"')
    """
    # It is asked when something is new, or wrong, and not before.
    from avro.compatibility import (  # noqa: PLC0415
        ReaderWriterCompatibilityChecker,
        SchemaCompatibilityType,
    )
    from avro.errors import AvroException  # noqa: PLC0415
    from avro.schema import parse  # noqa: PLC0415

    try:
        found = ReaderWriterCompatibilityChecker().get_compatibility(  # type: ignore[no-untyped-call]
            parse(reader), parse(writer)
        )
    except AvroException as error:
        return str(error)
    if found.compatibility is SchemaCompatibilityType.compatible:
        return None
    rules = dict.fromkeys(rule.value.replace("_", " ").lower() for rule in found.incompatibilities)
    return f"{', '.join(rules)} at {', '.join(sorted(found.locations))} ({'; '.join(sorted(found.messages))})"
