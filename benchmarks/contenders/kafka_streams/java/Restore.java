import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.CRC32;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/** The count's stores from their changelog: from the first batch to a running application. */
final class Restore implements StateRestoreListener {
    private static final long POLL_MS = 5;

    private final Progress progress;

    private Restore(Progress progress) {
        this.progress = progress;
    }

    static Map<String, Object> run(Job job, Progress progress, KafkaStreams streams) throws Exception {
        streams.setGlobalStateRestoreListener(new Restore(progress));
        streams.start();
        while (!progress.begun() || streams.state() != KafkaStreams.State.RUNNING) {
            Thread.sleep(POLL_MS);
        }
        double seconds = progress.seconds();
        double cpuSeconds = progress.cpuSeconds();
        long entries = 0;
        long checksum = 0;
        var store = streams.store(StoreQueryParameters.fromNameAndType(
                Works.STORE, QueryableStoreTypes.<String, CountSum>windowStore()));
        try (var windows = store.all()) {
            while (windows.hasNext()) {
                var window = windows.next();
                entries += 1;
                checksum += checksum(window.key.key(), window.key.window().start(), window.value);
            }
        }
        return Main.measurement(progress.results(), seconds, cpuSeconds, entries, checksum);
    }

    /** As `benchmarks/digest.py` has it. */
    private static long checksum(String key, long start, CountSum value) {
        CRC32 sum = new CRC32();
        sum.update(key.getBytes(StandardCharsets.UTF_8));
        sum.update((start + " " + value.count() + " " + value.sum()).getBytes(StandardCharsets.UTF_8));
        return sum.getValue();
    }

    @Override
    public void onRestoreStart(TopicPartition partition, String store, long start, long end) {
        progress.begin();
    }

    @Override
    public void onBatchRestored(TopicPartition partition, String store, long end, long restored) {
        progress.note(restored);
    }

    @Override
    public void onRestoreEnd(TopicPartition partition, String store, long restored) {}
}
