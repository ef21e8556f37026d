import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Repartitioned;

/** What a node of a case is in Kafka Streams, with the serdes of what it carries. */
final class Flow {
    static final Serde<Object> TEXT = untyped(Serdes.String());
    static final Serde<Object> NUMBER = untyped(Serdes.Long());

    KStream<Object, Object> stream;
    KTable<Object, Object> table;
    GlobalKTable<Object, Object> global;
    Serde<Object> key = TEXT;
    Serde<Object> value = TEXT;
    /** Whether an operator changed the key since the last repartition. */
    boolean rekeyed;
    /** Of a windowed table: how long after its end a window still changes, and whether the end is inclusive. */
    long wait = -1;
    boolean inclusive;

    static Flow of(final KStream<Object, Object> stream, final Serde<Object> key, final Serde<Object> value) {
        final Flow flow = new Flow();
        flow.stream = stream;
        flow.key = key;
        flow.value = value;
        return flow;
    }

    static Flow of(final KTable<Object, Object> table, final Serde<Object> key, final Serde<Object> value) {
        final Flow flow = new Flow();
        flow.table = table;
        flow.key = key;
        flow.value = value;
        return flow;
    }

    /** Mark the key as changed, or not. */
    Flow rekeyed(final boolean changed) {
        rekeyed = changed;
        return this;
    }

    /** The stream by its key: behind a repartition topic if an operator changed it. */
    KStream<Object, Object> repartitioned(final String name) {
        return rekeyed ? stream.repartition(Repartitioned.with(key, value).withName(name)) : stream;
    }

    /** Take over from the table above what suppress needs to know of its windows. */
    Flow windowsOf(final Flow above) {
        wait = above.wait;
        inclusive = above.inclusive;
        return this;
    }

    @SuppressWarnings("unchecked")
    static Serde<Object> untyped(final Serde<?> serde) {
        return (Serde<Object>) serde;
    }
}
