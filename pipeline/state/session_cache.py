"""The sessions of a store that are in memory: all of a key's, or none.

Every record of a session asks for its key's sessions: those of a key that was asked for lately are
kept, whole and in order, so that a record costs no scan of the store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from pipeline.state.segment_keys import SESSIONS, Slot
from pipeline.state.slot_cache import KeyedCache
from pipeline.state.store import Entry


class KeySessions:
    """One key's sessions, by end, then start.

    Args:
        sessions: in this order.
    """

    def __init__(self, sessions: Iterable[tuple[Slot, Entry]]) -> None:
        self._slots: list[Slot] = []
        self._entries: list[Entry] = []
        for slot, entry in sessions:
            self._slots.append(slot)
            self._entries.append(entry)

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, slot: Slot) -> Entry | None:
        """Return a session's entry, None if there is none."""
        place = bisect_left(self._slots, slot)
        found = place < len(self._slots) and self._slots[place] == slot
        return self._entries[place] if found else None

    def find(self, earliest_end: int, latest_start: int) -> list[tuple[int, int, Entry]]:
        """Return start, end and entry of sessions with `end >= earliest_end` and `start <= latest_start`."""
        slots, place = self._slots, bisect_left(self._slots, (earliest_end,))
        return [
            (start, end, entry)
            for (end, start), entry in zip(slots[place:], self._entries[place:], strict=True)
            if start <= latest_start
        ]

    def put(self, slot: Slot, entry: Entry) -> int:
        """Keep a session, or forget one whose value is None; return how many more there are."""
        slots = self._slots
        place = bisect_left(slots, slot)
        if place < len(slots) and slots[place] == slot:
            if entry.value is not None:
                self._entries[place] = entry
                return 0
            del slots[place], self._entries[place]
            return -1
        if entry.value is None:
            return 0
        slots.insert(place, slot)
        self._entries.insert(place, entry)
        return 1

    def entries(self) -> Iterable[Entry]:
        """Return the entries of all sessions."""
        return self._entries

    def expire(self, horizon: int) -> int:
        """Forget sessions that end at `horizon` or before; return how many."""
        count = bisect_left(self._slots, (horizon + 1,))
        if count:
            del self._slots[:count], self._entries[:count]
        return count


class SessionCache(KeyedCache):
    """Uncommitted sessions by key, then end and start; and all sessions of keys that were read lately.

    Args:
        bound: number of sessions of such keys that are kept; all are forgotten when it is passed.
    """

    def __init__(self, bound: int) -> None:
        super().__init__(SESSIONS)
        self._bound = bound
        self._known: dict[bytes, KeySessions] = {}
        self._count = 0

    def known(self, key: bytes, horizon: int) -> KeySessions | None:
        """Return all of a key's sessions that end after `horizon`, uncommitted ones included.

        None: they were not read lately.
        """
        sessions = self._known.get(key)
        if sessions is not None:
            self._count -= sessions.expire(horizon)
        return sessions

    def learn(self, key: bytes, sessions: KeySessions) -> None:
        """Keep all of a key's sessions."""
        if self._count + len(sessions) > self._bound:
            self.forget()
        self._known[key] = sessions
        # A key without a session is worth a place, too.
        self._count += len(sessions) + 1

    def put(self, key: bytes, slot: Slot, entry: Entry) -> None:
        """Keep an entry until it is committed."""
        slots = self._dirty.setdefault(key, {})
        self.dirty += slot not in slots
        slots[slot] = entry
        sessions = self._known.get(key)
        if sessions is not None:
            self._count += sessions.put(slot, entry)
            if self._count > self._bound:
                self.forget()

    def committed(self) -> tuple[int, Iterable[Entry]]:
        """Return how many sessions are kept of keys that were read lately, and all of them."""
        return self._count, (entry for key in self._known.values() for entry in key.entries())

    def forget(self) -> None:
        """Forget what is committed: it is read again when it is asked for."""
        self._known, self._count = {}, 0

    def wipe(self) -> None:
        """Forget everything."""
        super().wipe()
        self.forget()
