"""`GET /metrics`: what the worker measures, as Prometheus reads it (text format 0.0.4).

Answered from the last snapshot that the engine's thread has made: nothing is asked of it, and nobody waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from faust.web.base import Request, Response
from faust.web.blueprints import Blueprint
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.engine import Engine
from pipeline.errors import StateError
from pipeline.runtime.connection import State
from pipeline.runtime.metrics.catalog import CATALOG
from pipeline.runtime.metrics.of_tasks import Sample
from pipeline.runtime.metrics.snapshot import Snapshot
from pipeline.web.view import EngineView

blueprint = Blueprint("metrics")


@blueprint.route("/metrics", name="metrics")
class Metrics(EngineView):
    """Counts since the start of the process, and what the worker holds."""

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - Faust hands it over; nothing is read from it
        """Answer with one snapshot."""
        text = render(self.app.conf.id, self.engine)
        return self.text(text, content_type="text/plain", headers={"Cache-Control": "no-store"})


def render(application: str, engine: Engine) -> str:
    """Return the metrics as text.

    Args:
        application: application id, a label of every sample.
        engine: what is measured.
    """
    registry = CollectorRegistry(auto_describe=False)
    snapshot = engine.measured()
    samples = {**snapshot.samples, **_of_now(engine), **_of_databases(snapshot)}
    registry.register(_Families(application, samples))
    return generate_latest(registry).decode()


def _of_now(engine: Engine) -> dict[str, list[Sample]]:
    """Return what is known in this thread, too, and need not wait for a snapshot."""
    status = engine.status()
    return {
        "headrace:state": [((state,), int(status.state == state)) for state in get_args(State)],
        "headrace:tasks": [((), status.tasks)],
        "stream-metrics:alive-stream-threads": [((), int(engine.alive))],
        "headrace:store-restore-remaining-records": [
            ((name, str(task.partition)), progress.remaining)
            for name in engine.stores.names()
            for task, progress in engine.stores.restoring(name).items()
        ],
    }


def _of_databases(snapshot: Snapshot) -> dict[str, list[Sample]]:
    """Ask stores for their sizes here: the engine's thread need not wait for it."""
    samples: dict[str, list[Sample]] = {}
    for (task, name), store in snapshot.stores.items():
        try:
            properties = store.properties()
        except StateError:
            # Its task was closed since the snapshot.
            continue
        for property_name, value in properties.items():
            metric = CATALOG[f"stream-state-metrics:{property_name}"]
            if metric.labels:
                samples.setdefault(metric.key, []).append(((str(task), name), value))
            else:
                # Of what all of them share.
                samples[metric.key] = [((), value)]
    return samples


class _Families(Collector):
    """Samples as the library writes them, in the catalogue's order."""

    def __init__(self, application: str, samples: Mapping[str, list[Sample]]) -> None:
        self._application, self._samples = application, samples

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, those without samples left out."""
        for key, metric in CATALOG.items():
            if samples := self._samples.get(key):
                kind = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
                family = kind(metric.prometheus, metric.help, labels=("application", *metric.labels))
                for labels, number in samples:
                    family.add_metric((self._application, *labels), number)
                yield family

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are unique by the catalogue."""
        return ()
