"""Publish as DWP, subscribe as Leeds, with confluent-kafka and fastavro alone (docs/examples/README.md)."""

import io
import json
import os
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from confluent_kafka import Consumer, Producer
from fastavro import parse_schema, schemaless_reader

REGISTRY = os.environ["REGISTRY"] + "/apis/ccompat/v7"
SECURED = Path(os.environ.get("KAFKA_PROPERTIES", os.devnull)).read_text().splitlines()
KAFKA = {"bootstrap.servers": os.environ["KAFKA"]} | dict(line.split("=", 1) for line in SECURED)
TYPE, VIEW, KEPT = "uk.gov.benefits.claimant.v1", "view.council-leeds-housing", Path("kept")
if sys.argv[1] == "publish":  # a CloudEvent may be a JSON document on Kafka too, and then needs no Avro
    event = {"specversion": "1.0", "id": f"{time.time_ns()}", "source": "urn:gov:dwp:cis", "type": TYPE}
    event["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event["data"] = {"nino": sys.argv[2], "name": {"given_names": sys.argv[3], "family_name": sys.argv[4]}}
    said = []  # by the broker, of the event: None if it has it
    producer = Producer(KAFKA | {"on_delivery": lambda e, _: said.append(e), "enable.idempotence": True})
    producer.produce(TYPE, json.dumps(event), headers={"content-type": "application/cloudevents+json"})
    sys.exit(f"not delivered: {said}" if producer.flush(30) or any(said) else print("published", event["id"]))
KEPT.mkdir(exist_ok=True)
settings = {"group.id": "subscriber.council-leeds.example", "isolation.level": "read_committed"}
settings["session.timeout.ms"] = 10_000  # so long the partitions of one that was killed wait for the next
consumer = Consumer(KAFKA | settings | {"auto.offset.reset": "earliest", "enable.auto.commit": False})
consumer.subscribe([VIEW])
while (record := consumer.poll(1)) is None or not record.error():
    if record is not None:
        key, value = record.key().decode(), record.value()
        if value is None:  # a withdrawal: delete what was held under this key
            (KEPT / key).unlink(missing_ok=True)
        else:
            schema = json.load(urlopen(f"{REGISTRY}/schemas/ids/{int.from_bytes(value[1:5])}"))["schema"]
            view = schemaless_reader(io.BytesIO(value[5:]), parse_schema(json.loads(schema)), None)
            (KEPT / key).write_text(json.dumps(view, default=str))
        print(*(("keep", key, view) if value else ("delete", key)), flush=True)
        consumer.commit(record)  # only when it is kept or deleted
sys.exit(f"{record.error()}")
