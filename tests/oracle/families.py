"""Random topologies, one function a family of operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.oracle.cases import Node
from tests.oracle.maker import JOINERS, PREDICATES, SELECTORS, TABLE_JOINERS, Maker

WINDOWS: Final = ("tumbling", "hopping", "sliding", "session", "unlimited")


def stateless(make: Maker) -> None:
    """A chain of operators without state, with branches that may meet again."""
    stream = make.step(make.stream(make.pick("L", "L", "R")))
    if make.chance(0.3):
        other = make.stream("T")
        stream = make.add("merge", stream, other)
    if make.chance(0.5):
        predicates = [make.pick(*PREDICATES) for _ in range(make.random.randint(1, 2))]
        branch = make.add("branch", stream, predicates=predicates, default=make.chance(0.5))
        arms = [name for name in (f"{branch}.{n}" for n in range(3)) if make.has(name)]
        stepped = [make.step(arm) if make.chance(0.5) else arm for arm in arms]
        if len(stepped) > 1 and make.chance(0.4) and all(make.meet(stepped[0], arm) for arm in stepped[1:]):
            stepped = [make.add("merge", *stepped)]
        for arm in stepped:
            make.sink(arm)
        return
    make.sink(stream)


def windows(make: Maker, kind: str) -> Node:
    """Return windows of a kind, in the scale of the inputs."""
    found: Node = {"kind": kind}
    if kind in {"tumbling", "hopping"}:
        found["size"] = max(1, make.span())
    if kind == "hopping":
        size = found["size"]
        found["advance"] = make.pick(max(1, size // 2), max(1, size // 3), 1, size)
    if kind == "sliding":
        found["difference"] = make.pick(0, make.span(), make.span(), make.span(), 1)
    if kind == "session":
        found["gap"] = make.pick(make.span(), make.span(), 1, max(1, make.scale // 2))
    if kind == "unlimited":
        found["start"] = make.pick(0, make.scale)
    else:
        found["grace"] = make.grace()
    return found


def folded(make: Maker, stream: str, kind: str = "none", *, final: bool | None = None) -> str:
    """Return the aggregate of a stream, in windows of a kind or without."""
    options = make.store()
    if kind != "none":
        options["windows"] = windows(make, kind)
        if kind != "unlimited" and (make.chance(0.3) if final is None else final):
            options["emit"] = "close"
        if kind != "unlimited" and make.chance(0.1):
            options["retention"] = 20 * make.scale + make.random.randint(0, 10)
    elif make.chance(0.05):
        options = {"history": 5 * make.scale}
    if make.chance(0.4) or make.shape(stream).windowed:
        options["by"] = make.pick(*SELECTORS)
    fold = make.pick("count", "reduce", "aggregate")
    if fold == "reduce" and make.shape(stream).value != "text":
        fold = "aggregate"
    if fold != "count":
        breaking = ("fragile",)
        options["fn"] = make.pick("concat", "concat", "last", *breaking)
    return make.add("aggregate", stream, fold=fold, **options)


def aggregates(kind: str) -> Callable[[Maker], None]:
    """Return the family of aggregates in windows of a kind."""

    def family(make: Maker) -> None:
        table = folded(make, make.stream("L"), kind)
        _follow(make, table)

    family.__doc__ = f"Aggregates of a stream, windows: {kind}."
    return family


def cogroup(make: Maker) -> None:
    """Two or three streams folded into one table, each by its own aggregator."""
    kind = make.pick("none", "none", *WINDOWS)
    streams = [make.stream(topic, steps=0.15) for topic in ("L", "R", "T")[: make.pick(2, 2, 3)]]
    options = make.store()
    if kind != "none":
        options["windows"] = windows(make, kind)
    if make.chance(0.3):
        options["by"] = make.pick(*SELECTORS)
    functions = ["concat", "last", "minus"] if kind != "none" else ["concat", "fragile", "minus"]
    make.random.shuffle(functions)
    table = make.add("cogroup", *streams, fns=functions[: len(streams)], **options)
    _follow(make, table)


def any_table(make: Maker, topic: str) -> str:
    """Return a table: of a topic, versioned, an aggregate, made of a stream, and views of them."""
    match make.pick("source", "source", "versioned", "aggregate", "to_table"):
        case "source":
            table = make.table(topic)
        case "versioned":
            table = make.versioned(topic)
        case "aggregate":
            table = folded(make, make.stream(topic, steps=0.15))
        case _:
            history = {"history": 5 * make.scale} if make.chance(0.2) else make.store()
            table = make.add("to_table", make.stream(topic, steps=0.15), **history)
    while make.chance(0.25):
        table = make.table_step(table)
    return table


def table_operators(make: Maker) -> None:
    """Filters and mappers of tables, with stores and as views."""
    table = make.table_step(any_table(make, "T"))
    if make.chance(0.5):
        table = make.table_step(table)
    _follow(make, table)


def table_aggregates(make: Maker) -> None:
    """Aggregates of a table: what a row was is subtracted before what it is now is added."""
    _follow(make, table_folded(make, any_table(make, "T")))


def table_folded(make: Maker, table: str) -> str:
    """Return the aggregate of a table."""
    fold = make.pick("count", "reduce", "aggregate")
    if fold == "reduce" and make.shape(table).value != "text":
        fold = "aggregate"
    function = {} if fold == "count" else {"fn": make.pick("concat", "concat", "fragile")}
    options = {"history": 5 * make.scale} if make.chance(0.05) else make.store()
    return make.add("table_aggregate", table, fold=fold, by=make.pick(*SELECTORS), **function, **options)


def suppress_windows(make: Maker) -> None:
    """Final results of windows: suppressed until they close."""
    table = folded(
        make,
        make.stream("L", steps=0.15),
        make.pick("tumbling", "hopping", "sliding", "session"),
        final=False,
    )
    if make.chance(0.2):
        table = make.table_step(table)
    buffer: Node = {"records": make.random.randint(1, 6), "shut_down": True} if make.chance(0.2) else {}
    table = make.add("suppress", table, until="close", buffer=buffer)
    _follow(make, table)


def suppress_time(make: Maker) -> None:
    """Updates of a table held back for a time."""
    table = any_table(make, "T")
    if make.shape(table).versioned or make.chance(0.3):
        table = folded(
            make, make.stream("L", steps=0.15), make.pick("none", "tumbling", "session"), final=False
        )
    if make.shape(table).versioned:
        table = make.table("R")
    buffer: Node = {}
    if make.chance(0.6):
        buffer = {"records": make.random.randint(1, 4), "shut_down": make.chance(0.3)}
    limit = make.pick(0, make.span(), 3 * make.span())
    table = make.add("suppress", table, until="time", limit=limit, buffer=buffer)
    if make.chance(0.25) and not make.shape(table).windowed:
        _look_up(make, table)
    else:
        _follow(make, table)


def _look_up(make: Maker, table: str) -> None:
    """Join with a table that does not send old values, so that what it holds now is asked for."""
    if make.chance(0.5):
        kind, joiner = make.pick("inner", "left"), make.pick(*JOINERS)
        joined = make.add("stream_table_join", make.stream("S", steps=0), table, kind=kind, fn=joiner)
    else:
        sides = [table, make.table("S")]
        make.random.shuffle(sides)
        joined = make.add(
            "table_join", *sides, kind="inner", fn=make.pick(*TABLE_JOINERS), **make.optional_store()
        )
    make.sink(joined)


def stream_joined(make: Maker, kind: str, left: str, right: str) -> str:
    """Return the join of two streams."""
    first, second = make.pick(0, make.span(), make.span()), make.pick(0, make.span(), make.span())
    if make.chance(0.15):
        ahead = make.random.randint(1, make.scale)
        first, second = make.pick((-ahead, ahead + second), (ahead + first, -ahead))
    return make.add(
        "stream_join",
        left,
        right,
        kind=kind,
        before=first,
        after=second,
        grace=make.grace(),
        fn=make.pick(*JOINERS),
    )


def stream_joins(kind: str) -> Callable[[Maker], None]:
    """Return the family of joins of two streams of a kind."""

    def family(make: Maker) -> None:
        left = make.stream("L", steps=0.2)
        right = left if make.chance(0.1) else make.stream("R", steps=0.2)
        if left == right and make.shape(left).rekeyed:
            right = make.stream("R", steps=0)
        joined = stream_joined(make, kind, left, right)
        if make.chance(0.2):
            joined = stream_joined(
                make, make.pick("inner", "left", "outer"), joined, make.stream("T", steps=0)
            )
        _follow(make, joined)

    family.__doc__ = f"{kind} joins of two streams."
    return family


def stream_table_joins(make: Maker) -> None:
    """Streams looked up in tables; in versioned ones as of the record's time, with grace or without."""
    grace: Node = {}
    if make.chance(0.4):
        history = make.pick(make.scale, 5 * make.scale)
        table = make.versioned("T", history)
        if make.chance(0.6):
            grace = {"grace": make.pick(0, 1, make.scale // 2, make.scale)}
    else:
        table = any_table(make, "T")
    stream = make.stream("L", steps=0.2)
    joined = make.add(
        "stream_table_join", stream, table, kind=make.pick("inner", "left"), fn=make.pick(*JOINERS), **grace
    )
    _follow(make, joined)


def global_joins(make: Maker) -> None:
    """Streams looked up in global tables by a key made of the record."""
    table = make.add("global_table", topic="G")
    joined = make.add(
        "stream_global_join",
        make.stream("L", steps=0.2),
        table,
        kind=make.pick("inner", "left"),
        by=make.pick("first", "none-if-odd", "same"),
        fn=make.pick(*JOINERS),
    )
    _follow(make, joined)


def table_joins(make: Maker) -> None:
    """Tables joined by key: plain, versioned, views, and what was joined before."""
    if make.chance(0.1):
        # What such a join says that its rows were before, Kafka Streams makes up: nobody may ask.
        left = any_table(make, "L")
        make.sink(table_joined(make, left, make.table_step(left) if make.chance(0.7) else left))
        return
    left, right = _windowed_pair(make) if make.chance(0.15) else (any_table(make, "L"), any_table(make, "R"))
    joined = table_joined(make, left, right)
    if not make.shape(joined).windowed and make.chance(0.25):
        joined = table_joined(make, joined, any_table(make, "T"))
    _follow(make, joined)


def _windowed_pair(make: Maker) -> tuple[str, str]:
    """Return two tables of the same windows."""
    kind = make.pick(*WINDOWS)
    left = folded(make, make.stream("L", steps=0), kind, final=False)
    alike = make.nodes[-1]["windows"]
    right = folded(make, make.stream("R", steps=0), kind, final=False)
    make.nodes[-1]["windows"] = alike
    return left, right


def table_joined(make: Maker, left: str, right: str) -> str:
    """Return the join of two tables."""
    kind = make.pick("inner", "left", "outer")
    return make.add(
        "table_join", left, right, kind=kind, fn=make.pick(*TABLE_JOINERS), **make.optional_store()
    )


def foreign_key_joins(make: Maker) -> None:
    """Tables joined by a key that is in the left value."""
    joined = make.add(
        "foreign_key_join",
        any_table(make, "L"),
        any_table(make, "R"),
        kind=make.pick("inner", "left"),
        by=make.pick("first", "first", "none-if-odd", "key-first"),
        fn=make.pick(*TABLE_JOINERS),
        **make.store(),
    )
    _follow(make, joined)


def processors(make: Maker) -> None:
    """Processors by hand: with a store, and with timers."""
    stream = make.stream("L", steps=0.2)
    if make.chance(0.6):
        processed = make.add("process", stream, fn=make.pick("previous", "previous-value"))
    else:
        stream = make.source("L")
        clock = make.pick("stream", "wall")
        processed = make.add("process", stream, fn="ticks", clock=clock, interval=make.span())
    make.sink(processed)


def mixed(make: Maker) -> None:
    """Several stateful operators in a row."""
    match make.pick("join-aggregate", "aggregate-join", "table-chain", "diamond", "final-join"):
        case "join-aggregate":
            kind = make.pick("inner", "left", "outer")
            joined = stream_joined(make, kind, make.stream("L"), make.stream("R"))
            _follow(make, folded(make, joined, make.pick("none", *WINDOWS)))
        case "aggregate-join":
            table = folded(make, make.stream("R"))
            joined = make.add(
                "stream_table_join",
                make.stream("L"),
                table,
                kind=make.pick("inner", "left"),
                fn=make.pick(*JOINERS),
            )
            _follow(make, folded(make, joined, make.pick("none", *WINDOWS)))
        case "table-chain":
            joined = table_joined(make, any_table(make, "L"), any_table(make, "R"))
            _follow(make, table_folded(make, joined))
        case "diamond":
            stream = make.stream("L")
            left = make.add("filter", stream, fn="odd")
            right = make.add("map_values", stream, fn="tag")
            if make.meet(left, right):
                joined = stream_joined(make, make.pick("inner", "left", "outer"), left, right)
                _follow(make, joined)
            make.sink(folded(make, stream, make.pick("none", *WINDOWS)))
        case _:
            kind = make.pick("tumbling", "hopping", "session")
            finals = make.add("to_stream", folded(make, make.stream("L"), kind, final=True), fn="key-first")
            joined = make.add(
                "stream_table_join",
                finals,
                make.table("T"),
                kind=make.pick("inner", "left"),
                fn=make.pick(*JOINERS),
            )
            _follow(make, joined)


def _follow(make: Maker, flow: str) -> None:
    """Write a flow to a topic, as it is or after one more operator; the flow itself may be written too."""
    if make.chance(0.55):
        make.sink(flow)
        if make.chance(0.7):
            return
    made = make.shape(flow)
    if made.kind == "stream":
        options = ["step", "fold", "to_table"] if not made.windowed else ["fold"]
    else:
        options = ["to_stream", "table_step", "table_fold"]
    match make.pick(*options):
        case "step":
            make.sink(make.step(flow))
        case "fold":
            make.sink(folded(make, flow, make.pick("none", "none", "tumbling")))
        case "to_table":
            make.sink(make.table_step(make.add("to_table", flow, **make.store())))
        case "to_stream":
            stream = make.add("to_stream", flow, fn=make.pick("first", "key-first"))
            make.sink(folded(make, stream) if make.chance(0.4) else stream)
        case "table_step":
            make.sink(make.table_step(flow))
        case _:
            make.sink(table_folded(make, flow))


FAMILIES: Final[Mapping[str, Callable[[Maker], None]]] = {
    "stateless": stateless,
    "aggregate": aggregates("none"),
    **{kind: aggregates(kind) for kind in WINDOWS},
    "cogroup": cogroup,
    "table": table_operators,
    "table-aggregate": table_aggregates,
    "suppress-windows": suppress_windows,
    "suppress-time": suppress_time,
    "inner-join": stream_joins("inner"),
    "left-join": stream_joins("left"),
    "outer-join": stream_joins("outer"),
    "stream-table-join": stream_table_joins,
    "global-join": global_joins,
    "table-join": table_joins,
    "foreign-key-join": foreign_key_joins,
    "process": processors,
    "mixed": mixed,
}


def settle(make: Maker) -> None:
    """Leave out of a case what no correction of Kafka Streams shows: how far back retention reaches.

    To an old session, through a younger one that is still open; to a window of a cogroup of which another
    stream is ahead; to the other side's window in a join of windowed tables. Caches remember longer than
    stores, and with emit on close a short retention loses results.
    """
    joined = {parent for node in make.nodes if node["op"] == "table_join" for parent in node["of"]}
    for node in make.nodes:
        kind = node.get("windows", {}).get("kind", "none")
        cached_sessions = kind == "session" and (node.get("caching", True) or node.get("emit") == "close")
        far = cached_sessions or node["op"] == "cogroup" or node["id"] in joined
        if far and kind not in {"none", "unlimited"}:
            node["retention"] = 10_000 * make.scale
