import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Set;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

/** Passes the first record of each id: a window store of the ids that were seen, the usual way to do it. */
final class Dedup implements Processor<String, ObjectNode, String, ObjectNode> {
    private static final String STORE = "seen";
    private static final Duration WITHIN = Duration.ofMinutes(10);

    private final Progress progress;
    private ProcessorContext<String, ObjectNode> context;
    private WindowStore<String, Long> seen;

    private Dedup(Progress progress) {
        this.progress = progress;
    }

    static ProcessorSupplier<String, ObjectNode, String, ObjectNode> supplier(Job job, Progress progress) {
        Duration retention = WITHIN.plusMillis(job.graceMs() + 1);
        StoreBuilder<?> store = Stores.windowStoreBuilder(
                Stores.persistentWindowStore(STORE, retention, WITHIN, false), Serdes.String(), Serdes.Long());
        return new ProcessorSupplier<>() {
            @Override
            public Processor<String, ObjectNode, String, ObjectNode> get() {
                return new Dedup(progress);
            }

            @Override
            public Set<StoreBuilder<?>> stores() {
                return Set.of(store);
            }
        };
    }

    @Override
    public void init(ProcessorContext<String, ObjectNode> given) {
        context = given;
        seen = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, ObjectNode> record) {
        long time = record.timestamp();
        boolean copy;
        try (WindowStoreIterator<Long> found =
                seen.fetch(record.key(), time - WITHIN.toMillis(), time + WITHIN.toMillis())) {
            copy = found.hasNext();
        }
        if (!copy) {
            seen.put(record.key(), time, time);
            context.forward(record);
        }
        progress.note();
    }
}
