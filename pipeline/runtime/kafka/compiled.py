"""The compiled part, in folder `native`: it is built when the package is installed, if there is a C compiler.

It reads and writes records with the same clients of librdkafka as the Python client does, which takes longer:
an object of each record that was consumed, the interpreter's lock for each that was delivered.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, Final

import confluent_kafka

from pipeline.runtime.kafka.settings import Settings

#: Set to anything but nothing, no compiled part is used.
WITHOUT: Final = "HEADRACE_NO_EXTENSIONS"

_PLUGINS: Final = "plugin.library.paths"


def _compiled() -> ModuleType | None:
    """Return the compiled part; None where it was not built, or the client keeps librdkafka to itself."""
    if os.environ.get(WITHOUT):
        return None
    try:
        from pipeline.runtime.kafka import _native  # noqa: PLC0415 - it may not be there

        _native.link(confluent_kafka.cimpl.__file__)
    except ImportError:
        return None
    return _native


#: Of `_native.pyi`, if it is there.
native: Final[Any] = _compiled()
#: Whether the compiled part is there.
COMPILED: Final = native is not None


def with_plugin(settings: Settings) -> Settings:
    """Return the settings of a client whose handle the compiled part is to know."""
    plugins = filter(None, (settings.get(_PLUGINS), native.__file__))
    return {**settings, _PLUGINS: ";".join(map(str, plugins))}
