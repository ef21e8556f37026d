import java.lang.reflect.Field;
import org.apache.kafka.streams.kstream.KStream;

/** Says of the result of `process` that its keys are those of its input: Kafka Streams has no way to say so. */
final class KeptKey {
    private KeptKey() {}

    static void declare(final KStream<Object, Object> stream) {
        try {
            final Field field = stream.getClass().getDeclaredField("repartitionRequired");
            field.setAccessible(true);
            field.set(stream, false);
        } catch (final ReflectiveOperationException error) {
            throw new IllegalStateException("this version of Kafka Streams marks changed keys in another way", error);
        }
    }
}
