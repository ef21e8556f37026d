"""Deliberate bugs of global tables that agents write to; see `tests.simulation.bugs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from pipeline.record import TopicPartition
from pipeline.runtime.global_state import GlobalState
from pipeline.runtime.global_writes import WrittenTable
from tests.simulation.bugs import Bug


def going_on_before_it_is_read(patch: pytest.MonkeyPatch) -> None:
    """Take over a task without what its last owner wrote."""
    patch.setattr(GlobalState, "behind", lambda _self: False)


def forgotten_before_it_is_read(patch: pytest.MonkeyPatch) -> None:
    """Forget what was written when it is committed."""

    def forget(self: WrittenTable, _number: int) -> dict[TopicPartition, list[bytes]]:
        self._written.clear()
        return {}

    patch.setattr(WrittenTable, "hold", forget)


REGISTER_BUGS: Final[Mapping[str, Bug]] = {
    "going on before it is read": Bug("exactly_once", going_on_before_it_is_read, "register"),
    "forgotten before it is read": Bug("exactly_once", forgotten_before_it_is_read, "register"),
}
