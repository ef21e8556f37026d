"""What the soak runs: every event is masked and written, and counted by user and minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from benchmarks.redaction import redacted_event
from pipeline import App, tumbling

SOURCE: Final = "soak-in"
SINK: Final = "soak-out"
STORE: Final = "soak-counts"

app = App("soak")

_events = app.stream(SOURCE, key=str)
_events.map_values(lambda _key, event: redacted_event(event), value=dict).to(SINK)
(
    _events.group_by_key()
    .windowed_by(tumbling(timedelta(minutes=1), grace=timedelta(minutes=1)))
    .count(name=STORE, retention=timedelta(days=1))
)
