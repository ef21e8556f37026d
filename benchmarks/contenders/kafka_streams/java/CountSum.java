import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** The aggregate of a window: sixteen bytes in the store, which is the cheapest that it can be. */
record CountSum(long count, long sum) {
    static final CountSum NOTHING = new CountSum(0, 0);

    static final Serde<CountSum> SERDE = Serdes.serdeFrom(
            (topic, value) -> value == null
                    ? null
                    : ByteBuffer.allocate(2 * Long.BYTES).putLong(value.count).putLong(value.sum).array(),
            (topic, data) -> {
                if (data == null) {
                    return null;
                }
                ByteBuffer buffer = ByteBuffer.wrap(data);
                return new CountSum(buffer.getLong(), buffer.getLong());
            });

    CountSum with(long amount) {
        return new CountSum(count + 1, sum + amount);
    }

    CountSum with(CountSum other) {
        return new CountSum(count + other.count, sum + other.sum);
    }
}
