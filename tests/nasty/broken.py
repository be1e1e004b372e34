"""Lines that must be rejected: every reason of E7, alone and several together."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.model.contracts import Contract, Rules
from tests.model.times import FIVE_MINUTES_MS, text_of
from tests.nasty.pools import wrong_value

Event = dict[str, Any]

BAD_IDS = ("", 5, None, "a\nb", "\x7f", ["x"])
BAD_SOURCES = (
    "urn:gov:dwp",
    "urn:gov:dwp:main system",
    "urn:gov:DWP:main",
    "urn:gov:d:main",
    "urn:gov:dwp:",
    "gov:dwp:main",
    "urn:gov:dwp:" + "x" * 65,
    "urn:gov:dwp:main\n",
    "urn:gov:" + "d" * 32 + ":main",
    None,
)
BAD_TYPES = (
    "uk.gov.civil.name",
    "uk.gov.civil.name.v0",
    "uk.gov.Civil.name.v1",
    "com.example.thing",
    "uk.gov.name.v1",
    "uk.gov.civil.name.v1 ",
    "",
    7,
    None,
)
BAD_TIMES = (
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00",
    "2026-01-01T24:00:00Z",
    "2026-1-1T00:00:00Z",
    "2026-01-01T00:00Z",
    "2026-01-01T00:00:00+1:00",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00.Z",
    "0000-02-30T00:00:00Z",
    "yesterday",
    "",
    1767225600,
    None,
)


def broken(rng: Random, event: Event, rules: Rules, at_ms: int) -> bytes:
    """The event with one to three faults, as a line."""
    event = deepcopy(event)
    contract = rules.contracts[event["type"]]
    for fault in rng.sample(FAULTS, k=rng.choice((1, 1, 1, 2, 3))):
        fault(rng, event, contract, rules, at_ms)
    line = json.dumps(event).encode()
    if rng.random() < 0.12:
        line = _not_json(rng, line)
    return line


def _not_json(rng: Random, line: bytes) -> bytes:
    return rng.choice(
        (
            line[:-1],
            b"[" + line + b"]",
            line + b"}",
            b"\xff" + line,
            line.replace(b'"id"', b'"id\xc3"', 1),
            b"null",
            b'"text"',
            b"{'id': 'a'}",
            b"NaN",
            line[:-1] + b', "n": NaN}',
        )
    )


def _drop(rng: Random, event: Event, *_: Any) -> None:
    event.pop(rng.choice(("id", "source", "type", "time", "specversion")), None)


def _bad_id(rng: Random, event: Event, *_: Any) -> None:
    event["id"] = rng.choice(BAD_IDS)


def _bad_source(rng: Random, event: Event, *_: Any) -> None:
    event["source"] = rng.choice(BAD_SOURCES)


def _bad_type(rng: Random, event: Event, *_: Any) -> None:
    event["type"] = rng.choice(BAD_TYPES)


def _bad_time(rng: Random, event: Event, *_: Any) -> None:
    event["time"] = rng.choice(BAD_TIMES)


def _no_data(rng: Random, event: Event, *_: Any) -> None:
    if rng.random() < 0.5:
        event["data"] = None
    else:
        event.pop("data", None)


def _data_of_a_kind(rng: Random, event: Event, *_: Any) -> None:
    event["data"] = rng.choice(([], "text", 5, True, {}, [{}]))


def _unknown_type(rng: Random, event: Event, *_: Any) -> None:
    event["type"] = rng.choice(
        ("uk.gov.civil.marriage.v1", "uk.gov.no-such.fact.v12", f"{event.get('type')}9")
    )


def _other_owner(rng: Random, event: Event, *_: Any) -> None:
    event["source"] = rng.choice(("urn:gov:ofsted:main", "urn:gov:dvla:main", "urn:gov:nobody:x_1"))


def _too_old(rng: Random, event: Event, *_: Any) -> None:
    event["time"] = rng.choice(
        (
            "1999-12-31T23:59:59.999Z",
            "2000-01-01T00:00:00+00:01",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "0000-02-29T00:00:00Z",
        )
    )


def _in_future(rng: Random, event: Event, contract: Contract, rules: Rules, at_ms: int) -> None:
    soon = text_of(at_ms + FIVE_MINUTES_MS + rng.choice((1, 1000, 86_400_000)))
    event["time"] = rng.choice((soon, soon, soon, "9999-12-31T23:59:59-12:00"))


def _unknown_field(rng: Random, event: Event, *_: Any) -> None:
    if isinstance(event.get("data"), dict):
        inner = [event["data"], *(each for each in event["data"].values() if isinstance(each, dict))]
        rng.choice(inner)["surprise"] = rng.choice((1, None))


def _lost_field(rng: Random, event: Event, *_: Any) -> None:
    if isinstance(event.get("data"), dict) and event["data"]:
        del event["data"][rng.choice(sorted(event["data"]))]


def _wrong_field(rng: Random, event: Event, *_: Any) -> None:
    """A wrong value in some field; some of them a field may take after all."""
    if isinstance(event.get("data"), dict) and event["data"]:
        name = rng.choice(sorted(event["data"]))
        event["data"][name] = rng.choice(
            (5, True, "2025-02-30", "GRANTED ", {}, [], [1], {"a": None}, "", None, 1 << 40)
        )


def _wrong_identifier(rng: Random, event: Event, contract: Contract, *_: Any) -> None:
    name = rng.choice(contract.identifier_fields)
    if not isinstance(event.get("data"), dict) or not isinstance(event["data"].get(name), str):
        return
    scheme = contract.annotations[name]["identifier"]
    value = event["data"][name]
    if scheme != "*":
        event["data"][name] = (
            wrong_value(rng, scheme, value.strip())
            if scheme in ("nhs", "utr")
            else rng.choice(("", "?", "AB123456E", value + "?" * 20))
        )
        return
    given = value.partition(":")[0]
    event["data"][name] = rng.choice(
        (
            value + " ",
            value.upper(),
            f"uprn:{value}",
            value.replace(":", "", 1),
            f"{given}:",
            f"{given}: {value.partition(':')[2]}",
            "nino:ab123456c",
            ":",
            "",
        )
    )


FAULTS = [
    _drop,
    _bad_id,
    _bad_source,
    _bad_type,
    _bad_time,
    _no_data,
    _data_of_a_kind,
    _unknown_type,
    _other_owner,
    _too_old,
    _in_future,
    _unknown_field,
    _lost_field,
    _wrong_field,
    _wrong_identifier,
    _wrong_identifier,
]


def at_the_limit(rng: Random, event: Event) -> bytes:
    """A line of a mebibyte, or one byte more."""
    line = json.dumps(event).encode()
    pad = (1 << 20) - len(line) - len(b', "pad": ""') + rng.choice((0, 1))
    return line[:-1] + b', "pad": "' + b"x" * pad + b'"}'
