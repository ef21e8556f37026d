import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.VersionedBytesStore;
import org.apache.kafka.streams.state.VersionedBytesStoreSupplier;

/**
 * A versioned store that remembers a deletion at the very time of the value that it deletes.
 *
 * <p>Kafka Streams' store removes that value and notes nothing, so that an older one that comes later is taken
 * for the latest. Deleting once more, when there is nothing any more, makes it note the deletion.
 */
final class RememberedDeletions implements VersionedBytesStoreSupplier {
    private final VersionedBytesStoreSupplier plain;

    RememberedDeletions(final VersionedBytesStoreSupplier plain) {
        this.plain = plain;
    }

    @Override
    public KeyValueStore<Bytes, byte[]> get() {
        final KeyValueStore<Bytes, byte[]> store = plain.get();
        return (VersionedBytesStore) Proxy.newProxyInstance(
            VersionedBytesStore.class.getClassLoader(), new Class<?>[] {VersionedBytesStore.class},
            (proxy, method, arguments) -> {
                try {
                    final Object done = method.invoke(store, arguments);
                    if (method.getName().equals("put") && arguments.length == 3 && arguments[1] == null) {
                        method.invoke(store, arguments);
                    }
                    return done;
                } catch (final InvocationTargetException error) {
                    throw error.getCause();
                }
            });
    }

    @Override
    public String name() {
        return plain.name();
    }

    @Override
    public String metricsScope() {
        return plain.metricsScope();
    }

    @Override
    public long historyRetentionMs() {
        return plain.historyRetentionMs();
    }
}
