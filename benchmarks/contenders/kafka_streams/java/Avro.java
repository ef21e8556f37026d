import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Avro on Confluent's wire format, with one schema: as its serde does once the registry has answered. */
final class Avro {
    private static final int HEAD_BYTES = 5;

    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> writer;
    private final Progress progress;
    private final ThreadLocal<BinaryDecoder> decoder = new ThreadLocal<>();
    private final ThreadLocal<BinaryEncoder> encoder = new ThreadLocal<>();
    /** A zero byte and the schema's id: those of the records that are read. */
    private volatile byte[] head;

    private Avro(String text, Progress progress) {
        Schema schema = new Schema.Parser().parse(text);
        for (Schema.Field field : schema.getFields()) {
            if (field.schema().getType() == Schema.Type.STRING) {
                GenericData.setStringType(field.schema(), GenericData.StringType.String);
            }
        }
        this.reader = new GenericDatumReader<>(schema);
        this.writer = new GenericDatumWriter<>(schema);
        this.progress = progress;
    }

    static Serde<GenericRecord> serde(String schema, Progress progress) {
        Avro avro = new Avro(schema, progress);
        return Serdes.serdeFrom(
                (topic, record) -> record == null ? null : avro.encode(record),
                (topic, data) -> data == null ? null : avro.decode(data));
    }

    private GenericRecord decode(byte[] data) {
        progress.begin();
        if (head == null) {
            head = Arrays.copyOf(data, HEAD_BYTES);
        }
        BinaryDecoder reused = DecoderFactory.get()
                .binaryDecoder(data, HEAD_BYTES, data.length - HEAD_BYTES, decoder.get());
        decoder.set(reused);
        try {
            return reader.read(null, reused);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private byte[] encode(GenericRecord record) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(head);
        BinaryEncoder reused = EncoderFactory.get().directBinaryEncoder(bytes, encoder.get());
        encoder.set(reused);
        try {
            writer.write(record, reused);
            reused.flush();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }
}
