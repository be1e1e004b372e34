"""A service team on a secured installation: the examples as they stand, kcat, and what it was handed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import confluent_kafka

from connectors import find_stack
from postroom.access import GATEWAY
from schemas import format_instant
from tests.flow.secured import Secured
from tests.flow.security_deeds import DWP, LEEDS_READS
from tests.flow.spine import now_ms
from tests.flow.test_examples import EXAMPLES, RUN, decided_for_leeds, line_of, published, started

FILES = {
    "confluent-kafka": "librdkafka.properties",
    "java": "java.properties",
    "kafka-python": "kafka-python.properties",
    "kcat": "librdkafka.properties",
    "node": "kafkajs.json",
}
"""Which file of docs/examples/secured a client is given."""
CLIENTS = [name for name in RUN if name in FILES]


def settings_file(own: Secured, client: str, user: str, place: Path) -> Path:
    """What the team makes of a file of the docs: who it is, by what password, and whom to believe."""
    text = (EXAMPLES / "secured" / FILES[client]).read_text(encoding="utf-8")
    handed = {"USER": user, "PASSWORD": own.password(user), "CA_FILE": str(own.security.ca_file)}
    for name, value in handed.items():
        text = text.replace(name, value)
    file = place / f"{user}.{FILES[client]}"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def environment(own: Secured, client: str, user: str, place: Path) -> dict[str, str]:
    """What an example is told; nothing of ours."""
    stack = find_stack(own.settings)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "KAFKA": stack.kafka,
        "REGISTRY": stack.registry,
        "KAFKA_PROPERTIES": str(settings_file(own, client, user, place)),
        "NODE_EXTRA_CA_CERTS": str(own.security.ca_file),
    }


def live_a_day(own: Secured, client: str, place: Path, nino: str) -> str:
    """Publish as DWP, read as Leeds, be ended and started again, hear of the withdrawal; return the key."""
    publish, subscribe = RUN[client](place, own)
    family = f"Specimen-{nino}"
    published((*publish, nino, "Ada", family), environment(own, client, DWP, place), place)
    own.good("publish", "-", user=GATEWAY, given=decided_for_leeds(nino, "GRANTED") + b"\n")
    leeds = environment(own, client, LEEDS_READS, place)
    with started(subscribe, leeds, place) as said:
        kept = line_of(said, lambda line: line.startswith("keep ") and family in line)
    key = kept.split()[1]
    with started(subscribe, leeds, place) as said:
        own.good("publish", "-", user=GATEWAY, given=decided_for_leeds(nino, "WITHDRAWN") + b"\n")
        line_of(said, lambda line: line.startswith(f"delete {key}"))
    return key


def kcat(own: Secured, place: Path, *words: str, given: str = "") -> tuple[int, str, str]:
    """Run kcat as Leeds: its exit code, what it read, what it complained of."""
    file = settings_file(own, "kcat", LEEDS_READS, place)
    ours = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    newer = place / "lib" / "librdkafka.so.1"
    if not newer.exists():  # Debian's is too old to log in on Kafka 4: docs/subscribing.md says what to do
        newer.parent.mkdir()
        newer.symlink_to(next(ours.glob("librdkafka-*.so*")))
    done = subprocess.run(
        ["kcat", "-F", str(file), "-b", find_stack(own.settings).kafka, *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | {"LD_LIBRARY_PATH": f"{newer.parent}:{ours}"},
    )
    return done.returncode, done.stdout, done.stderr


def settle_by_kcat(own: Secured, place: Path) -> None:
    """Acknowledge all that Leeds owes, as docs/subscribing.md has it (V4)."""
    words = ("-C", "-t", "obligations.council-leeds", "-o", "beginning", "-e", "-q")
    code, read, why = kcat(own, place, *words)
    assert code == 0, why
    owed = [json.loads(line)["obligation"] for line in read.splitlines()]
    assert owed, "withdrawals make obligations"
    for obligation in owed:
        event = {"specversion": "1.0", "id": f"kcat-{obligation}", "source": "urn:gov:council-leeds:housing"}
        event |= {"type": "uk.gov.postroom.deletion-acknowledged.v1", "time": format_instant(now_ms())}
        event |= {"data": {"obligation": obligation}}
        words = ("-P", "-t", "acknowledgements", "-H", "content-type=application/cloudevents+json")
        code, _, why = kcat(own, place, *words, given=json.dumps(event))
        assert code == 0, why
