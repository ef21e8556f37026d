import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowBytesStoreSupplier;
import org.apache.kafka.streams.state.WindowStore;

/** Windowed joins of two streams: as Kafka Streams does them, and with its pairs alone but rows of `Unmatched`. */
final class StreamJoins {
    private StreamJoins() {}

    static Flow join(final Case topology, final JsonNode node) {
        final Flow left = topology.inputs(node).get(0);
        final Flow right = topology.inputs(node).get(1);
        final ValueJoinerWithKey<Object, Object, Object, Object> joiner = Functions.joiner(Case.function(node));
        final boolean outer = !node.get("kind").asText().equals("inner");
        final boolean negative = node.get("before").asLong() < 0 || node.get("after").asLong() < 0;
        final KStream<Object, Object> joined;
        if (topology.improved(3) && outer || topology.improved(6) && negative) {
            joined = observed(topology, node, left, right, joiner);
        } else {
            joined = joined(node, valued(topology, left.stream, outer), valued(topology, right.stream, outer), joiner,
                stored(topology, node, StreamJoined.with(left.key, left.value, right.value)));
        }
        return Flow.of(joined, left.key, Flow.TEXT);
    }

    /**
     * Null values pass an inner join without effect, where stores are RocksDB's. In memory they advance the time of
     * the store that does not take them: so they are kept from it.
     */
    private static KStream<Object, Object> valued(
            final Case topology, final KStream<Object, Object> stream, final boolean outer) {
        return outer || !topology.inMemory ? stream : stream.filter((key, value) -> value != null);
    }

    private static KStream<Object, Object> joined(
            final JsonNode node, final KStream<Object, Object> left, final KStream<Object, Object> right,
            final ValueJoinerWithKey<Object, Object, Object, Object> joiner,
            final StreamJoined<Object, Object, Object> stored) {
        final JoinWindows windows = JoinWindows
            .ofTimeDifferenceAndGrace(size(node), Case.duration(node, "grace"))
            .before(Case.duration(node, "before")).after(Case.duration(node, "after"));
        switch (node.get("kind").asText()) {
            case "inner": return left.join(right, joiner, windows, stored);
            case "left": return left.leftJoin(right, joiner, windows, stored);
            default: return left.outerJoin(right, joiner, windows, stored);
        }
    }

    /** What JoinWindows wants to begin with: its first bound must not be negative. */
    private static Duration size(final JsonNode node) {
        return Duration.ofMillis(Math.max(0, Math.max(node.get("before").asLong(), node.get("after").asLong())));
    }

    private static StreamJoined<Object, Object, Object> stored(
            final Case topology, final JsonNode node, final StreamJoined<Object, Object, Object> plain) {
        final StreamJoined<Object, Object, Object> named = plain.withName(Case.id(node)).withStoreName(Case.id(node));
        if (!topology.improved(1)) {
            return named;
        }
        return named.withThisStoreSupplier(new LongerStore(topology, node, "-left"))
            .withOtherStoreSupplier(new LongerStore(topology, node, "-right"));
    }

    /** A join whose arrivals and pairs are seen by `Unmatched`, which emits what it has to. */
    private static KStream<Object, Object> observed(
            final Case topology, final JsonNode node, final Flow left, final Flow right,
            final ValueJoinerWithKey<Object, Object, Object, Object> joiner) {
        final String id = Case.id(node);
        final Unmatched unmatched = new Unmatched(node, joiner, left.key.serializer());
        final KStream<Object, Object> lefts =
            left.repartitioned(id + "-left")
                .process(unmatched.arrivals(true, id + "-rows-left"), Named.as(id + "-arrivals-left"));
        final KStream<Object, Object> rights =
            right.repartitioned(id + "-right")
                .process(unmatched.arrivals(false, id + "-rows-right"), Named.as(id + "-arrivals-right"));
        KeptKey.declare(lefts);
        KeptKey.declare(rights);
        final KStream<Object, Object> pairs = joined(node, lefts, rights, Unmatched::pair,
            stored(topology, node, StreamJoined.with(left.key, Flow.TEXT, Flow.TEXT)));
        final KStream<Object, Object> results = pairs
            .merge(lefts, Named.as(id + "-rows-left")).merge(rights, Named.as(id + "-rows-right"))
            .process(unmatched.results(), Named.as(id + "-results"));
        KeptKey.declare(results);
        return results;
    }

    /**
     * A store of one side that keeps records as long as one that is not late can match them: grace, and the
     * longest of the window's width and of its bounds. It states the retention that Kafka Streams insists on.
     */
    private static final class LongerStore implements WindowBytesStoreSupplier {
        private final long size;
        private final long grace;
        private final WindowBytesStoreSupplier store;

        LongerStore(final Case topology, final JsonNode node, final String side) {
            final long before = node.get("before").asLong();
            final long after = node.get("after").asLong();
            size = before + after;
            grace = node.get("grace").asLong();
            final Duration retention =
                Duration.ofMillis(grace + Math.max(size, Math.max(before + 1, after + 1)));
            final String name = Case.id(node) + side;
            store = topology.inMemory
                ? Stores.inMemoryWindowStore(name, retention, Duration.ofMillis(size), true)
                : Stores.persistentWindowStore(name, retention, Duration.ofMillis(size), true);
        }

        @Override
        public String name() {
            return store.name();
        }

        @Override
        public WindowStore<Bytes, byte[]> get() {
            return store.get();
        }

        @Override
        public String metricsScope() {
            return store.metricsScope();
        }

        @Override
        public long segmentIntervalMs() {
            return store.segmentIntervalMs();
        }

        @Override
        public long windowSize() {
            return size;
        }

        @Override
        public boolean retainDuplicates() {
            return true;
        }

        @Override
        public long retentionPeriod() {
            return size + grace;
        }
    }
}
