"""What an agent asks of its stream before its first event: `stream.group_by(...)`.

The topology is fixed before anything runs, and such a call is made when the agent runs. So the
function of an agent whose code says `group_by` is run once where it is declared, with a stream that
takes note, and ends it where it would take its first event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import unwrap
from typing import Any, Never

from pipeline.actors.models import table_key_serde_of
from pipeline.errors import TopologyError
from pipeline.serde import Serde
from pipeline.topology import describe_function


@dataclass(frozen=True, slots=True)
class Regroup:
    """A repartition that an agent's code asks for.

    Attributes:
        name: names the topic, with the agent's name.
        read: returns the new key of a value.
        key: serde of the new key.
    """

    name: str
    read: Callable[[Any], Any]
    key: Serde[Any]


class _FirstEventError(BaseException):
    """Ends the function: nothing that it does later concerns the topology."""


class NotingStream:
    """Stands for an agent's stream while nothing runs."""

    def __init__(self, agent: str) -> None:
        self.regroups: list[Regroup] = []
        self._agent = agent

    def group_by(self, key: Any, *, name: str | None = None, topic: object = None) -> NotingStream:
        """Take note of a repartition; see `AgentStream.group_by`."""
        del topic
        field = getattr(key, "field", None)
        getter: Callable[[Any], Any] | None = getattr(key, "getattr", None)
        name = name or field
        if name is None:
            raise TopologyError(
                f"agent {self._agent!r}: group_by with a function needs name=: it names a topic"
            )
        read: Any = getter if getter is not None else key
        if not callable(read):
            raise TopologyError(f"agent {self._agent!r}: group_by takes a model's field or a function")
        type_ = getattr(key, "type", None)
        self.regroups.append(Regroup(name, read, table_key_serde_of(type_)))
        return self

    def __getattr__(self, _name: str) -> Callable[..., NotingStream]:
        return lambda *_args, **_kwargs: self

    def __aiter__(self) -> Never:
        raise _FirstEventError


def regroups_of(function: Callable[[Any], Any], agent: str) -> tuple[Regroup, ...]:
    """Return the repartitions that an agent's function asks for.

    Raises:
        TopologyError: it cannot be seen: the function awaits something, or raises, before it takes its
            first event.
    """
    code = getattr(unwrap(function), "__code__", None)
    if code is None or "group_by" not in code.co_names:
        return ()
    stream = NotingStream(agent)
    running = function(stream)
    step = running if hasattr(running, "send") else running.__anext__()
    try:
        step.send(None)
    except _FirstEventError:
        return tuple(stream.regroups)
    except Exception as error:
        raise TopologyError(
            f"agent {agent!r}: {describe_function(function)} is run once, up to its first event, to see how "
            f"it groups its stream, and raised {type(error).__name__}: {error}"
        ) from error
    finally:
        if hasattr(running, "close"):
            running.close()
    raise TopologyError(
        f"agent {agent!r}: {describe_function(function)} awaits something before it says how its stream is "
        "grouped: group it first, or give the agent a stream that is: app.stream(...).group_by..."
    )
