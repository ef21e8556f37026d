import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.streams.StreamsBuilder;

/** A topology while it is being declared: the flows by the identifiers of their nodes, and the stores. */
final class Case {
    /** What a store is, for reading it at the end. */
    enum StoreKind { KEY_VALUE, WINDOW, SESSION, VERSIONED }

    final StreamsBuilder builder = new StreamsBuilder();
    final Map<String, Flow> flows = new HashMap<>();
    final Map<String, StoreKind> stores = new LinkedHashMap<>();
    private final Set<Integer> improvements = new HashSet<>();
    final boolean inMemory;

    Case(final JsonNode request) {
        request.path("improvements").forEach(number -> improvements.add(number.asInt()));
        inMemory = request.path("in_memory").asBoolean(true);
    }

    /** Whether Kafka Streams is to be corrected as Headrace's documented improvement of this number demands. */
    boolean improved(final int number) {
        return improvements.contains(number);
    }

    Flow input(final JsonNode node) {
        return inputs(node).get(0);
    }

    List<Flow> inputs(final JsonNode node) {
        final List<Flow> found = new ArrayList<>();
        node.get("of").forEach(id -> found.add(flows.get(id.asText())));
        return found;
    }

    static String id(final JsonNode node) {
        return node.get("id").asText();
    }

    static String function(final JsonNode node) {
        return node.get("fn").asText();
    }

    static Duration duration(final JsonNode node, final String name) {
        return Duration.ofMillis(node.get(name).asLong());
    }
}
