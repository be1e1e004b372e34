import bench.AddressView;
import bench.BenefitView;
import bench.Citizen;
import bench.KnownAddress;
import bench.KnownBenefit;
import bench.KnownPractice;
import bench.PracticeView;
import bench.Said;
import bench.View;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Properties;
import java.util.regex.Pattern;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.util.Utf8;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import uk.gov.benefits.Award;
import uk.gov.consent.Decision;
import uk.gov.consent.State;
import uk.gov.health.Registration;
import uk.gov.local.Address;

/** W1 on Kafka Streams: one processor, one RocksDB store by citizen, exactly once. */
public final class W1 implements Processor<byte[], byte[], byte[], byte[]> {
  static final String[] TOPICS = {
    "uk.gov.local.address.v1", "uk.gov.benefits.award.v1", "uk.gov.health.registration.v1", "uk.gov.consent.decision.v1",
  };
  static final String[] SUBSCRIBERS = {"council", "bank", "clinic"};
  static final String[] PURPOSES = {"housing", "lending", "care"};
  static final Utf8[] CATEGORIES = {new Utf8("contact"), new Utf8("money"), new Utf8("health")};
  static final int CONTACT = 1, MONEY = 2, HEALTH = 4, ALL = 7, ORDINARY = CONTACT | MONEY;
  static final long GRACE_MS = 5 * 60_000, DAY_MS = 24 * 3600 * 1000L;
  static final Pattern NINO =
      Pattern.compile("(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]");
  static final Pattern SEPARATORS = Pattern.compile("[ \\-./]");

  private final SpecificDatumReader<Address> addressReader = new SpecificDatumReader<>(Address.class);
  private final SpecificDatumReader<Award> awardReader = new SpecificDatumReader<>(Award.class);
  private final SpecificDatumReader<Registration> registrationReader = new SpecificDatumReader<>(Registration.class);
  private final SpecificDatumReader<Decision> decisionReader = new SpecificDatumReader<>(Decision.class);
  private final SpecificDatumReader<Citizen> citizenReader = new SpecificDatumReader<>(Citizen.class);
  private final SpecificDatumWriter<Citizen> citizenWriter = new SpecificDatumWriter<>(Citizen.class);
  private final SpecificDatumWriter<View> viewWriter = new SpecificDatumWriter<>(View.class);
  private final ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
  private final int viewId;
  private BinaryDecoder decoder;
  private BinaryEncoder encoder;
  private ProcessorContext<byte[], byte[]> context;
  private KeyValueStore<Bytes, byte[]> store;

  W1(int viewId) {
    this.viewId = viewId;
  }

  @Override
  public void init(ProcessorContext<byte[], byte[]> context) {
    this.context = context;
    store = context.getStateStore("citizen");
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    try {
      String topic = context.recordMetadata().orElseThrow().topic();
      if (topic.equals(TOPICS[0])) address(record);
      else if (topic.equals(TOPICS[1])) award(record);
      else if (topic.equals(TOPICS[2])) registration(record);
      else decision(record);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void address(Record<byte[], byte[]> record) throws IOException {
    Address said = read(addressReader, record.value(), 5);
    String key = canonical(said.getNino());
    if (key == null) return;
    Citizen citizen = load(record.key());
    KnownAddress old = citizen.getAddress();
    long time = time(record.headers());
    Utf8 id = id(record.headers());
    if (old != null && !newer(time, id, old.getTime(), old.getId())) return;
    citizen.setAddress(new KnownAddress(time, id, said.getAddress()));
    save(record.key(), citizen);
    if (old == null || !old.getValue().equals(said.getAddress())) emitAll(record, key, citizen, CONTACT);
  }

  private void award(Record<byte[], byte[]> record) throws IOException {
    Award said = read(awardReader, record.value(), 5);
    String key = canonical(said.getNino());
    if (key == null) return;
    Citizen citizen = load(record.key());
    KnownBenefit old = citizen.getBenefit();
    long time = time(record.headers());
    Utf8 id = id(record.headers());
    if (old != null && !newer(time, id, old.getTime(), old.getId())) return;
    citizen.setBenefit(new KnownBenefit(time, id, said.getBenefit()));
    save(record.key(), citizen);
    if (old == null || !old.getValue().equals(said.getBenefit())) emitAll(record, key, citizen, MONEY);
  }

  private void registration(Record<byte[], byte[]> record) throws IOException {
    Registration said = read(registrationReader, record.value(), 5);
    String key = canonical(said.getNino());
    if (key == null) return;
    Citizen citizen = load(record.key());
    KnownPractice old = citizen.getPractice();
    long time = time(record.headers());
    Utf8 id = id(record.headers());
    if (old != null && !newer(time, id, old.getTime(), old.getId())) return;
    citizen.setPractice(new KnownPractice(time, id, said.getPractice()));
    save(record.key(), citizen);
    if (old == null || !old.getValue().equals(said.getPractice())) emitAll(record, key, citizen, HEALTH);
  }

  private void decision(Record<byte[], byte[]> record) throws IOException {
    Decision said = read(decisionReader, record.value(), 5);
    String key = canonical(said.getNino());
    if (key == null) return;
    Citizen citizen = load(record.key());
    Utf8 source = new Utf8(record.headers().lastHeader("ce_source").value()), id = id(record.headers());
    int agreement = agreement(said);
    for (Said each : citizen.getSaid())
      if (each.getAgreement() == agreement && each.getId().equals(id) && each.getSource().equals(source)) return;
    long time = time(record.headers()), now = System.currentTimeMillis();
    boolean granted = said.getState() == State.GRANTED;
    Integer from = said.getValidFrom(), until = said.getValidUntil();
    int was = shown(citizen, inForce(citizen.getSaid(), agreement, now));
    citizen.getSaid().add(new Said(agreement, time, source, id, granted, categories(said.getCategories(), granted),
        from == null ? time : Math.max(time, from * DAY_MS), until == null ? Long.MAX_VALUE : (until + 1) * DAY_MS));
    save(record.key(), citizen);
    int is = shown(citizen, inForce(citizen.getSaid(), agreement, now));
    if (was != is) emit(record, key, citizen, agreement, is);
  }

  /** The categories that a standing grant covers now (C1). */
  private static int inForce(List<Said> said, int agreement, long now) {
    int found = 0;
    for (Said grant : said) {
      if (grant.getAgreement() != agreement || !grant.getGranted()) continue;
      if (now < grant.getBegins() || now >= grant.getEnds()) continue;
      int defeated = 0;
      for (Said stop : said)
        if (stop.getAgreement() == agreement && !stop.getGranted()
            && stop.getTime() >= grant.getTime() - (stop.getSource().equals(grant.getSource()) ? 0 : GRACE_MS))
          defeated |= stop.getCategories();
      found |= grant.getCategories() & ~defeated;
    }
    return found;
  }

  /** Those of the permitted categories of which something is known. */
  private static int shown(Citizen c, int allowed) {
    return allowed & ((c.getAddress() == null ? 0 : CONTACT) | (c.getBenefit() == null ? 0 : MONEY)
        | (c.getPractice() == null ? 0 : HEALTH));
  }

  private static int agreement(Decision said) {
    for (int i = 0; i < SUBSCRIBERS.length; i++)
      if (SUBSCRIBERS[i].contentEquals(said.getSubscriber()) && PURPOSES[i].contentEquals(said.getPurpose())) return i;
    throw new IllegalArgumentException("no such agreement");
  }

  private static int categories(List<Utf8> named, boolean granted) {
    if (named.isEmpty()) return granted ? ORDINARY : ALL;
    int found = 0;
    for (int i = 0; i < CATEGORIES.length; i++) if (named.contains(CATEGORIES[i])) found |= 1 << i;
    return found;
  }

  private static String canonical(Utf8 nino) {
    String value = SEPARATORS.matcher(nino.toString()).replaceAll("").toUpperCase(Locale.ROOT);
    return NINO.matcher(value).matches() ? "nino:" + value : null;
  }

  private static boolean newer(long time, Utf8 id, long oldTime, Utf8 oldId) {
    return time > oldTime || time == oldTime && id.compareTo(oldId) > 0;
  }

  private static long time(Headers headers) {
    return Instant.parse(new String(headers.lastHeader("ce_time").value(), StandardCharsets.UTF_8)).toEpochMilli();
  }

  private static Utf8 id(Headers headers) {
    return new Utf8(headers.lastHeader("ce_id").value());
  }

  private void emitAll(Record<byte[], byte[]> in, String key, Citizen c, int category) throws IOException {
    if (c.getSaid().isEmpty()) return;
    long now = System.currentTimeMillis();
    for (int agreement = 0; agreement < SUBSCRIBERS.length; agreement++) {
      int allowed = inForce(c.getSaid(), agreement, now);
      if ((allowed & category) != 0) emit(in, key, c, agreement, shown(c, allowed));
    }
  }

  /** Every attribute, null where it is unknown or not permitted; a tombstone when all are (C7). */
  private void emit(Record<byte[], byte[]> in, String key, Citizen c, int agreement, int shown) throws IOException {
    byte[] value = null;
    if (shown != 0) {
      var a = (shown & CONTACT) == 0 ? null : c.getAddress().getValue();
      var b = (shown & MONEY) == 0 ? null : c.getBenefit().getValue();
      var p = (shown & HEALTH) == 0 ? null : c.getPractice().getValue();
      value = write(viewWriter, new View(
          a == null ? null : new AddressView(a.getLine1(), a.getLine2(), a.getTown(), a.getPostcode()),
          b == null ? null : new BenefitView(b.getName(), b.getStatus(), b.getWeeklyPence()),
          p == null ? null : new PracticeView(p.getCode(), p.getRegistered())), viewId);
    }
    String name = SUBSCRIBERS[agreement] + "-" + PURPOSES[agreement] + "|" + key;
    context.forward(new Record<>(name.getBytes(StandardCharsets.UTF_8), value, in.timestamp()));
  }

  private Citizen load(byte[] key) throws IOException {
    byte[] stored = store.get(Bytes.wrap(key));
    return stored == null ? new Citizen(null, null, null, new ArrayList<>(3)) : read(citizenReader, stored, 0);
  }

  private void save(byte[] key, Citizen citizen) throws IOException {
    store.put(Bytes.wrap(key), write(citizenWriter, citizen, 0));
  }

  private <T> T read(SpecificDatumReader<T> reader, byte[] raw, int from) throws IOException {
    decoder = DecoderFactory.get().binaryDecoder(raw, from, raw.length - from, decoder);
    return reader.read(null, decoder);
  }

  private <T> byte[] write(SpecificDatumWriter<T> writer, T value, int schemaId) throws IOException {
    out.reset();
    if (schemaId > 0) { // the Confluent wire format
      out.write(0);
      for (int shift = 24; shift >= 0; shift -= 8) out.write(schemaId >>> shift);
    }
    encoder = EncoderFactory.get().binaryEncoder(out, encoder);
    writer.write(value, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  private static String given(String name) {
    return Objects.requireNonNull(System.getenv(name), name);
  }

  public static void main(String[] args) {
    Properties p = new Properties();
    p.put("bootstrap.servers", given("W1_BOOTSTRAP"));
    p.put("application.id", given("W1_GROUP"));
    p.put("state.dir", given("W1_STATE"));
    p.put("num.stream.threads", given("W1_THREADS"));
    p.put("processing.guarantee", "exactly_once_v2");
    p.put("commit.interval.ms", "100");
    p.put("replication.factor", "1");
    p.put("default.key.serde", Serdes.ByteArraySerde.class);
    p.put("default.value.serde", Serdes.ByteArraySerde.class);
    p.put("statestore.cache.max.bytes", "0");
    p.put("buffered.records.per.partition", "4000");
    p.put("auto.offset.reset", "earliest");
    p.put("consumer.max.poll.records", "4000");
    p.put("consumer.max.partition.fetch.bytes", "4194304");
    p.put("producer.batch.size", "131072");
    p.put("producer.linger.ms", "20");
    p.put("producer.compression.type", "none");
    int viewId = Integer.parseInt(given("W1_VIEW_ID"));
    Topology topology = new Topology();
    topology.addSource("in", TOPICS);
    topology.addProcessor("w1", () -> new W1(viewId), "in");
    topology.addStateStore(Stores.keyValueStoreBuilder(
        Stores.persistentKeyValueStore("citizen"), Serdes.Bytes(), Serdes.ByteArray()), "w1");
    topology.addSink("out", given("W1_VIEW"), "w1");
    KafkaStreams streams = new KafkaStreams(topology, p);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
