"""Bad input on the real way in: each gives DESIGN's answer, shows nobody's data, and the rest goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kafka import KafkaProducer

from connectors.trouble import Trouble
from postroom.config import Settings
from processors import DEAD_LETTERS_TOPIC
from producers import synthetic
from schemas import format_instant, frame
from tests.flow.spine import (
    PARTITIONS,
    ROOT,
    SHELL,
    STRUCTURED,
    Installation,
    decided,
    event,
    installation,
    now_ms,
    registered,
)

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(500)]

TYPE = "uk.gov.health.demographics.v1"
OTHER_TYPE = "uk.gov.consent.decision.v1"
SOURCE = "urn:gov:nhs:pds"
CANARY = "Canary-Surname"
INVALID_NHS = "9990000019"
SECRETS = (CANARY.encode(), INVALID_NHS.encode())
LETTER = {"topic", "partition", "offset", "reason", "type", "source", "id", "timestamp_ms"}
HOUR_MS = 3600 * 1000
NOWHERE = "127.0.0.1:9"
OVERSIZED_BYTES = (1 << 20) + 1


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Installation]:
    """An installation with one worker."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as made:
        made.start("a", SHELL)
        yield made
        assert made.exits == [], "no input ends a worker"
        log = (made.place / "a.log").read_bytes()
        assert not any(secret in log for secret in SECRETS), "nobody's data is in a log"


@pytest.fixture(scope="module")
def client(own: Installation) -> Iterator[KafkaProducer]:
    """A plain client; it compresses, because the broker limits what travels: so the oversized get in."""
    producer = KafkaProducer(
        bootstrap_servers=own.stack.kafka, compression_type="gzip", max_request_size=4 << 20, acks="all"
    )
    yield producer
    producer.close()


@dataclass
class Bad:
    """A record that intake must reject; `headers` are changes to good ones, None takes one away."""

    reason: str
    value: str = "good"
    headers: dict[str, str | None] = field(default_factory=dict)
    named: bool = True  # whether the letter can say which event it was


BAD = {
    "null value": Bad("null-value", "null"),
    "null value without headers": Bad("undecodable", "null", {"ce_id": None, "ce_type": None}, False),
    "garbage": Bad("undecodable", "garbage"),
    "empty value": Bad("undecodable", "empty"),
    "unknown schema id": Bad("undecodable", "unknown schema"),
    "time is no time": Bad("undecodable", "good", {"ce_time": "yesterday"}, False),
    "source is no source": Bad("undecodable", "good", {"ce_source": "urn:gov:nhs"}, False),
    "another type's event": Bad("unknown-type", "other", {"ce_type": OTHER_TYPE}),
    "unknown type": Bad("unknown-type", "good", {"ce_type": "uk.gov.civil.marriage.v1"}),
    "another owner": Bad("not-the-owner", "good", {"ce_source": "urn:gov:dvla:drivers"}),
    "truncated Avro": Bad("contract-mismatch", "truncated"),
    "bytes left over": Bad("contract-mismatch", "longer"),
    "another contract's schema": Bad("contract-mismatch", "other"),
    "invalid NHS number": Bad("identifier-invalid", "invalid"),
    "time before 2000": Bad("time-too-old", "good", {"ce_time": "1999-12-31T23:59:59Z"}),
    "time in future": Bad("time-in-future", "good", {"ce_time": "2090-01-01T00:00:00Z"}),
    "oversized": Bad("oversized", "oversized", {}, False),
    "structured garbage": Bad("undecodable", "garbage", STRUCTURED, False),
    "structured, invalid NHS number": Bad("identifier-invalid", "invalid line", STRUCTURED),
    "structured, unknown field": Bad("contract-mismatch", "mismatch line", STRUCTURED),
    "structured, null data": Bad("null-value", "null line", STRUCTURED),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_record_becomes_a_dead_letter(own: Installation, client: KafkaProducer, what: str):
    """One letter where the record is, with the reason of E7, and never what it holds."""
    bad, name = BAD[what], "bad-" + what.replace(" ", "-")
    headers = good_headers(name) | bad.headers
    topic, partition, offset = put(client, value_of(own, bad.value, name), headers)
    letter, raw = dead_letter(own, topic, partition, offset)
    assert letter["reason"] == bad.reason
    assert letter.keys() == LETTER
    if bad.named:
        assert letter["id"] == name
    assert not any(secret in raw for secret in SECRETS)


def test_a_good_event_in_structured_mode_is_accepted_and_the_rest_goes_on(
    own: Installation, client: KafkaProducer
):
    """After all of that a view forms: `application/cloudevents+json` is accepted too (E2)."""
    nhs, hour_ago = synthetic.nhs_number(230_001), now_ms() - HOUR_MS
    for what, bad in BAD.items():  # on every partition, before and after
        for partition in range(PARTITIONS):
            headers = good_headers("again") | bad.headers
            put(client, value_of(own, bad.value, f"again-{what}"), headers, partition)
    own.produce_structured([registered(nhs, hour_ago)])
    own.publish([decided(nhs, "GRANTED", hour_ago)])
    own.settle()
    shown = own.command("view", "council-york-carers", "-o", "jsonl")
    assert shown.returncode == 0, shown.stderr.decode()
    views = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [view["value"]["name"]["family_name"] for view in views] == ["Garamond"]
    assert own.exits == []


def test_bad_lines_are_named_and_the_others_are_published(own: Installation):
    """`postroom publish`: exit 1, each bad line by its number and reason, nothing of what it holds."""
    hour_ago = now_ms() - HOUR_MS
    good = registered(synthetic.nhs_number(230_002), hour_ago)
    lines = {
        good: None,
        b"": None,
        b'{"not": json, "' + CANARY.encode(): "undecodable",
        good.replace(b"demographics", b"astrology"): "unknown-type",
        good.replace(b"urn:gov:nhs", b"urn:gov:dvla"): "not-the-owner",
        invalid_line("line"): "identifier-invalid",
        good.replace(b'"name"', b'"nome"'): "contract-mismatch",
        good.replace(b'"data": {', b'"data": null, "x": {'): "null-value",
        good[:-1] + b', "pad": "' + b"x" * OVERSIZED_BYTES + b'"}': "oversized",
        registered(synthetic.nhs_number(230_003), hour_ago): None,
    }
    done = own.command("publish", "-", "-o", "jsonl", given=b"\n".join(lines))
    assert done.returncode == 1, done.stderr.decode()
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1] == {"published": 2, "refused": 7, "dry_run": False}
    expected = {number: reason for number, reason in enumerate(lines.values(), 1) if reason}
    assert {row["line"]: row["reason"] for row in told[:-1]} == expected
    assert all(row["why"] and row["mend"] for row in told[:-1])
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)


def test_an_unreachable_broker_is_said_and_ends_with_3(own: Installation):
    """By every command that needs it, in one message, without a traceback; all at once, as each waits."""
    environ = {"POSTROOM_KAFKA": NOWHERE, "POSTROOM_REGISTRY": own.stack.registry}
    line = registered(synthetic.nhs_number(230_004), now_ms() - HOUR_MS, CANARY)
    commands = [
        ("publish", "-"),
        ("view", "council-york-carers"),
        ("topics", "plan"),
        ("topics", "apply"),
        ("run", "all"),
        ("status",),
    ]
    with ThreadPoolExecutor(len(commands)) as together:
        ended = list(together.map(lambda words: own.command(*words, given=line, **environ), commands))
    for words, done in zip(commands, ended, strict=True):
        said_unreachable(words, done)


def test_an_unreachable_registry_is_said_and_ends_with_3(own: Installation):
    """Nothing is half done: the registry is asked first."""
    environ = {"POSTROOM_KAFKA": own.stack.kafka, "POSTROOM_REGISTRY": f"http://{NOWHERE}"}
    for words in (
        ("publish", "-"),
        ("view", "council-york-carers"),
        ("contract", "register"),
        ("run", "all"),
    ):
        said_unreachable(words, own.command(*words, **environ))


def said_unreachable(words: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> None:
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 3, (words, said)
    assert "Traceback" not in said, (words, said)
    assert NOWHERE in said, (words, said)
    assert "unreachable" in said, (words, said)
    assert CANARY not in said, (words, said)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("view", "no-such-agreement"), "council-york-carers"),
        (("replay", "-", "--at", "tomorrow"), "2026-06-01T12:00:00Z"),
        (("replay", "no-such-file.jsonl", "--at", "2026-06-01T12:00:00Z"), "no-such-file.jsonl"),
        (("publish", "no-such-file.jsonl"), "no-such-file.jsonl"),
        (("run", "everything"), "persons"),
        (("topics",), "apply"),
        (("publish", "-", "-o", "xml"), "jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_ends_with_2_and_says_what_would_be_right(
    own: Installation, words: tuple[str, ...], hint: str
):
    """Of every command."""
    done = own.command(*words)
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert hint in said


def test_the_registry_refuses_what_breaks_compatibility(own: Installation):
    """FULL_TRANSITIVE on the subject itself, so that nobody's tool gets past the gate."""
    schema = json.loads((ROOT / "schemas" / "health" / "demographics.v1.avsc").read_text())
    schema["fields"].append({"name": "shoe_size", "type": "int", "postroom": {"operational": True}})
    with pytest.raises(Trouble, match="refuses") as refused:
        own.registry.register(f"{TYPE}-value", schema)
    assert refused.value.where == f"{TYPE}-value"


def test_the_gate_refuses_what_breaks_compatibility(own: Installation, tmp_path: Path):
    """`postroom contract check`: exit 1, with the file and the field (E6)."""
    changed = tmp_path / "schemas"
    shutil.copytree(ROOT / "schemas", changed, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = changed / "health" / "demographics.v1.avsc"
    schema = json.loads(file.read_text())
    schema["fields"].append({"name": "shoe_size", "type": "int", "postroom": {"operational": True}})
    file.write_text(json.dumps(schema))
    done = own.command("contract", "check", POSTROOM_CONTRACTS=str(changed))
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 1, said
    assert "demographics.v1.avsc" in said
    assert "shoe_size" in said
    same = own.command("contract", "check")
    assert same.returncode == 0, same.stdout.decode() + same.stderr.decode()


# ---- records ------------------------------------------------------------------------------------------


def good_headers(name: str) -> dict[str, str | None]:
    """The headers of CloudEvents binary mode (E2)."""
    return {
        "ce_specversion": "1.0",
        "ce_id": name,
        "ce_source": SOURCE,
        "ce_type": TYPE,
        "ce_time": format_instant(now_ms() - HOUR_MS),
        "content-type": "application/avro",
    }


def value_of(own: Installation, what: str, name: str) -> bytes | None:
    """The values that BAD names; those that can be read hold a canary."""
    contract = own.contracts.by_type[TYPE]
    schema_id = own.registry.find(f"{TYPE}-value", contract.schema)
    other_id = own.registry.find(f"{OTHER_TYPE}-value", own.contracts.by_type[OTHER_TYPE].schema)
    assert schema_id is not None
    assert other_id is not None
    line = registered(synthetic.nhs_number(230_005), now_ms() - HOUR_MS, CANARY)
    body = contract.to_avro(contract.from_json(json.loads(line)["data"]))
    invalid = contract.to_avro(contract.from_json(json.loads(invalid_line(name))["data"]))
    decision = json.loads(decided(synthetic.nhs_number(230_005), "GRANTED", now_ms()))["data"]
    other = own.contracts.by_type[OTHER_TYPE]
    values = {
        "null": None,
        "good": frame(schema_id, body),
        "garbage": b"\x7f\x00" + CANARY.encode(),
        "empty": b"",
        "unknown schema": frame(2_000_000_000, body),
        "other": frame(other_id, other.to_avro(other.from_json(decision))),
        "truncated": frame(schema_id, body[:-2]),
        "longer": frame(schema_id, body + CANARY.encode()),
        "invalid": frame(schema_id, invalid),
        "oversized": frame(schema_id, body + b"x" * OVERSIZED_BYTES),
        "invalid line": invalid_line(name),
        "mismatch line": line_of(name, {"nhs_number": INVALID_NHS, "surprise": CANARY}),
        "null line": line_of(name, None),
    }
    return values[what]


def invalid_line(name: str) -> bytes:
    """A number whose check digit is wrong, and a name beside it."""
    family = {"given_names": "Amina", "family_name": CANARY}
    data = {"nhs_number": INVALID_NHS, "business_effective_from": "2025-03-01", "name": family}
    return line_of(name, data)


def line_of(name: str, data: object) -> bytes:
    return event(name, SOURCE, TYPE, now_ms() - HOUR_MS, data)


def put(
    client: KafkaProducer, value: bytes | None, headers: dict[str, str | None], partition: int | None = None
) -> tuple[str, int, int]:
    """Put a record on the topic and say where it is."""
    pairs = [(name, text.encode()) for name, text in headers.items() if text is not None]
    key = b"any" if value is None else None  # the client wants one of the two
    landed = client.send(TYPE, value, key, headers=pairs, partition=partition).get(timeout=20)
    return landed.topic, landed.partition, landed.offset


def dead_letter(own: Installation, topic: str, partition: int, offset: int) -> tuple[dict[str, str], bytes]:
    """Wait for the one letter about a record."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        raw = [record.value or b"" for record in own.read(DEAD_LETTERS_TOPIC)]
        letters = [(json.loads(each), each) for each in raw]
        found = [
            (letter, each)
            for letter, each in letters
            if (letter["topic"], letter["partition"], letter["offset"]) == (topic, partition, offset)
        ]
        if found:
            assert len(found) == 1
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no dead letter for {topic}/{partition}/{offset}\n{own.said('a')}")
