"""A task's operators as timed records go through them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipeline.plan.compiler import Inputs
from pipeline.runtime.metrics.twins import Exchange, Twins
from pipeline.state.window import WindowStore
from pipeline.topology import Source

if TYPE_CHECKING:
    from pipeline.runtime.task import Task


def time_operators(task: Task, inputs: Inputs, contexts: Iterable[Any]) -> None:
    """Make the timed twins of a task's operators, and hand them to its sampling.

    Args:
        task: it is about to start: queues and stores are there.
        inputs: its operators, as they were compiled.
        contexts: what users' processors forward through.
    """
    twins = Twins()
    _watch_caches(task, twins)
    _time_operators(task, inputs, twins)
    for context in contexts:
        twins.of(context)
    for store in task.stores.values():
        twins.exchange(store, "on_flush")
    before_flush = {name: [twins.of(each) for each in calls] for name, calls in task.before_flush.items()}
    twins.exchanges.append(Exchange(task, "before_flush", task.before_flush, before_flush))
    for queue in task.queues.values():
        entering = task.sampling.entering(
            twins.of(queue.forward), task.metrics.node(queue.source.name), lambda: task.time.stream
        )
        twins.exchanges.append(Exchange(queue, "run", queue.run, queue.running(entering)))
    task.sampling.begin(twins.exchanges)


def _time_operators(task: Task, inputs: Inputs, twins: Twins) -> None:
    """Replace operators by their timed twins, those that come last first."""
    nodes, sampling, metrics = task.sub.nodes, task.sampling, task.metrics
    followed = {parent for node in nodes for parent in node.parents}
    for node in reversed(nodes):
        if isinstance(node, Source):
            # Its time is what is left of a record's: that of taking it off the queue and decoding it, too.
            continue
        for run in inputs[node]:
            # What a merge, or an arm of a branch, hands on to one operator is that operator.
            if run is not None and not twins.knows(run):
                counted = metrics.node(node.name)
                twins.replace(run, sampling.timed(twins.of(run), counted, is_last=node not in followed))


def _watch_caches(task: Task, twins: Twins) -> None:
    for name, store in task.stores.items():
        if store.counts_reads:
            watched = task.sampling.looking_up(store, store.get_entry, task.metrics.store(name))
            twins.replace_method(store, "get_entry", watched)
        if isinstance(store, WindowStore):
            # Nothing is at hand: what is looked up there would not be counted.
            twins.replace(store.at_hand, {})
