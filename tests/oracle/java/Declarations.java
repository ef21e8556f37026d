import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.BranchedKStream;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.KeyValueMapper;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Predicate;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.internals.suppress.FinalResultsSuppressionBuilder;
import org.apache.kafka.streams.state.KeyValueStore;

/** From the nodes of a case to Kafka Streams' DSL: sources, sinks, and what has one input. */
final class Declarations {
    private Declarations() {}

    /** Declare one node. */
    static void declare(final Case topology, final JsonNode node) {
        final Flow flow = flow(topology, node);
        if (flow != null) {
            topology.flows.put(Case.id(node), flow);
        }
    }

    private static Flow flow(final Case topology, final JsonNode node) {
        final String op = node.get("op").asText();
        switch (op) {
            case "stream": return stream(topology, node);
            case "table": return table(topology, node);
            case "global_table": return globalTable(topology, node);
            case "branch": return branch(topology, node);
            case "merge": return merge(topology.inputs(node));
            case "aggregate": return Aggregations.ofStream(topology, node);
            case "cogroup": return Aggregations.cogroup(topology, node);
            case "table_aggregate": return Aggregations.ofTable(topology, node);
            case "stream_join": return StreamJoins.join(topology, node);
            case "stream_table_join": return TableJoins.streamTable(topology, node);
            case "stream_global_join": return TableJoins.streamGlobal(topology, node);
            case "table_join": return TableJoins.tables(topology, node);
            case "foreign_key_join": return TableJoins.foreignKey(topology, node);
            case "process": return Processors.process(topology, node);
            case "to": return to(topology.input(node), node);
            default:
                final Flow in = topology.input(node);
                return in.table != null ? ofTable(topology, in, node, op) : ofStream(topology, in, node, op);
        }
    }

    private static Flow stream(final Case topology, final JsonNode node) {
        Consumed<Object, Object> consumed = Consumed.with(Flow.TEXT, Flow.TEXT);
        if (node.has("timestamp")) {
            consumed = consumed.withTimestampExtractor(Processors.extractor(node.get("timestamp").asText()));
        }
        if (node.has("pattern")) {
            return Flow.of(topology.builder.stream(Pattern.compile(node.get("pattern").asText()), consumed),
                Flow.TEXT, Flow.TEXT);
        }
        final List<String> topics = new ArrayList<>();
        node.get("topics").forEach(topic -> topics.add(topic.asText()));
        return Flow.of(topology.builder.stream(topics, consumed), Flow.TEXT, Flow.TEXT);
    }

    private static Flow table(final Case topology, final JsonNode node) {
        final KTable<Object, Object> table = topology.builder.table(
            node.get("topic").asText(), Consumed.with(Flow.TEXT, Flow.TEXT),
            StoreOptions.keyValue(topology, node, Flow.TEXT, Flow.TEXT));
        return Flow.of(table, Flow.TEXT, Flow.TEXT);
    }

    private static Flow globalTable(final Case topology, final JsonNode node) {
        final Flow flow = new Flow();
        flow.global = topology.builder.globalTable(
            node.get("topic").asText(), Consumed.with(Flow.TEXT, Flow.TEXT),
            StoreOptions.keyValue(topology, node, Flow.TEXT, Flow.TEXT));
        return flow;
    }

    private static Flow to(final Flow in, final JsonNode node) {
        final String topic = node.get("topic").asText();
        if (node.has("by")) {
            final Predicate<Object, Object> chooses = Functions.predicate(node.get("by").asText());
            in.stream.to((key, value, context) -> topic + (chooses.test(key, value) ? "-yes" : "-no"),
                Produced.with(in.key, in.value));
        } else {
            in.stream.to(topic, Produced.with(in.key, in.value));
        }
        return null;
    }

    private static Flow merge(final List<Flow> inputs) {
        KStream<Object, Object> merged = inputs.get(0).stream;
        boolean rekeyed = false;
        for (final Flow in : inputs) {
            merged = in == inputs.get(0) ? merged : merged.merge(in.stream);
            rekeyed |= in.rekeyed;
        }
        return Flow.of(merged, inputs.get(0).key, inputs.get(0).value).rekeyed(rekeyed);
    }

    private static Flow branch(final Case topology, final JsonNode node) {
        final Flow in = topology.input(node);
        BranchedKStream<Object, Object> split = in.stream.split(Named.as(Case.id(node) + "-"));
        final List<String> names = new ArrayList<>();
        for (final JsonNode predicate : node.get("predicates")) {
            names.add(String.valueOf(names.size()));
            split = split.branch(Functions.predicate(predicate.asText()), Branched.as(names.get(names.size() - 1)));
        }
        final Map<String, KStream<Object, Object>> branches;
        if (node.path("default").asBoolean()) {
            names.add(String.valueOf(names.size()));
            branches = split.defaultBranch(Branched.as(names.get(names.size() - 1)));
        } else {
            branches = split.noDefaultBranch();
        }
        for (final String name : names) {
            topology.flows.put(Case.id(node) + "." + name,
                Flow.of(branches.get(Case.id(node) + "-" + name), in.key, in.value).rekeyed(in.rekeyed));
        }
        return null;
    }

    private static Flow ofStream(final Case topology, final Flow in, final JsonNode node, final String op) {
        final KStream<Object, Object> stream = in.stream;
        switch (op) {
            case "filter": return same(in, stream.filter(Functions.predicate(Case.function(node))));
            case "filter_not": return same(in, stream.filterNot(Functions.predicate(Case.function(node))));
            case "peek": return same(in, stream.peek((key, value) -> { }));
            case "map_values":
                return values(in, stream.mapValues(Functions.mapper(Case.function(node))));
            case "flat_map_values":
                return values(in, stream.flatMapValues(Functions.flatMapper(Case.function(node))));
            case "map":
                return Flow.of(stream.map(Functions.pairMapper(Case.function(node))), Flow.TEXT, Flow.TEXT)
                    .rekeyed(true);
            case "flat_map":
                final KeyValueMapper<Object, Object, org.apache.kafka.streams.KeyValue<Object, Object>> pair =
                    Functions.pairMapper(Case.function(node));
                return Flow.of(
                    stream.flatMap((key, value) -> value == null
                        ? List.<org.apache.kafka.streams.KeyValue<Object, Object>>of()
                        : List.of(pair.apply(key, value), pair.apply(key, Functions.text(value) + "'"))),
                    Flow.TEXT, Flow.TEXT).rekeyed(true);
            case "select_key":
                return Flow.of(stream.selectKey(Functions.selector(Case.function(node))), Flow.TEXT, in.value)
                    .rekeyed(true);
            case "repartition":
                return same(in, stream.repartition(
                    Repartitioned.with(in.key, in.value).withName(Case.id(node)))).rekeyed(false);
            case "to_table":
                return Flow.of(
                    stream.toTable(Named.as(Case.id(node)), StoreOptions.keyValue(topology, node, in.key, in.value)),
                    in.key, in.value);
            default: throw new IllegalArgumentException("operator of a stream: " + op);
        }
    }

    private static Flow same(final Flow in, final KStream<Object, Object> stream) {
        return Flow.of(stream, in.key, in.value).rekeyed(in.rekeyed);
    }

    private static Flow values(final Flow in, final KStream<Object, Object> stream) {
        return Flow.of(stream, in.key, Flow.TEXT).rekeyed(in.rekeyed);
    }

    private static Flow ofTable(final Case topology, final Flow in, final JsonNode node, final String op) {
        final KTable<Object, Object> table = in.table;
        switch (op) {
            case "filter": {
                final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> store =
                    StoreOptions.optional(topology, node, in.key, in.value);
                return Flow.of(store == null
                        ? table.filter(Functions.predicate(Case.function(node)))
                        : table.filter(Functions.predicate(Case.function(node)), store),
                    in.key, in.value).windowsOf(in);
            }
            case "filter_not": {
                final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> store =
                    StoreOptions.optional(topology, node, in.key, in.value);
                return Flow.of(store == null
                        ? table.filterNot(Functions.predicate(Case.function(node)))
                        : table.filterNot(Functions.predicate(Case.function(node)), store),
                    in.key, in.value).windowsOf(in);
            }
            case "map_values": {
                final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> store =
                    StoreOptions.optional(topology, node, in.key, Flow.TEXT);
                return Flow.of(store == null
                        ? table.mapValues(Functions.mapper(Case.function(node)))
                        : table.mapValues(Functions.mapper(Case.function(node)), store),
                    in.key, Flow.TEXT).windowsOf(in);
            }
            case "to_stream":
                return node.has("fn")
                    ? Flow.of(table.toStream(Functions.selector(Case.function(node))), Flow.TEXT, in.value)
                        .rekeyed(true)
                    : Flow.of(table.toStream(), in.key, in.value);
            case "suppress":
                return Flow.of(suppress(topology, in, node), in.key, in.value).windowsOf(in);
            default: throw new IllegalArgumentException("operator of a table: " + op);
        }
    }

    private static KTable<Object, Object> suppress(final Case topology, final Flow in, final JsonNode node) {
        final KTable<Object, Object> held = in.table.suppress(suppressed(topology, in, node));
        // A table of what has gone on knows what went on before; suppress tells the last value held back.
        return topology.improved(10)
            ? held.toStream().toTable(
                Materialized.<Object, Object, KeyValueStore<Bytes, byte[]>>as(Case.id(node) + "-before")
                    .withKeySerde(in.key).withValueSerde(in.value).withCachingDisabled())
            : held;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Suppressed<Object> suppressed(final Case topology, final Flow in, final JsonNode node) {
        final JsonNode bounds = node.get("buffer");
        if (node.get("until").asText().equals("time")) {
            Suppressed.EagerBufferConfig eager = bounds.has("records")
                ? Suppressed.BufferConfig.maxRecords(bounds.get("records").asLong())
                : Suppressed.BufferConfig.maxBytes(bounds.has("bytes") ? bounds.get("bytes").asLong() : Long.MAX_VALUE);
            final Suppressed.BufferConfig buffer =
                bounds.path("shut_down").asBoolean() ? eager.shutDownWhenFull() : eager;
            return (Suppressed) Suppressed.untilTimeLimit(Case.duration(node, "limit"), buffer)
                .withName(Case.id(node));
        }
        final Suppressed.StrictBufferConfig strict = bounds.has("records")
            ? Suppressed.BufferConfig.maxRecords(bounds.get("records").asLong()).shutDownWhenFull()
            : bounds.has("bytes")
                ? Suppressed.BufferConfig.maxBytes(bounds.get("bytes").asLong()).shutDownWhenFull()
                : Suppressed.BufferConfig.unbounded();
        final Suppressed builder = Suppressed.untilWindowCloses(strict).withName(Case.id(node));
        if (topology.improved(4) && in.inclusive) {
            // The window's end is a time at which it still takes records: wait until it has passed.
            return ((FinalResultsSuppressionBuilder) builder)
                .buildFinalResultsSuppression(java.time.Duration.ofMillis(in.wait + 1));
        }
        return builder;
    }
}
