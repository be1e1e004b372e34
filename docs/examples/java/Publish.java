// Publish as DWP, with the plain Kafka client and Avro: NINO GIVEN_NAMES FAMILY_NAME (docs/examples/README.md).
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.*;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.*;
import org.apache.avro.Schema;
import org.apache.avro.generic.*;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Publish {
    static final String TYPE = "uk.gov.benefits.claimant.v1";

    public static void main(String[] said) throws Exception {
        var latest = System.getenv("REGISTRY") + "/apis/ccompat/v7/subjects/" + TYPE + "-value/versions/latest";
        var answer = new ObjectMapper().readTree(URI.create(latest).toURL());
        var schema = new Schema.Parser().parse(answer.get("schema").asText());
        var name = new GenericRecordBuilder(schema.getField("name").schema().getTypes().get(1));
        name.set("given_names", said[1]).set("family_name", said[2]);
        var data = new GenericRecordBuilder(schema).set("nino", said[0]).set("name", name.build()).build();
        var body = new ByteArrayOutputStream(); // the Confluent wire format: 0, the schema's id, Avro
        body.write(ByteBuffer.allocate(5).putInt(1, answer.get("id").asInt()).array());
        var encoder = EncoderFactory.get().directBinaryEncoder(body, null);
        new GenericDatumWriter<GenericRecord>(schema).write(data, encoder);
        var event = new ProducerRecord<byte[], byte[]>(TYPE, body.toByteArray());
        Map.of("ce_specversion", "1.0", "ce_id", "" + UUID.randomUUID(), "ce_source", "urn:gov:dwp:cis",
            "ce_type", TYPE, "ce_time", "" + Instant.now(), "content-type", "application/avro")
            .forEach((header, value) -> event.headers().add(header, value.getBytes()));
        var kafka = new Properties();
        var secured = System.getenv("KAFKA_PROPERTIES");
        if (secured != null) kafka.load(new FileReader(secured));
        kafka.put("bootstrap.servers", System.getenv("KAFKA"));
        try (var producer = new KafkaProducer<>(kafka, new ByteArraySerializer(), new ByteArraySerializer())) {
            System.out.println("published at offset " + producer.send(event).get().offset());
        }
    }
}
