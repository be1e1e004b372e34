"""Publish as DWP, subscribe as Leeds, with kafka-python and fastavro alone (docs/examples/README.md)."""

import io
import json
import os
import sys
import time
from functools import cache
from urllib.request import urlopen

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from kafka import KafkaConsumer, KafkaProducer

with open(os.environ.get("KAFKA_PROPERTIES", os.devnull)) as secured:
    KAFKA = {"bootstrap_servers": os.environ["KAFKA"]} | dict(line.strip().split("=", 1) for line in secured)
REGISTRY = os.environ["REGISTRY"] + "/apis/ccompat/v7"
TYPE, VIEW = "uk.gov.benefits.claimant.v1", "view.council-leeds-housing"
ask = cache(lambda path: json.load(urlopen(f"{REGISTRY}/{path}")))

if sys.argv[1] == "publish":
    latest = ask(f"subjects/{TYPE}-value/versions/latest")
    body = io.BytesIO(latest["id"].to_bytes(5))  # the Confluent wire format: 0, the schema's id, Avro
    body.seek(5)
    data = {"nino": sys.argv[2], "name": {"given_names": sys.argv[3], "family_name": sys.argv[4]}}
    schemaless_writer(body, parse_schema(json.loads(latest["schema"])), data)
    event = {"specversion": "1.0", "id": f"{time.time_ns()}", "source": "urn:gov:dwp:cis", "type": TYPE}
    event["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    headers = [(f"ce_{n}", v.encode()) for n, v in event.items()] + [("content-type", b"application/avro")]
    KafkaProducer(**KAFKA, acks="all").send(TYPE, body.getvalue(), headers=headers).get(30)
    print("published", event["id"])
else:  # the topic holds all there is, so what is kept is built anew from its beginning at every start
    kept, how = {}, {"isolation_level": "read_committed", "auto_offset_reset": "earliest"}
    for record in KafkaConsumer(VIEW, **KAFKA, **how):
        key, value = record.key.decode(), record.value
        if value is None:  # a withdrawal: delete what was held under this key
            kept.pop(key, None)
        else:
            schema = parse_schema(json.loads(ask(f"schemas/ids/{int.from_bytes(value[1:5])}")["schema"]))
            kept[key] = schemaless_reader(io.BytesIO(value[5:]), schema, None)
        print("keep" if key in kept else "delete", key, json.dumps(kept.get(key), default=str), flush=True)
