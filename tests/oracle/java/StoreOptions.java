import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.VersionedBytesStoreSupplier;
import org.apache.kafka.streams.state.WindowStore;

/** Where a node's table is kept: `Materialized`, from the options of its node. */
final class StoreOptions {
    /** Long enough to hide nothing in any case. */
    static final Duration LONG = Duration.ofDays(3650);

    private StoreOptions() {}

    static Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> keyValue(
            final Case topology, final JsonNode node, final Serde<Object> key, final Serde<Object> value) {
        final String name = Case.id(node);
        if (node.has("history")) {
            topology.stores.put(name, Case.StoreKind.VERSIONED);
            final VersionedBytesStoreSupplier supplier =
                Stores.persistentVersionedKeyValueStore(name, Case.duration(node, "history"));
            final Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> versioned =
                Materialized.as(topology.improved(9) ? new RememberedDeletions(supplier) : supplier);
            return versioned.withKeySerde(key).withValueSerde(value);
        }
        topology.stores.put(name, Case.StoreKind.KEY_VALUE);
        return options(Materialized.as(name), node, key, value);
    }

    /** The same if the node asks for a store of its own, else null: the table is a view. */
    static Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> optional(
            final Case topology, final JsonNode node, final Serde<Object> key, final Serde<Object> value) {
        return node.path("materialized").asBoolean() ? keyValue(topology, node, key, value) : null;
    }

    static Materialized<Object, Object, WindowStore<Bytes, byte[]>> window(
            final Case topology, final JsonNode node, final Serde<Object> key, final Serde<Object> value) {
        topology.stores.put(Case.id(node), Case.StoreKind.WINDOW);
        return retained(topology, node, options(Materialized.as(Case.id(node)), node, key, value));
    }

    static Materialized<Object, Object, SessionStore<Bytes, byte[]>> session(
            final Case topology, final JsonNode node, final Serde<Object> key, final Serde<Object> value) {
        topology.stores.put(Case.id(node), Case.StoreKind.SESSION);
        final Materialized<Object, Object, SessionStore<Bytes, byte[]>> store =
            options(Materialized.as(Case.id(node)), node, key, value);
        if (topology.improved(1) && !node.has("retention")) {
            // What only a session that has lasted long leads to may lie any time back: there is a limit.
            final Duration gap = Case.duration(node.get("windows"), "gap");
            final Duration grace = Case.duration(node.get("windows"), "grace");
            return store.withRetention(gap.multipliedBy(3).plus(grace).plusMillis(1));
        }
        return retained(topology, node, store);
    }

    private static <S extends StateStore> Materialized<Object, Object, S> retained(
            final Case topology, final JsonNode node, final Materialized<Object, Object, S> store) {
        if (topology.improved(1) && !Aggregations.unlimited(node)) {
            return store.withRetention(LONG);
        }
        return node.has("retention") ? store.withRetention(Case.duration(node, "retention")) : store;
    }

    private static <S extends StateStore> Materialized<Object, Object, S> options(
            final Materialized<Object, Object, S> store, final JsonNode node,
            final Serde<Object> key, final Serde<Object> value) {
        final Materialized<Object, Object, S> typed = store.withKeySerde(key).withValueSerde(value);
        final Materialized<Object, Object, S> logged =
            node.path("logging").asBoolean(true) ? typed : typed.withLoggingDisabled();
        return node.path("caching").asBoolean(true) ? logged.withCachingEnabled() : logged.withCachingDisabled();
    }
}
