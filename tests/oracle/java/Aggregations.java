import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Initializer;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KGroupedTable;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.KeyValueMapper;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.kstream.Windows;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueStore;

/** Folding streams and tables into tables, by key or by key and window. */
final class Aggregations {
    private Aggregations() {}

    static boolean unlimited(final JsonNode node) {
        return kind(node).equals("unlimited");
    }

    private static String kind(final JsonNode node) {
        return node.path("windows").path("kind").asText("none");
    }

    static Flow ofStream(final Case topology, final JsonNode node) {
        final Flow in = topology.input(node);
        final Serde<Object> keySerde = node.has("by") ? Flow.TEXT : in.key;
        final KGroupedStream<Object, Object> grouped =
            grouped(topology, in, node.path("by"), Case.id(node) + "-by", !kind(node).equals("none"));
        final String fold = node.get("fold").asText();
        final Serde<Object> value = fold.equals("count") ? Flow.NUMBER : fold.equals("reduce") ? in.value : Flow.TEXT;
        switch (kind(node)) {
            case "none": return unwindowed(topology, node, grouped, keySerde, value);
            case "session": return session(topology, node, grouped, keySerde, value);
            default: return windowed(topology, node, grouped, keySerde, value);
        }
    }

    private static KGroupedStream<Object, Object> grouped(
            final Case topology, final Flow in, final JsonNode by, final String name, final boolean windowed) {
        // Null values do not reach windowed aggregators, and do not advance their time.
        final KStream<Object, Object> stream = topology.improved(2) && windowed
            ? in.stream.filter((key, value) -> value != null) : in.stream;
        return by.isMissingNode()
            ? stream.groupByKey(Grouped.with(name, in.key, in.value))
            : stream.groupBy(Functions.selector(by.asText()), Grouped.with(name, Flow.TEXT, in.value));
    }

    private static Flow unwindowed(
            final Case topology, final JsonNode node, final KGroupedStream<Object, Object> grouped,
            final Serde<Object> key, final Serde<Object> value) {
        final KTable<Object, Object> table;
        if (node.get("fold").asText().equals("reduce")) {
            table = grouped.reduce(
                Functions.reducer(Case.function(node)), StoreOptions.keyValue(topology, node, key, value));
        } else if (counts(node) && !node.has("history")) {
            table = untyped(grouped.count(numbers(StoreOptions.keyValue(topology, node, key, value))));
        } else {
            table = grouped.aggregate(
                initializer(topology, node), aggregator(topology, node), StoreOptions.keyValue(topology, node, key, value));
        }
        return Flow.of(withOldValues(topology, node, table, key, value), key, value);
    }

    /**
     * Old values as they were: none for a new aggregate, what it had for one that was there. Kafka Streams sends the
     * initializer's value, or that of the window it was copied from; and none where a session keeps its bounds.
     * A table that is made of the updates knows them.
     */
    private static KTable<Object, Object> withOldValues(
            final Case topology, final JsonNode node, final KTable<Object, Object> table,
            final Serde<Object> key, final Serde<Object> value) {
        if (!topology.improved(5) || node.path("caching").asBoolean(true)) {
            return table;
        }
        final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> rows =
            Materialized.as(Case.id(node) + "-rows");
        return table.toStream().toTable(
            Named.as(Case.id(node) + "-rows"), rows.withKeySerde(key).withValueSerde(value).withCachingDisabled());
    }

    private static Flow described(
            final Case topology, final JsonNode node, final KTable<?, Object> table,
            final Serde<Object> key, final Serde<Object> value) {
        final JsonNode windows = node.get("windows");
        final Serde<Object> windowed = windowedKey(topology, windows, key);
        final Flow flow = Flow.of(withOldValues(topology, node, untyped(table), windowed, value), windowed, value);
        flow.wait = windows.path("grace").asLong() + windows.path("gap").asLong();
        flow.inclusive = windows.has("gap") || sliding(topology, windows);
        return flow;
    }

    @SuppressWarnings("unchecked")
    private static Flow windowed(
            final Case topology, final JsonNode node, final KGroupedStream<Object, Object> grouped,
            final Serde<Object> key, final Serde<Object> value) {
        final JsonNode windows = node.get("windows");
        TimeWindowedKStream<Object, Object> stream = windowed(topology, grouped, windows);
        if (node.path("emit").asText("update").equals("close")) {
            stream = stream.emitStrategy(EmitStrategy.onWindowClose());
        }
        final KTable<?, Object> table;
        if (node.get("fold").asText().equals("reduce")) {
            table = stream.reduce(
                Functions.reducer(Case.function(node)), StoreOptions.window(topology, node, key, value));
        } else if (counts(node) && !node.has("history")) {
            table = (KTable<?, Object>) (KTable<?, ?>) stream.count(
                numbers(StoreOptions.window(topology, node, key, value)));
        } else {
            table = stream.aggregate(
                initializer(topology, node), aggregator(topology, node), StoreOptions.window(topology, node, key, value));
        }
        return described(topology, node, table, key, value);
    }

    private static TimeWindowedKStream<Object, Object> windowed(
            final Case topology, final KGroupedStream<Object, Object> grouped, final JsonNode windows) {
        return sliding(topology, windows)
            ? grouped.windowedBy(slidingWindows(windows)) : grouped.windowedBy(timeWindows(windows));
    }

    /** Sliding windows of zero difference fail in Kafka Streams; windows of one millisecond are the same. */
    private static boolean sliding(final Case topology, final JsonNode windows) {
        return windows.get("kind").asText().equals("sliding")
            && !(topology.improved(6) && windows.get("difference").asLong() == 0);
    }

    private static SlidingWindows slidingWindows(final JsonNode windows) {
        return SlidingWindows.ofTimeDifferenceAndGrace(
            Case.duration(windows, "difference"), Case.duration(windows, "grace"));
    }

    private static Windows<?> timeWindows(final JsonNode windows) {
        switch (windows.get("kind").asText()) {
            case "unlimited": return UnlimitedWindows.of().startOn(Instant.ofEpochMilli(windows.get("start").asLong()));
            case "sliding":
                return TimeWindows.ofSizeAndGrace(Duration.ofMillis(1), Case.duration(windows, "grace"));
            default:
                final TimeWindows tumbling = TimeWindows.ofSizeAndGrace(
                    Case.duration(windows, "size"), Case.duration(windows, "grace"));
                return windows.has("advance") ? tumbling.advanceBy(Case.duration(windows, "advance")) : tumbling;
        }
    }

    private static Serde<Object> windowedKey(final Case topology, final JsonNode windows, final Serde<Object> key) {
        switch (windows.get("kind").asText()) {
            case "session": return Flow.untyped(new WindowedSerdes.SessionWindowedSerde<>(key));
            case "unlimited": return timeWindowedKey(key, Long.MAX_VALUE);
            case "sliding":
                return timeWindowedKey(key, sliding(topology, windows) ? windows.get("difference").asLong() : 1);
            default: return timeWindowedKey(key, windows.get("size").asLong());
        }
    }

    private static Serde<Object> timeWindowedKey(final Serde<Object> key, final long size) {
        return Flow.untyped(new WindowedSerdes.TimeWindowedSerde<>(key, size));
    }

    @SuppressWarnings("unchecked")
    private static Flow session(
            final Case topology, final JsonNode node, final KGroupedStream<Object, Object> grouped,
            final Serde<Object> key, final Serde<Object> value) {
        final JsonNode windows = node.get("windows");
        SessionWindowedKStream<Object, Object> stream = grouped.windowedBy(sessionWindows(windows));
        if (node.path("emit").asText("update").equals("close")) {
            stream = stream.emitStrategy(EmitStrategy.onWindowClose());
        }
        final KTable<?, Object> table;
        if (node.get("fold").asText().equals("reduce")) {
            table = stream.reduce(
                Functions.reducer(Case.function(node)), StoreOptions.session(topology, node, key, value));
        } else if (counts(node)) {
            table = (KTable<?, Object>) (KTable<?, ?>) stream.count(
                numbers(StoreOptions.session(topology, node, key, value)));
        } else {
            table = stream.aggregate(
                () -> Functions.INITIAL, Functions.aggregator(Case.function(node)), Functions.merger(),
                StoreOptions.session(topology, node, key, value));
        }
        return described(topology, node, table, key, value);
    }

    private static SessionWindows sessionWindows(final JsonNode windows) {
        return SessionWindows.ofInactivityGapAndGrace(Case.duration(windows, "gap"), Case.duration(windows, "grace"));
    }

    static Flow cogroup(final Case topology, final JsonNode node) {
        final List<Flow> inputs = topology.inputs(node);
        final boolean windowed = !kind(node).equals("none");
        final JsonNode by = node.path("by");
        CogroupedKStream<Object, Object> cogrouped = null;
        for (int index = 0; index < inputs.size(); index++) {
            final KGroupedStream<Object, Object> grouped =
                grouped(topology, inputs.get(index), by, Case.id(node) + "-by-" + index, windowed);
            final Aggregator<Object, Object, Object> aggregator =
                started(topology, node, Functions.aggregator(node.get("fns").get(index).asText()));
            cogrouped = cogrouped == null
                ? grouped.cogroup(aggregator) : cogrouped.cogroup(grouped, aggregator);
        }
        final Serde<Object> key = by.isMissingNode() ? inputs.get(0).key : Flow.TEXT;
        if (!windowed) {
            final KTable<Object, Object> table = cogrouped.aggregate(
                initializer(topology, node), StoreOptions.keyValue(topology, node, key, Flow.TEXT));
            return Flow.of(withOldValues(topology, node, table, key, Flow.TEXT), key, Flow.TEXT);
        }
        final JsonNode windows = node.get("windows");
        final KTable<?, Object> table;
        if (kind(node).equals("session")) {
            table = cogrouped.windowedBy(sessionWindows(windows)).aggregate(
                () -> Functions.INITIAL, Functions.merger(), StoreOptions.session(topology, node, key, Flow.TEXT));
        } else if (sliding(topology, windows)) {
            table = cogrouped.windowedBy(slidingWindows(windows)).aggregate(
                initializer(topology, node), StoreOptions.window(topology, node, key, Flow.TEXT));
        } else {
            table = cogrouped.windowedBy(timeWindows(windows)).aggregate(
                initializer(topology, node), StoreOptions.window(topology, node, key, Flow.TEXT));
        }
        return described(topology, node, table, key, Flow.TEXT);
    }

    static Flow ofTable(final Case topology, final JsonNode node) {
        final Flow in = topology.input(node);
        final KeyValueMapper<Object, Object, Object> select = Functions.selector(node.get("by").asText());
        final KGroupedTable<Object, Object> grouped = in.table.groupBy(
            (key, value) -> KeyValue.pair(select.apply(key, value), value),
            Grouped.with(Case.id(node) + "-by", Flow.TEXT, in.value));
        switch (node.get("fold").asText()) {
            case "count":
                return Flow.of(
                    untyped(grouped.count(numbers(StoreOptions.keyValue(topology, node, Flow.TEXT, Flow.NUMBER)))),
                    Flow.TEXT, Flow.NUMBER);
            case "reduce":
                return Flow.of(
                    grouped.reduce(Functions.reducer(Case.function(node)), Functions.reducer("minus"),
                        StoreOptions.keyValue(topology, node, Flow.TEXT, in.value)),
                    Flow.TEXT, in.value);
            default:
                return Flow.of(
                    grouped.aggregate(() -> Functions.INITIAL, Functions.aggregator(Case.function(node)),
                        Functions.aggregator("minus"), StoreOptions.keyValue(topology, node, Flow.TEXT, Flow.TEXT)),
                    Flow.TEXT, Flow.TEXT);
        }
    }

    private static boolean counts(final JsonNode node) {
        return node.get("fold").asText().equals("count");
    }

    /** A new versioned aggregate has no old value: Kafka Streams sends the initializer's, so that is null. */
    private static Initializer<Object> initializer(final Case topology, final JsonNode node) {
        return () -> topology.improved(5) && node.has("history") ? null : initial(node);
    }

    private static Object initial(final JsonNode node) {
        return node.path("fold").asText().equals("count") ? (Object) 0L : Functions.INITIAL;
    }

    private static Aggregator<Object, Object, Object> aggregator(final Case topology, final JsonNode node) {
        return started(topology, node, counts(node)
            ? (key, value, soFar) -> (Long) soFar + 1 : Functions.aggregator(Case.function(node)));
    }

    private static Aggregator<Object, Object, Object> started(
            final Case topology, final JsonNode node, final Aggregator<Object, Object, Object> aggregator) {
        return (key, value, soFar) -> aggregator.apply(key, value, soFar == null ? initial(node) : soFar);
    }

    @SuppressWarnings("unchecked")
    private static <S extends StateStore> Materialized<Object, Long, S> numbers(
            final Materialized<Object, Object, S> store) {
        return (Materialized<Object, Long, S>) (Materialized<Object, ?, S>) store;
    }

    @SuppressWarnings("unchecked")
    private static KTable<Object, Object> untyped(final KTable<?, ?> table) {
        return (KTable<Object, Object>) table;
    }
}
