import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** An application that runs until SIGTERM: `java Live JOB`, in JSON. */
final class Live {
    private Live() {}

    public static void main(String[] arguments) throws Exception {
        Job job = Json.MAPPER.readValue(arguments[0], Job.class);
        KafkaStreams streams = new KafkaStreams(new Works(job, new Progress()).declare().build(), Main.settings(job));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
