import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.KeyValueMapper;
import org.apache.kafka.streams.kstream.Merger;
import org.apache.kafka.streams.kstream.Predicate;
import org.apache.kafka.streams.kstream.Reducer;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.kstream.ValueMapperWithKey;
import org.apache.kafka.streams.kstream.Windowed;

/** The users' functions, by name: functions.py says the same in Python. Values are strings, or numbers of a count. */
final class Functions {
    static final String INITIAL = "0";

    private Functions() {}

    /** A key or value as text; of a window its start alone, because the end is not in a time window's bytes. */
    static String text(final Object object) {
        if (object instanceof Windowed) {
            final Windowed<?> windowed = (Windowed<?>) object;
            return text(windowed.key()) + "@" + windowed.window().start();
        }
        return String.valueOf(object);
    }

    private static boolean odd(final Object value) {
        return text(value).chars().sum() % 2 == 1;
    }

    private static String first(final Object value) {
        return value == null ? null : text(value).substring(0, Math.min(1, text(value).length()));
    }

    static Predicate<Object, Object> predicate(final String name) {
        switch (name) {
            case "odd": return (key, value) -> odd(value);
            case "has-a": return (key, value) -> text(value).contains("a");
            case "key-odd": return (key, value) -> odd(key);
            default: throw new IllegalArgumentException("predicate " + name);
        }
    }

    static ValueMapperWithKey<Object, Object, Object> mapper(final String name) {
        switch (name) {
            case "upper": return (key, value) -> text(value).toUpperCase();
            case "tag": return (key, value) -> text(value) + "'";
            case "keyed": return (key, value) -> text(key) + ":" + text(value);
            case "nullify": return (key, value) -> odd(value) ? null : text(value);
            default: throw new IllegalArgumentException("mapper " + name);
        }
    }

    static ValueMapperWithKey<Object, Object, Iterable<Object>> flatMapper(final String name) {
        switch (name) {
            case "twice": return (key, value) -> value == null ? List.of() : List.of(text(value), text(value) + "'");
            case "if-odd": return (key, value) -> odd(value) ? List.of(text(value)) : List.of();
            default: throw new IllegalArgumentException("flat mapper " + name);
        }
    }

    /** New keys; null for some. */
    static KeyValueMapper<Object, Object, Object> selector(final String name) {
        switch (name) {
            case "first": return (key, value) -> first(value);
            case "key-first": return (key, value) -> first(key);
            case "same": return (key, value) -> key == null ? null : text(key);
            case "none-if-odd": return (key, value) -> odd(value) ? null : first(value);
            default: throw new IllegalArgumentException("selector " + name);
        }
    }

    static KeyValueMapper<Object, Object, KeyValue<Object, Object>> pairMapper(final String name) {
        final KeyValueMapper<Object, Object, Object> select = selector(name);
        return (key, value) -> KeyValue.pair(
            select.apply(key, value), value == null ? null : text(key) + ">" + text(value));
    }

    static Reducer<Object> reducer(final String name) {
        switch (name) {
            case "concat": return (soFar, value) -> text(soFar) + "+" + text(value);
            case "last": return (soFar, value) -> text(value);
            case "fragile": return (soFar, value) -> odd(value) ? null : text(soFar) + "+" + text(value);
            case "minus": return (soFar, value) -> text(soFar) + "-" + text(value);
            default: throw new IllegalArgumentException("reducer " + name);
        }
    }

    static Aggregator<Object, Object, Object> aggregator(final String name) {
        final Reducer<Object> reduce = reducer(name);
        return (key, value, soFar) -> reduce.apply(soFar, value);
    }

    static Merger<Object, Object> merger() {
        return (key, left, right) -> text(left) + "|" + text(right);
    }

    static ValueJoinerWithKey<Object, Object, Object, Object> joiner(final String name) {
        switch (name) {
            case "both": return (key, left, right) -> text(left) + "-" + text(right);
            case "keyed": return (key, left, right) -> text(key) + ":" + text(left) + "-" + text(right);
            case "picky": return (key, left, right) -> odd(left) ? null : text(left) + "-" + text(right);
            default: throw new IllegalArgumentException("joiner " + name);
        }
    }
}
