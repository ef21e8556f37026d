import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.StringJoiner;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Runs cases through Kafka Streams' TopologyTestDriver: one JSON object a line in, one out.
 *
 * <p>In: nodes, inputs, improvements, in_memory, probe. Out: outputs after each input, stores, or the error.
 */
public final class Oracle {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Oracle() {}

    public static void main(final String[] arguments) throws IOException {
        final PrintStream out = System.out;
        System.setOut(System.err);
        final BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.write((run(JSON.readTree(line)) + "\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
        }
    }

    private static ObjectNode run(final JsonNode request) throws IOException {
        final ObjectNode answer = JSON.createObjectNode();
        final Path state = Files.createTempDirectory("headrace-oracle");
        try {
            run(request, answer, state);
        } finally {
            delete(state);
        }
        return answer;
    }

    private static void run(final JsonNode request, final ObjectNode answer, final Path state) {
        final ArrayNode outputs = answer.putArray("outputs");
        TopologyTestDriver driver = null;
        try {
            final Case topology = new Case(request);
            request.get("nodes").forEach(node -> Declarations.declare(topology, node));
            final Properties settings = settings(topology, state);
            driver = new TopologyTestDriver(topology.builder.build(settings), settings, Instant.EPOCH);
            final Topics topics = new Topics(driver, request);
            for (final JsonNode input : request.get("inputs")) {
                topics.pipe(input, outputs.size());
                topics.read(outputs.addArray());
            }
            answer.set("stores", Contents.of(driver, topology, request));
        } catch (final Exception error) {
            answer.put("error", chain(error));
        } finally {
            close(driver);
        }
    }

    private static Properties settings(final Case topology, final Path state) {
        final Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "oracle");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:0");
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        // What an operator has changed without saying how to encode it is a string.
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        // Both throttles by wall clock are off: what is due comes at once.
        settings.put("__emit.interval.ms.kstreams.outer.join.spurious.results.fix__", 0L);
        settings.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);
        if (topology.inMemory) {
            settings.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
                BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class.getName());
        }
        return settings;
    }

    private static String chain(final Throwable error) {
        final String here = error.getClass().getSimpleName() + ": " + error.getMessage();
        return error.getCause() == null ? here : here + " <- " + chain(error.getCause());
    }

    private static void close(final TopologyTestDriver driver) {
        if (driver != null) {
            try {
                driver.close();
            } catch (final RuntimeException error) {
                // After a failed record the driver cannot close in order; its state is deleted anyway.
                System.err.println("not closed: " + error.getMessage());
            }
        }
    }

    private static void delete(final Path directory) throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        }
    }

    /** The topics of one case: what goes in, and what has come out of every sink. */
    private static final class Topics {
        private final TopologyTestDriver driver;
        private final Map<String, TestInputTopic<byte[], byte[]>> inputs = new HashMap<>();
        private final Map<String, TestOutputTopic<byte[], byte[]>> outputs = new HashMap<>();
        private final TreeSet<String> sinks = new TreeSet<>();

        Topics(final TopologyTestDriver driver, final JsonNode request) {
            this.driver = driver;
            request.get("nodes").forEach(node -> {
                if (node.get("op").asText().equals("to")) {
                    final String topic = node.get("topic").asText();
                    sinks.addAll(node.has("by") ? List.of(topic + "-yes", topic + "-no") : List.of(topic));
                }
            });
        }

        /** One input: [topic, key, value, timestamp], or [ms] by which the wall clock advances. */
        void pipe(final JsonNode input, final int number) {
            if (input.size() == 1) {
                driver.advanceWallClockTime(Duration.ofMillis(input.get(0).asLong()));
                return;
            }
            inputs.computeIfAbsent(input.get(0).asText(), topic -> driver.createInputTopic(
                    topic, new ByteArraySerializer(), new ByteArraySerializer()))
                .pipeInput(new TestRecord<>(bytes(input.get(1)), bytes(input.get(2)),
                    new RecordHeaders().add("input", String.valueOf(number).getBytes(StandardCharsets.UTF_8)),
                    input.get(3).asLong()));
        }

        private static String headers(final TestRecord<byte[], byte[]> record) {
            final StringJoiner values = new StringJoiner(" ");
            record.headers().forEach(header -> values.add(new String(header.value(), StandardCharsets.UTF_8)));
            return values.toString();
        }

        private static byte[] bytes(final JsonNode text) {
            return text.isNull() ? null : text.asText().getBytes(StandardCharsets.UTF_8);
        }

        /** What has come out since the last call: [topic, key, value, timestamp, headers], bytes in base64. */
        void read(final ArrayNode records) {
            final Set<String> written = driver.producedTopicNames();
            for (final String sink : sinks) {
                if (!written.contains(sink)) {
                    continue;
                }
                final TestOutputTopic<byte[], byte[]> topic = outputs.computeIfAbsent(sink, name ->
                    driver.createOutputTopic(name, new ByteArrayDeserializer(), new ByteArrayDeserializer()));
                for (final TestRecord<byte[], byte[]> record : topic.readRecordsToList()) {
                    records.addArray().add(sink).add(record.key()).add(record.value()).add(record.timestamp())
                        .add(headers(record));
                }
            }
        }
    }
}
