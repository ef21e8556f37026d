import com.fasterxml.jackson.annotation.JsonPropertyOrder;

/** A log event, typed. */
@JsonPropertyOrder({"id", "host", "service", "severity", "user", "bytes", "message"})
record Log(String id, String host, String service, String severity, String user, long bytes, String message) {
    Log withMessage(String text) {
        return new Log(id, host, service, severity, user, bytes, text);
    }
}
