import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Map;

/** One measurement; `benchmarks/measurement.py` says what its fields mean. */
@JsonIgnoreProperties(ignoreUnknown = true)
record Job(
        String work,
        String address,
        @JsonProperty("application_id") String applicationId,
        String source,
        String other,
        String target,
        long records,
        long results,
        @JsonProperty("grace_ms") long graceMs,
        @JsonProperty("state_dir") String stateDir,
        String format,
        String schema,
        int threads,
        Map<String, String> settings) {}
