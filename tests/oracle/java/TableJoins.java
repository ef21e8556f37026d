import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.BiFunction;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.KeyValueMapper;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.TableJoined;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.state.KeyValueStore;

/** Joins with a table: of a stream, of another table by key, and by foreign key. */
final class TableJoins {
    private TableJoins() {}

    static Flow streamTable(final Case topology, final JsonNode node) {
        final Flow left = topology.inputs(node).get(0);
        final KTable<Object, Object> table = topology.inputs(node).get(1).table;
        final ValueJoinerWithKey<Object, Object, Object, Object> joiner = Functions.joiner(Case.function(node));
        Joined<Object, Object, Object> joined = Joined.with(left.key, left.value, null).withName(Case.id(node));
        if (node.has("grace")) {
            joined = joined.withGracePeriod(Case.duration(node, "grace"));
        }
        if (node.get("kind").asText().equals("inner")) {
            return Flow.of(left.stream.join(table, joiner, joined), left.key, Flow.TEXT);
        }
        if (!topology.improved(6) || !node.has("grace")) {
            return Flow.of(left.stream.leftJoin(table, joiner, joined), left.key, Flow.TEXT);
        }
        // A left record without a key comes out at once; Kafka Streams fails to put it in the buffer. Both ways
        // begin behind the repartition topic: what is merged with a changed key would be repartitioned once more.
        final KStream<Object, Object> lefts = left.repartitioned(Case.id(node) + "-left");
        final KStream<Object, Object> keyless = lefts
            .filter((key, value) -> key == null && value != null)
            .mapValues((key, value) -> joiner.apply(key, value, null));
        final KStream<Object, Object> keyed = lefts.filter((key, value) -> key != null);
        return Flow.of(keyed.leftJoin(table, joiner, joined).merge(keyless), left.key, Flow.TEXT);
    }

    static Flow streamGlobal(final Case topology, final JsonNode node) {
        final Flow left = topology.inputs(node).get(0);
        final Flow global = topology.inputs(node).get(1);
        final ValueJoinerWithKey<Object, Object, Object, Object> joiner = Functions.joiner(Case.function(node));
        final KeyValueMapper<Object, Object, Object> key = Functions.selector(node.get("by").asText());
        final KStream<Object, Object> joined = node.get("kind").asText().equals("inner")
            ? left.stream.join(global.global, key, joiner) : left.stream.leftJoin(global.global, key, joiner);
        return Flow.of(joined, left.key, Flow.TEXT).rekeyed(left.rekeyed);
    }

    static Flow tables(final Case topology, final JsonNode node) {
        final Flow left = topology.inputs(node).get(0);
        final KTable<Object, Object> right = topology.inputs(node).get(1).table;
        final ValueJoinerWithKey<Object, Object, Object, Object> named = Functions.joiner(Case.function(node));
        final ValueJoiner<Object, Object, Object> joiner = (one, other) -> named.apply("", one, other);
        final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> store =
            StoreOptions.optional(topology, node, left.key, Flow.TEXT);
        final Named name = Named.as(Case.id(node) + "-join");
        final KTable<Object, Object> joined;
        switch (node.get("kind").asText()) {
            case "inner":
                joined = store == null ? left.table.join(right, joiner, name) : left.table.join(right, joiner, name, store);
                break;
            case "left":
                joined = store == null
                    ? left.table.leftJoin(right, joiner, name) : left.table.leftJoin(right, joiner, name, store);
                break;
            default:
                joined = store == null
                    ? left.table.outerJoin(right, joiner, name) : left.table.outerJoin(right, joiner, name, store);
        }
        return Flow.of(joined, left.key, Flow.TEXT);
    }

    static Flow foreignKey(final Case topology, final JsonNode node) {
        final Flow left = topology.inputs(node).get(0);
        final KTable<Object, Object> right = topology.inputs(node).get(1).table;
        final KeyValueMapper<Object, Object, Object> select = Functions.selector(node.get("by").asText());
        final BiFunction<Object, Object, Object> foreignKey = select::apply;
        final ValueJoinerWithKey<Object, Object, Object, Object> named = Functions.joiner(Case.function(node));
        final ValueJoiner<Object, Object, Object> joiner = (one, other) -> named.apply("", one, other);
        final TableJoined<Object, Object> joined = TableJoined.as(Case.id(node));
        final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> store =
            StoreOptions.keyValue(topology, node, left.key, Flow.TEXT);
        return Flow.of(node.get("kind").asText().equals("inner")
                ? left.table.join(right, foreignKey, joiner, joined, store)
                : left.table.leftJoin(right, foreignKey, joiner, joined, store),
            left.key, Flow.TEXT);
    }
}
