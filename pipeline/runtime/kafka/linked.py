"""The compiled part, linked to the Python client's librdkafka.

It reads and writes records with the same clients as the Python client does, which takes longer: an object of
each record that was consumed, the interpreter's lock for each that was delivered.
"""

from __future__ import annotations

from typing import Final

import confluent_kafka

from pipeline.compiled import native
from pipeline.runtime.kafka.settings import Settings

_PLUGINS: Final = "plugin.library.paths"


def _is_linked() -> bool:
    """Link it; return False where it was not built, or the client keeps librdkafka to itself."""
    if native is None:
        return False
    try:
        native.link(confluent_kafka.cimpl.__file__)
    except ImportError:
        return False
    return True


#: Whether it is there, and linked.
COMPILED: Final = _is_linked()


def with_plugin(settings: Settings) -> Settings:
    """Return the settings of a client whose handle the compiled part is to know."""
    plugins = filter(None, (settings.get(_PLUGINS), native.__file__))
    return {**settings, _PLUGINS: ";".join(map(str, plugins))}
