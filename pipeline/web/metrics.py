"""`GET /metrics`: the worker's counters as Prometheus reads them (text format 0.0.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from faust.web.base import Request, Response
from faust.web.blueprints import Blueprint

from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.worker import WorkerStatus
from pipeline.web.view import EngineView

blueprint = Blueprint("metrics")

PREFIX = "headrace"
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")


@blueprint.route("/metrics", name="metrics")
class Metrics(EngineView):
    """Counters since the start of the process, and what the worker holds."""

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - Faust hands it over; nothing is read from it
        """Answer with one snapshot."""
        engine = self.engine
        text = render(self.app.conf.id, engine.status(), engine.stores)
        return self.text(text, content_type="text/plain", headers={"Cache-Control": "no-store"})


def render(application: str, status: WorkerStatus, stores: StoreRegistry) -> str:
    """Return the metrics as text.

    Args:
        application: application id, a label of every sample.
        status: the worker's counters and state.
        stores: for the progress of restoring.
    """
    labels = {"application": application}
    lines = [
        *_samples("tasks", "gauge", "Tasks held by this worker.", [(labels, status.tasks)]),
        *_samples(
            "running",
            "gauge",
            "1 while records are processed, 0 while connecting, rebalancing, restoring or stopped.",
            [(labels, int(status.state == "running"))],
        ),
        *_samples(
            "store_restore_remaining_records",
            "gauge",
            "Changelog records still to be read before a store can be queried.",
            [
                ({**labels, "store": name, "partition": str(task.partition)}, progress.remaining)
                for name in stores.names()
                for task, progress in stores.restoring(name).items()
            ],
        ),
    ]
    for name, value in sorted(status.metrics.items()):
        words = name.replace("_", " ")
        lines += _samples(f"{name}_total", "counter", f"Since the start: {words}.", [(labels, value)])
    return "\n".join(lines) + "\n"


def _samples(name: str, kind: str, text: str, samples: list[tuple[Mapping[str, str], int]]) -> Iterator[str]:
    full = f"{PREFIX}_{_ILLEGAL.sub('_', name)}"
    yield f"# HELP {full} {text}"
    yield f"# TYPE {full} {kind}"
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        yield f"{full}{{{inside}}} {value}"


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
