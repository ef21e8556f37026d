import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.processor.Cancellable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.UsePartitionTimeOnInvalidTimestamp;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The users' processors and timestamp extractors, by name: processors.py says the same in Python. */
final class Processors {
    private static final int TICKS = 3;

    private Processors() {}

    static Flow process(final Case topology, final JsonNode node) {
        final Flow in = topology.input(node);
        final String id = Case.id(node);
        final Named named = Named.as(id + "-process");
        final String name = Case.function(node);
        if (name.startsWith("previous")) {
            topology.stores.put(id, Case.StoreKind.KEY_VALUE);
            topology.builder.addStateStore(Stores.timestampedKeyValueStoreBuilder(
                topology.inMemory ? Stores.inMemoryKeyValueStore(id) : Stores.persistentTimestampedKeyValueStore(id),
                Serdes.String(), Serdes.String()));
        }
        final KStream<Object, Object> stream = in.stream;
        switch (name) {
            case "previous":
                return Flow.of(stream.process(() -> new Previous(id), named, id), Flow.TEXT, Flow.TEXT).rekeyed(true);
            case "previous-value":
                return Flow.of(stream.processValues(() -> new PreviousValue(id), named, id), in.key, Flow.TEXT)
                    .rekeyed(in.rekeyed);
            case "ticks":
                final PunctuationType type = node.get("clock").asText().equals("wall")
                    ? PunctuationType.WALL_CLOCK_TIME : PunctuationType.STREAM_TIME;
                return Flow.of(stream.process(() -> new Ticks(type, node.get("interval").asLong()), named),
                    Flow.TEXT, Flow.TEXT).rekeyed(true);
            default: throw new IllegalArgumentException("processor " + name);
        }
    }

    static TimestampExtractor extractor(final String name) {
        switch (name) {
            case "digits": return (record, partitionTime) -> {
                final String digits = Functions.text(record.value()).replaceAll("[^0-9]", "");
                return digits.isEmpty() ? -1 : Long.parseLong(digits);
            };
            case "later": return (record, partitionTime) -> Math.max(record.timestamp(), partitionTime);
            case "partition-time": return new UsePartitionTimeOnInvalidTimestamp();
            default: throw new IllegalArgumentException("timestamp extractor " + name);
        }
    }

    private static Object exchange(
            final KeyValueStore<String, org.apache.kafka.streams.state.ValueAndTimestamp<String>> store,
            final Object key, final Object value, final long timestamp) {
        if (key == null) {
            return value;
        }
        final String name = Functions.text(key);
        final org.apache.kafka.streams.state.ValueAndTimestamp<String> before = store.get(name);
        if (value == null) {
            store.delete(name);
        } else {
            store.put(name, org.apache.kafka.streams.state.ValueAndTimestamp.make(Functions.text(value), timestamp));
        }
        return (before == null ? "none" : before.value()) + ">" + Functions.text(value);
    }

    /** Puts the previous value of the key before each value. */
    private static final class Previous extends ContextualProcessor<Object, Object, Object, Object> {
        private final String name;
        private KeyValueStore<String, org.apache.kafka.streams.state.ValueAndTimestamp<String>> store;

        Previous(final String name) {
            this.name = name;
        }

        @Override
        public void init(final ProcessorContext<Object, Object> context) {
            super.init(context);
            store = context.getStateStore(name);
        }

        @Override
        public void process(final Record<Object, Object> record) {
            context().forward(record.withValue(exchange(store, record.key(), record.value(), record.timestamp())));
        }
    }

    /** The same, as a processor of values. */
    private static final class PreviousValue extends ContextualFixedKeyProcessor<Object, Object, Object> {
        private final String name;
        private KeyValueStore<String, org.apache.kafka.streams.state.ValueAndTimestamp<String>> store;

        PreviousValue(final String name) {
            this.name = name;
        }

        @Override
        public void init(final FixedKeyProcessorContext<Object, Object> context) {
            super.init(context);
            store = context.getStateStore(name);
        }

        @Override
        public void process(final FixedKeyRecord<Object, Object> record) {
            context().forward(record.withValue(exchange(store, record.key(), record.value(), record.timestamp())));
        }
    }

    /** Passes records on, and forwards the times at which its timer fires, until it has fired often enough. */
    private static final class Ticks extends ContextualProcessor<Object, Object, Object, Object> {
        private final PunctuationType type;
        private final long interval;
        private int fired;
        private Cancellable timer;

        Ticks(final PunctuationType type, final long interval) {
            this.type = type;
            this.interval = interval;
        }

        @Override
        public void init(final ProcessorContext<Object, Object> context) {
            super.init(context);
            timer = context.schedule(java.time.Duration.ofMillis(interval), type, this::tick);
        }

        private void tick(final long time) {
            context().forward(new Record<>("tick", String.valueOf(time), time));
            if (++fired == TICKS) {
                timer.cancel();
            }
        }

        @Override
        public void process(final Record<Object, Object> record) {
            context().forward(record);
        }
    }
}
