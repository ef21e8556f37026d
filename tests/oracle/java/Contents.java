import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.VersionedKeyValueStore;
import org.apache.kafka.streams.state.VersionedRecord;

/** What the stores hold: [key, value, timestamp], of windows [key, start, end, value, timestamp]. */
final class Contents {
    private Contents() {}

    static ObjectNode of(final TopologyTestDriver driver, final Case topology, final JsonNode request) {
        final ObjectNode stores = JsonNodeFactory.instance.objectNode();
        topology.stores.forEach((name, kind) -> {
            final ArrayNode rows = stores.putArray(name);
            switch (kind) {
                case KEY_VALUE: keyValue(driver, name, rows); break;
                case WINDOW: window(driver, name, rows); break;
                case SESSION: session(driver, name, rows); break;
                default: versioned(driver, name, request, rows);
            }
        });
        return stores;
    }

    private static void keyValue(final TopologyTestDriver driver, final String name, final ArrayNode rows) {
        try (KeyValueIterator<Object, ValueAndTimestamp<Object>> all =
                 driver.<Object, Object>getTimestampedKeyValueStore(name).all()) {
            while (all.hasNext()) {
                final KeyValue<Object, ValueAndTimestamp<Object>> entry = all.next();
                rows.addArray().add(Functions.text(entry.key)).add(Functions.text(entry.value.value()))
                    .add(entry.value.timestamp());
            }
        }
    }

    private static void window(final TopologyTestDriver driver, final String name, final ArrayNode rows) {
        try (KeyValueIterator<Windowed<Object>, ValueAndTimestamp<Object>> all =
                 driver.<Object, Object>getTimestampedWindowStore(name).all()) {
            while (all.hasNext()) {
                final KeyValue<Windowed<Object>, ValueAndTimestamp<Object>> entry = all.next();
                windowed(rows.addArray(), entry.key).add(Functions.text(entry.value.value()))
                    .add(entry.value.timestamp());
            }
        }
    }

    private static void session(final TopologyTestDriver driver, final String name, final ArrayNode rows) {
        try (KeyValueIterator<Windowed<Object>, Object> all =
                 driver.<Object, Object>getSessionStore(name).fetch(null, null)) {
            while (all.hasNext()) {
                final KeyValue<Windowed<Object>, Object> entry = all.next();
                windowed(rows.addArray(), entry.key).add(Functions.text(entry.value));
            }
        }
    }

    private static ArrayNode windowed(final ArrayNode row, final Windowed<Object> key) {
        return row.add(Functions.text(key.key())).add(key.window().start()).add(key.window().end());
    }

    /** A versioned store has no scan: the keys and times of the request are looked up, [key, asked, value, timestamp]. */
    private static void versioned(
            final TopologyTestDriver driver, final String name, final JsonNode request, final ArrayNode rows) {
        final VersionedKeyValueStore<Object, Object> store = driver.getVersionedKeyValueStore(name);
        for (final JsonNode key : request.path("probe").path("keys")) {
            add(rows, key.asText(), -1, store.get(key.asText()));
            for (final JsonNode time : request.path("probe").path("times")) {
                add(rows, key.asText(), time.asLong(), store.get(key.asText(), time.asLong()));
            }
        }
    }

    private static void add(
            final ArrayNode rows, final String key, final long asked, final VersionedRecord<Object> found) {
        if (found != null) {
            rows.addArray().add(key).add(asked).add(Functions.text(found.value())).add(found.timestamp());
        }
    }
}
