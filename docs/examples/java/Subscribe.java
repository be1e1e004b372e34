// Subscribe as Leeds, with the plain Kafka client and Avro (docs/examples/README.md).
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileReader;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Schema;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.serialization.*;

public class Subscribe {
    static Schema ask(int id) throws Exception {
        var url = URI.create(System.getenv("REGISTRY") + "/apis/ccompat/v7/schemas/ids/" + id).toURL();
        return new Schema.Parser().parse(new ObjectMapper().readTree(url).get("schema").asText());
    }

    public static void main(String[] said) throws Exception {
        var kafka = new Properties();
        var secured = System.getenv("KAFKA_PROPERTIES");
        if (secured != null) kafka.load(new FileReader(secured));
        kafka.putAll(Map.of("bootstrap.servers", System.getenv("KAFKA"), "auto.offset.reset", "earliest",
            "isolation.level", "read_committed", "group.id", "subscriber.council-leeds." + UUID.randomUUID()));
        var consumer = new KafkaConsumer<>(kafka, new StringDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(List.of("view.council-leeds-housing"));
        var schemas = new HashMap<Integer, Schema>();
        var kept = new HashMap<String, GenericRecord>(); // built anew from the topic's beginning at every start
        while (true) for (var record : consumer.poll(Duration.ofSeconds(1))) {
            if (record.value() == null) kept.remove(record.key()); // a withdrawal: delete what was held
            else {
                var body = DecoderFactory.get().binaryDecoder(record.value(), 5, record.value().length - 5, null);
                var id = ByteBuffer.wrap(record.value()).getInt(1);
                if (!schemas.containsKey(id)) schemas.put(id, ask(id));
                kept.put(record.key(), new GenericDatumReader<GenericRecord>(schemas.get(id)).read(null, body));
            }
            var done = record.value() == null ? "delete " : "keep ";
            System.out.println(done + record.key() + " " + kept.get(record.key()));
        }
    }
}
