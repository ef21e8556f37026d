"""Tables that are whole on every worker, and written by agents: `app.GlobalTable`, `app.SetGlobalTable`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pipeline.actors.declarations import Declarations
from pipeline.actors.set_table import SetTable
from pipeline.actors.table import Table
from pipeline.errors import TopologyError


class GlobalTable(Table[Any, Any]):
    """A dictionary that every worker holds whole, for agents to read and write. Made by `app.GlobalTable`.

    What an agent puts is written to the table's topic when its event is committed, under the event's time;
    with exactly-once in the same transaction. The agents of its worker see it at once, other workers when
    they have read it from there. So any agent may put any key, and of two that put one key the last one
    wins, in the order of the topic, whatever it was made of: `table[key] += 1` counts right where one
    partition's events alone change the key; else two workers may add to the same number.

    Before an agent takes its first event, its worker knows all that was committed by then.

    With at-least-once, a worker that crashes between writing and committing does both again: a count may
    be too high then, as no position of the topic belongs to an offset. Exactly-once has no such case.
    """

    is_global: ClassVar[bool] = True
    windowless: ClassVar[str | None] = (
        "a global table has no windows, as workers do not agree when one is over: use app.Table with "
        "windows, or put a window's start in the key, and delete it"
    )


class SetGlobalTable(SetTable, GlobalTable):
    """A global table whose values are sets; see `SetTable`. Made by `app.SetGlobalTable`."""


class GlobalTables(Declarations):
    """Part of `App`."""

    def GlobalTable(  # noqa: N802 - Faust's name for it
        self,
        name: str,
        *,
        default: Callable[[], Any] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        partitions: int = 1,
        on_recover: Callable[[], Any] | None = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> GlobalTable:
        """Declare a table that every worker holds whole, and that agents write; see `GlobalTable`.

        Args:
            name: names the store, its topic `<application>-<name>-changelog`, and its HTTP view.
            default: makes the value of a key that is not there; None: such a key is a KeyError.
            key_type: of the keys; None: any JSON type.
            value_type: of the values; None: any JSON.
            partitions: of the topic: changes are in one order for each partition.
            on_recover: as of a `Table`.
            help: what it is for, as `faust tables` shows it.

        Raises:
            TopologyError: its name or a type cannot be used.
        """
        table = GlobalTable(
            self,
            name,
            default=default,
            key_type=key_type,
            value_type=value_type,
            on_recover=on_recover,
            help=help,
        )
        self._declare_global(table, partitions)
        return table

    def SetGlobalTable(  # noqa: N802 - Faust's name for it
        self,
        name: str,
        *,
        key_type: Any = None,
        value_type: Any = None,
        partitions: int = 1,
        on_recover: Callable[[], Any] | None = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> SetGlobalTable:
        """Declare a global table of sets; see `SetTable` and `GlobalTable`."""
        table = SetGlobalTable(
            self, name, key_type=key_type, value_type=value_type, on_recover=on_recover, help=help
        )
        self._declare_global(table, partitions)
        return table

    def _declare_global(self, table: Table[Any, Any], partitions: int) -> None:
        if partitions < 1:
            raise TopologyError(
                f"table {table.name!r} at {table.site}: partitions is {partitions}: at least 1"
            )
        self._declare_table(table)
        self.builder.written_table(table.spec, partitions)
