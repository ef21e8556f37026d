"""The application that is measured, with the defaults: `faust -A benchmarks.live.program worker`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from benchmarks.events import DROPPED_SEVERITY, WINDOW_MS
from benchmarks.live.job import LiveJob
from benchmarks.redaction import redacted_event
from pipeline import App, tumbling

#: The store of the counts, whichever they are.
STORE: Final = "by-user"

job = LiveJob.of_environment()
app = App(job.application_id, processing_guarantee=job.guarantee)
logs = app.stream(job.source, key=str)

if job.work in {"route", "both"}:
    kept = logs.filter(lambda _key, event: event["severity"] != DROPPED_SEVERITY)
    kept.map_values(lambda _key, event: redacted_event(event), value=dict).to(job.target)

if job.work in {"count", "both"}:
    windows = tumbling(timedelta(milliseconds=WINDOW_MS), grace=timedelta(milliseconds=job.grace_ms))
    logs.group_by_key().windowed_by(windows).aggregate(
        lambda: (0, 0),
        lambda _user, event, so_far: (so_far[0] + 1, so_far[1] + event["bytes"]),
        name=STORE,
        value=tuple[int, int],
    )

if job.work == "keys":
    logs.group_by_key().count(name=STORE)
