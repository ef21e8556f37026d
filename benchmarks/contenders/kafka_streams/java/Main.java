import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** One measurement: `java Main JOB`, both in JSON; prints a Measurement. */
final class Main {
    private static final long POLL_MS = 5;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Job job = Json.MAPPER.readValue(arguments[0], Job.class);
        Progress progress = new Progress();
        Properties settings = settings(job);
        KafkaStreams streams = new KafkaStreams(new Works(job, progress).declare().build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Map<String, Object> measured =
                job.work().equals("restore") ? Restore.run(job, progress, streams) : run(job, progress, streams);
        System.out.println(Json.MAPPER.writeValueAsString(measured));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Runs until every result is there and committed. */
    private static Map<String, Object> run(Job job, Progress progress, KafkaStreams streams) throws Exception {
        streams.start();
        while (progress.results() < job.results()) {
            Thread.sleep(POLL_MS);
        }
        // Closing commits at once, whatever the commit interval is.
        new Thread(streams::close).start();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", job.address()))) {
            while (committed(admin, job) < job.records()) {
                Thread.sleep(POLL_MS);
            }
        }
        return measurement(job.records(), progress.seconds(), progress.cpuSeconds(), progress.entries(), progress.total());
    }

    private static long committed(Admin admin, Job job) throws Exception {
        List<String> sources =
                Stream.of(job.source(), job.other()).filter(topic -> !topic.isEmpty()).toList();
        return admin
                .listConsumerGroupOffsets(job.applicationId())
                .partitionsToOffsetAndMetadata()
                .get()
                .entrySet()
                .stream()
                .filter(entry -> sources.contains(entry.getKey().topic()))
                .mapToLong(entry -> entry.getValue().offset())
                .sum();
    }

    static Map<String, Object> measurement(
            long records, double seconds, double cpuSeconds, long entries, long checksum) {
        return Map.of(
                "records", records,
                "seconds", seconds,
                "cpu_seconds", cpuSeconds,
                "entries", entries,
                "checksum", checksum);
    }

    static Properties settings(Job job) {
        Properties settings = new Properties();
        settings.putAll(job.settings());
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, job.applicationId());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.address());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, job.stateDir());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, job.threads());
        return settings;
    }
}
