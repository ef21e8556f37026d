import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.regex.Pattern;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.ValueMapperWithKey;
import org.apache.kafka.streams.processor.StateStore;

/** Each work as a user of Kafka Streams writes it. */
final class Works {
    static final String STORE = "by-user";

    private static final Duration WINDOW = Duration.ofMinutes(1);
    private static final Duration HOP = Duration.ofSeconds(20);
    private static final Duration GAP = Duration.ofSeconds(30);
    private static final String DROPPED = "DEBUG";
    private static final String MASK = "[email]";
    private static final Pattern EMAIL = Pattern.compile("[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}");

    private final Job job;
    private final Progress progress;
    private final StreamsBuilder builder = new StreamsBuilder();
    private final Serde<ObjectNode> json;
    private final Map<String, Runnable> declarations = Map.ofEntries(
            Map.entry("read", this::read),
            Map.entry("decode", this::decode),
            Map.entry("route", this::route),
            Map.entry("repartition", this::repartition),
            Map.entry("dedup", this::dedup),
            Map.entry("count", this::count),
            Map.entry("both", this::both),
            Map.entry("keys", this::keys),
            Map.entry("restore", this::count),
            Map.entry("hopping", this::hopping),
            Map.entry("session", this::session),
            Map.entry("stream-join", this::streamJoin),
            Map.entry("table-join", this::tableJoin));

    Works(Job job, Progress progress) {
        this.job = job;
        this.progress = progress;
        this.json = Json.serde(ObjectNode.class, progress);
    }

    /** Declares the job's work. */
    StreamsBuilder declare() {
        declarations.get(job.work()).run();
        return builder;
    }

    private void read() {
        builder.stream(job.source(), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())).foreach((key, value) -> {
            progress.begin();
            progress.noteAndAdd(value.length);
        });
    }

    private void decode() {
        switch (job.format()) {
            case "typed" -> decode(Json.serde(Log.class, progress), Log::bytes);
            case "avro" -> decode(Avro.serde(job.schema(), progress), log -> (Long) log.get("bytes"));
            default -> decode(json, Works::bytes);
        }
    }

    private <V> void decode(Serde<V> serde, ToLongFunction<V> bytes) {
        builder.stream(job.source(), Consumed.with(Serdes.ByteArray(), serde))
                .foreach((key, log) -> progress.noteAndAdd(bytes.applyAsLong(log)));
    }

    private void route() {
        switch (job.format()) {
            case "typed" -> route(
                    Json.serde(Log.class, progress),
                    Log::severity,
                    (key, log) -> log.withMessage(masked(log.message())));
            case "avro" -> route(
                    Avro.serde(job.schema(), progress), log -> (String) log.get("severity"), (key, log) -> {
                        log.put("message", masked((String) log.get("message")));
                        return log;
                    });
            default -> route(json, log -> log.get("severity").textValue(), (key, log) -> {
                log.put("message", masked(log.get("message").textValue()));
                return log;
            });
        }
    }

    private <V> void route(
            Serde<V> serde,
            Function<V, String> severity,
            ValueMapperWithKey<byte[], V, V> mask) {
        builder.stream(job.source(), Consumed.with(Serdes.ByteArray(), serde))
                .filter((key, log) -> {
                    progress.note();
                    return !severity.apply(log).equals(DROPPED);
                })
                .mapValues(mask)
                .to(job.target(), Produced.with(Serdes.ByteArray(), serde));
    }

    private void repartition() {
        logs(Serdes.ByteArray())
                .selectKey((key, log) -> log.get("host").textValue())
                .repartition(Repartitioned.with(Serdes.String(), json).withName("by-host"))
                .foreach((host, log) -> progress.noteAndAdd(bytes(log)));
    }

    private void dedup() {
        logs(Serdes.ByteArray())
                .selectKey((key, log) -> log.get("id").textValue())
                .repartition(Repartitioned.with(Serdes.String(), json).withName("by-id"))
                .process(Dedup.supplier(job, progress))
                .foreach((id, log) -> progress.add(bytes(log)));
    }

    /** The route, and the count in windows. */
    private void both() {
        KStream<String, ObjectNode> logs = logs(Serdes.String());
        logs.groupByKey(Grouped.with(Serdes.String(), json))
                .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, Duration.ofMillis(job.graceMs())))
                .aggregate(() -> CountSum.NOTHING, this::add, store());
        logs.filter((key, log) -> !log.get("severity").textValue().equals(DROPPED))
                .mapValues(log -> {
                    log.put("message", masked(log.get("message").textValue()));
                    return log;
                })
                .to(job.target(), Produced.with(Serdes.String(), json));
    }

    /** A count by user, for ever. */
    private void keys() {
        grouped().count(Materialized.as(STORE));
    }

    private void count() {
        grouped()
                .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, Duration.ofMillis(job.graceMs())))
                .aggregate(() -> CountSum.NOTHING, this::add, store());
    }

    private void hopping() {
        grouped()
                .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, Duration.ofMillis(job.graceMs())).advanceBy(HOP))
                .aggregate(() -> CountSum.NOTHING, this::add, store());
    }

    private void session() {
        grouped()
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(GAP, Duration.ofMillis(job.graceMs())))
                .aggregate(
                        () -> CountSum.NOTHING,
                        this::add,
                        (user, left, right) -> left.with(right),
                        store());
    }

    private void streamJoin() {
        logs(Serdes.String())
                .join(
                        builder.stream(job.other(), Consumed.with(Serdes.String(), json)),
                        (left, right) -> bytes(left) + bytes(right),
                        JoinWindows.ofTimeDifferenceAndGrace(WINDOW, Duration.ofMillis(job.graceMs())),
                        StreamJoined.with(Serdes.String(), json, json))
                .foreach((user, amount) -> progress.noteAndAdd(amount));
    }

    private void tableJoin() {
        logs(Serdes.String())
                .join(
                        builder.table(job.other(), Consumed.with(Serdes.String(), json)),
                        (log, user) -> bytes(log) + bytes(user),
                        Joined.with(Serdes.String(), json, json))
                .foreach((user, amount) -> progress.noteAndAdd(amount));
    }

    private <K> KStream<K, ObjectNode> logs(Serde<K> key) {
        return builder.stream(job.source(), Consumed.with(key, json));
    }

    private KGroupedStream<String, ObjectNode> grouped() {
        return logs(Serdes.String()).groupByKey(Grouped.with(Serdes.String(), json));
    }

    private CountSum add(String user, ObjectNode log, CountSum soFar) {
        progress.note();
        return soFar.with(bytes(log));
    }

    private static <S extends StateStore> Materialized<String, CountSum, S> store() {
        return Materialized.<String, CountSum, S>as(STORE)
                .withKeySerde(Serdes.String())
                .withValueSerde(CountSum.SERDE);
    }

    private static long bytes(ObjectNode log) {
        return log.get("bytes").longValue();
    }

    private static String masked(String text) {
        return EMAIL.matcher(text).replaceAll(MASK);
    }
}
