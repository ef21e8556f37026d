import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;

/**
 * When unmatched rows of a left or outer join are due: when stream time first exceeds the record's window plus
 * grace. And which pairs are within bounds. The pairs themselves are found by Kafka Streams between `arrivals`,
 * which number the records, and `results`, which read the numbers.
 */
final class Unmatched {
    private final long before;
    private final long after;
    private final long grace;
    private final boolean leftOuter;
    private final boolean rightOuter;
    private final ValueJoinerWithKey<Object, Object, Object, Object> joiner;
    private final Serializer<Object> keys;
    private final List<Arrival> all = new ArrayList<>();
    private final Set<Integer> waiting = new LinkedHashSet<>();
    private final Set<Integer> matched = new HashSet<>();
    private long streamTime = -1;

    Unmatched(final JsonNode node, final ValueJoinerWithKey<Object, Object, Object, Object> joiner,
              final Serializer<Object> keys) {
        this.before = node.get("before").asLong();
        this.after = node.get("after").asLong();
        this.grace = node.get("grace").asLong();
        this.leftOuter = !node.get("kind").asText().equals("inner");
        this.rightOuter = node.get("kind").asText().equals("outer");
        this.joiner = joiner;
        this.keys = keys;
    }

    /** A record of one side; its number is its place in `all`. */
    private record Arrival(boolean left, Object key, Object value, long time) {}

    /** A row to emit as it is. */
    private record Row(Object value) {}

    /** Two numbered values that Kafka Streams found to match; a row of its own without partner is no pair. */
    private record Pair(int left, int right) {}

    static Object pair(final Object key, final Object left, final Object right) {
        return left == null || right == null ? null : new Pair(number(left), number(right));
    }

    private static int number(final Object numbered) {
        return Integer.parseInt((String) numbered);
    }

    /** Number the records of a side; rows go to the child of this name alone. */
    ProcessorSupplier<Object, Object, Object, Object> arrivals(final boolean left, final String rows) {
        return () -> new ContextualProcessor<>() {
            @Override
            public void process(final Record<Object, Object> record) {
                if (record.timestamp() > streamTime) {
                    streamTime = record.timestamp();
                    takeDue().forEach(number -> emit(record, all.get(number)));
                }
                if (record.value() == null) {
                    return;
                }
                final Arrival arrival = new Arrival(left, record.key(), record.value(), record.timestamp());
                final boolean outer = left ? leftOuter : rightOuter;
                if (record.key() == null) {
                    if (outer) {
                        emit(record, arrival);
                    }
                    return;
                }
                final int number = all.size();
                all.add(arrival);
                context().forward(record.withValue(String.valueOf(number)));
                if (outer && !matched.contains(number)) {
                    if (due(arrival)) {
                        emit(record, arrival);
                    } else {
                        waiting.add(number);
                    }
                }
            }

            private void emit(final Record<Object, Object> cause, final Arrival arrival) {
                final Object value = arrival.left()
                    ? joiner.apply(arrival.key(), arrival.value(), null)
                    : joiner.apply(arrival.key(), null, arrival.value());
                context().forward(cause.withKey(arrival.key()).withValue((Object) new Row(value))
                    .withTimestamp(arrival.time()), rows);
            }
        };
    }

    /** Oldest first, right before left, then by the key's bytes, then as they came. */
    private List<Integer> takeDue() {
        final List<Integer> due = new ArrayList<>(waiting);
        due.removeIf(number -> !due(all.get(number)));
        waiting.removeAll(due);
        due.sort(Comparator.<Integer>comparingLong(number -> all.get(number).time())
            .thenComparing(number -> all.get(number).left())
            .thenComparing(number -> keys.serialize("", all.get(number).key()), Arrays::compareUnsigned));
        return due;
    }

    private boolean due(final Arrival arrival) {
        return arrival.time() + (arrival.left() ? after : before) + grace < streamTime;
    }

    ProcessorSupplier<Object, Object, Object, Object> results() {
        return () -> new ContextualProcessor<>() {
            @Override
            public void process(final Record<Object, Object> record) {
                if (record.value() instanceof Row) {
                    context().forward(record.withValue(((Row) record.value()).value()));
                } else if (record.value() instanceof Pair) {
                    final Pair pair = (Pair) record.value();
                    final Arrival left = all.get(pair.left());
                    final Arrival right = all.get(pair.right());
                    if (left.time() - before <= right.time() && right.time() <= left.time() + after) {
                        matched.add(pair.left());
                        matched.add(pair.right());
                        waiting.removeAll(matched);
                        context().forward(record.withValue(joiner.apply(record.key(), left.value(), right.value())));
                    }
                }
            }
        };
    }
}
