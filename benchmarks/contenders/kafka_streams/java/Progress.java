import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** When the first record was in hand, and what came of the records. Shared by all threads. */
final class Progress {
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final AtomicLong results = new AtomicLong();
    private final LongAdder entries = new LongAdder();
    private final LongAdder total = new LongAdder();
    private volatile boolean begun;
    private long startedNanos;
    private long startedCpuNanos;

    /** A record is in hand. */
    void begin() {
        if (!begun) {
            start();
        }
    }

    private synchronized void start() {
        if (!begun) {
            startedNanos = System.nanoTime();
            startedCpuNanos = PROCESS.getProcessCpuTime();
            begun = true;
        }
    }

    /** One of the calls that are waited for. */
    void note() {
        results.incrementAndGet();
    }

    /** So many of them. */
    void note(long number) {
        results.addAndGet(number);
    }

    /** An entry of the result: how many there are, and the sum of their amounts, is checked. */
    void add(long amount) {
        entries.increment();
        total.add(amount);
    }

    /** Both: the last one added is the last one waited for. */
    void noteAndAdd(long amount) {
        add(amount);
        note();
    }

    boolean begun() {
        return begun;
    }

    long results() {
        return results.get();
    }

    long entries() {
        return entries.sum();
    }

    long total() {
        return total.sum();
    }

    double seconds() {
        return (System.nanoTime() - startedNanos) / 1e9;
    }

    double cpuSeconds() {
        return (PROCESS.getProcessCpuTime() - startedCpuNanos) / 1e9;
    }
}
