"""Every problem of an event in JSON by its JSON path, for whoever has to mend it (E3, E7).

Intake stops at its first reason, because one is enough to reject; a department wants to mend all of them in
one round. Whoever refuses a line asks here what to say of it: nothing here holds a value of the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from .avro import ContractMismatch
from .catalogue import Contracts
from .cloudevents import CloudEvent, NotACloudEvent
from .cloudevents import from_json as cloudevent_from_json
from .contract import Contract
from .json_text import KeyTwice, Step, json_value
from .problem import near_hint
from .rejection import ATTRIBUTES_BYTES_MAX, EARLIEST_MS, EVENT_BYTES_MAX, FUTURE_MS_MAX, Rejection

_NAMED = re.compile(r"`([a-z]+)`")
_NO_SUCH_FIELD = "no such field"
_HINTS_MAX = 3  # of one event's fields; looking for what is near takes time, and a sender has any number
_STAND_INS = {
    "specversion": "1.0",
    "id": "x",
    "source": "urn:gov:nobody:x",
    "type": "uk.gov.none.none.v1",
    "time": "2000-01-01T00:00:00Z",
    "datacontenttype": "application/json",
}
_HOW: Mapping[str, str] = {
    "specversion": 'write "specversion": "1.0"',
    "id": "give each event an id of its own, as text; sent again it keeps it",
    "source": (
        "write it as urn:gov:dwp:cis: your organisation's short name (a-z, 0-9 and -), then the system "
        "(letters, digits, . _ and -)"
    ),
    "type": "write it as uk.gov.<domain>.<fact>.v<N>, domain and fact in a-z, 0-9 and - only",
    "time": "write it as 2026-03-02T09:00:00Z, when the event was recorded",
    "datacontenttype": "leave it out, or write application/json: `data` is plain JSON of the contract",
}
"""How each attribute of E1 is written, for whoever has not (E7 `undecodable`)."""
_NO_OBJECT = "expected a CloudEvent, which is a JSON object"
_AN_ARRAY = f"{_NO_OBJECT}, not an array"
_NO_UTF8 = "expected text in UTF-8"
_TWICE = "expected this key once in its object"
_CSV = "expected JSON; this looks like CSV"
_CELL = r'(?:"[^"{{}}]*"|[^"{{}}\[\]{0}]*)'
_CSV_ROWS = tuple(
    re.compile(rf'(?=[\w"]){_CELL}(?:[{{0}}]{_CELL})+\s*\Z'.format(delimiter).encode())
    for delimiter in (",", ";", "\t", "|")
)
"""A header or a row: cells with one delimiter between them, and no bracket of JSON's (docs/files.md)."""
_NAMES_SHOWN_TO = 2  # the keys of an event and of its data; what is deeper can be a map, whose keys are data
_SHOWABLE_KEY = re.compile(r"[A-Za-z_]{1,64}")
_BEGINNINGS: Mapping[bytes, str] = {
    b"\xef\xbb\xbf": "expected JSON, not a byte order mark",
    b"\xff\xfe": f"{_NO_UTF8}, not in UTF-16",
    b"\xfe\xff": f"{_NO_UTF8}, not in UTF-16",
    b"\x1f\x8b": "expected JSON, not what gzip made of it",
    b"PK\x03\x04": "expected JSON, not a ZIP archive or a spreadsheet",
}
"""What a file begins with that is something else, as it is often sent."""


class Door(NamedTuple):
    """What is written differently by the way on which an event comes: how one stands there, how several do,
    in which encoding, how CSV is sent instead, and where the contracts are shown.
    """

    one: str
    several: str
    utf8: str
    csv: str
    types: str
    fields: str


IN_A_FILE = Door(
    "one CloudEvent 1.0 in JSON stands on each line, in UTF-8; `jq -c . FILE` puts one on a line",
    "`jq -c '.[]' FILE` puts each event of an array on a line of its own",
    "have it written as UTF-8; `iconv -f WINDOWS-1252 -t UTF-8 FILE`, if that is what it is, makes it so",
    "a CSV file goes by a mapping, with `postroom files`: docs/files.md",
    "`postroom contract docs` lists the types",
    "`postroom contract docs` shows the contract's fields",
)
"""A file of events, and whoever publishes one (E3)."""

_USUAL_MENDS: Mapping[Rejection, str] = {
    Rejection.OVERSIZED: "an event holds at most 1 MiB; documents belong behind a reference",
    Rejection.NULL_VALUE: "give the event `data`; to take something back, publish an annulment",
    Rejection.NOT_THE_OWNER: "publish as one of the contract's owners, or have the contract name this one",
    Rejection.IDENTIFIER_INVALID: "correct the identifier at its source",
    Rejection.TIME_TOO_OLD: "`time` is when the department recorded the event, not when it happened",
    Rejection.TIME_IN_FUTURE: (
        "`time` is when the event was recorded, not when it takes effect; or this machine's clock is wrong"
    ),
}


class Bounds(NamedTuple):
    """E7's numbers; tests scale them down."""

    value_bytes: int = EVENT_BYTES_MAX
    earliest_ms: int = EARLIEST_MS
    future_ms: int = FUTURE_MS_MAX
    attributes_bytes: int = ATTRIBUTES_BYTES_MAX


USUAL = Bounds()


class Found(NamedTuple):
    """One thing wrong with an event: where, what was expected there (never what stands there), and the reason
    that it would be rejected for by itself.
    """

    path: str
    problem: str
    reason: Rejection


def diagnose(line: bytes | None, contracts: Contracts, at_ms: int, bounds: Bounds = USUAL) -> Iterator[Found]:
    """Everything wrong with a line (None: it was too long) that intake rejects at this moment.

    What rests on a broken attribute is not looked at.
    """
    if line is None or len(line) > bounds.value_bytes:
        yield Found("$", f"expected at most {bounds.value_bytes} bytes", Rejection.OVERSIZED)
        return
    parsed, twice = _parsed(line)
    yield from twice
    if parsed is not None:
        found = _problems(parsed, contracts, at_ms, bounds)
        yield from (each for each in found if not any(_rests_on(each.path, one.path) for one in twice))


def _problems(
    parsed: Mapping[str, object], contracts: Contracts, at_ms: int, bounds: Bounds
) -> Iterator[Found]:
    event, broken = _attributes(parsed)
    if event.attributes_bytes > bounds.attributes_bytes:
        problem = f"expected attributes of at most {bounds.attributes_bytes} bytes, without `time`"
        yield Found("$", problem, Rejection.OVERSIZED)
    yield from _with_what_is_near(parsed, broken, contracts)
    if "time" not in broken:
        yield from _untimely(event.time, bounds, at_ms)
    if event.data is None:
        yield Found("$.data", "expected a value", Rejection.NULL_VALUE)
    if "type" in broken:
        return
    contract = contracts.by_type.get(event.type)
    if contract is None:
        problem = f"expected the type of a contract{near_hint(event.type, contracts.by_type)}"
        yield Found("$.type", problem, Rejection.UNKNOWN_TYPE)
        return
    if "source" not in broken and event.owner not in contract.owners:
        owners = ", ".join(sorted(contract.owners))
        problem = f"expected a source of an owner of the contract: {owners}"
        yield Found("$.source", problem, Rejection.NOT_THE_OWNER)
    if event.data is not None:
        yield from _data_problems(event, contract, contracts)


def how_to_mend(found: Found, door: Door = IN_A_FILE) -> str:
    """Say what to do about it, in the words of the door that the event came to."""
    match found.reason:
        case Rejection.UNDECODABLE:
            if found.problem == _TWICE:
                return "write each key once in its object: of two values nobody knows which was meant"
            attribute = _HOW.get(found.path.removeprefix("$."))
            if attribute is None:
                return _whole(found.problem, door)
            return f"{attribute}; {door.types}" if found.path == "$.type" else attribute
        case Rejection.UNKNOWN_TYPE:
            return door.types
        case Rejection.CONTRACT_MISMATCH:
            return door.fields
    return _USUAL_MENDS[found.reason]


def _whole(problem: str, door: Door) -> str:
    """What to do about what is no event at all."""
    if problem == _AN_ARRAY:
        return door.several
    if problem == _CSV:
        return door.csv
    return door.utf8 if problem.startswith(_NO_UTF8) else door.one


def _parsed(line: bytes) -> tuple[dict[str, object] | None, tuple[Found, ...]]:
    """The JSON object of a line, or why there is none; where keys stand twice, both: the last value of each
    lets the rest be looked at.
    """
    twice: tuple[Found, ...] = ()
    try:
        try:
            parsed = json_value(line)
        except KeyTwice as keys:
            twice, parsed = keys_twice(keys), msgspec.json.decode(line)
    except msgspec.DecodeError as error:  # says what and at which byte, never what stands there
        begins = (what for beginning, what in _BEGINNINGS.items() if line.startswith(beginning))
        said = "expected JSON, and nothing is there" if not line.strip() else f"expected JSON: {error}"
        if any(row.match(line) for row in _CSV_ROWS):
            said = _CSV
        return _nothing(next(begins, said))
    except UnicodeDecodeError:
        return _nothing(_NO_UTF8)
    except RecursionError:
        return _nothing("expected JSON that is not nested without end")
    if not isinstance(parsed, dict):
        return _nothing(_AN_ARRAY if isinstance(parsed, list) else _NO_OBJECT)
    return parsed, twice


def _nothing(problem: str) -> tuple[None, tuple[Found, ...]]:
    return None, (Found("$", problem, Rejection.UNDECODABLE),)


def keys_twice(twice: KeyTwice) -> tuple[Found, ...]:
    """What to say of an event in JSON that says keys twice: where each of them stands."""
    return tuple(Found(json_path(path), _TWICE, Rejection.UNDECODABLE) for path in twice.paths)


def _rests_on(path: str, twice: str) -> bool:
    """Whether what was found at a path was judged by one of two values, of which nobody knows what was meant.

    A type that stands twice leaves nothing to judge the data by.
    """
    whole = twice.partition(".*")[0]
    return whole in ("$.type", path) or path.startswith((f"{whole}.", f"{whole}["))


def json_path(steps: Sequence[Step], names_shown_to: int = _NAMES_SHOWN_TO) -> str:
    """The JSON path of a key, with the names in it that can be no data: those above a depth."""
    path = "$"
    for depth, step in enumerate(steps, start=1):
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            shown = depth <= names_shown_to and _SHOWABLE_KEY.fullmatch(step)
            path += f".{step}" if shown else ".*"
    return path


def _with_what_is_near(
    parsed: Mapping[str, object], broken: Mapping[str, Found], contracts: Contracts
) -> Iterator[Found]:
    """What is wrong with the attributes; whose type or source only looks right is told what would be."""
    named = parsed.get("type")
    contract = contracts.by_type.get(named) if isinstance(named, str) else None
    for name, found in broken.items():
        hint = ""
        if name == "type":
            hint = near_hint(named, contracts.by_type)
        elif name == "source" and contract is not None:
            hint = f"; the contract's owner is {' or '.join(sorted(contract.owners))}"
        yield found._replace(problem=found.problem + hint)


def _attributes(parsed: Mapping[str, object]) -> tuple[CloudEvent, dict[str, Found]]:
    """The event, and the attributes that E1 does not take; a stand-in is put in the place of each of these,
    so that the next one comes to light.
    """
    attempt, broken = dict(parsed), dict[str, Found]()
    while True:
        try:
            return cloudevent_from_json(attempt), broken
        except NotACloudEvent as error:
            named = _NAMED.match(error.problem)
            if named is None or named[1] in broken:
                raise  # a problem of an attribute names it, and a stand-in has none
            broken[named[1]] = Found(f"$.{named[1]}", error.problem, Rejection.UNDECODABLE)
            attempt[named[1]] = _STAND_INS[named[1]]


def _data_problems(event: CloudEvent, contract: Contract, contracts: Contracts) -> Iterator[Found]:
    try:
        data = contract.from_json(event.data)
    except ContractMismatch as mismatch:
        hints, fields = _HINTS_MAX, [each.name for each in contract.codec.type.fields]
        for path, what in mismatch.problems:
            unknown = hints > 0 and what.startswith(_NO_SUCH_FIELD) and path.count(".") == 1
            hint = near_hint(path[2:], fields) if unknown else ""
            hints -= unknown
            yield Found(f"$.data{path[1:]}", f"expected {what}{hint}", Rejection.CONTRACT_MISMATCH)
        if not isinstance(event.data, dict):
            return
        data = event.data  # the identifiers in it may be wrong as well
    for name, invalid in contract.invalid_identifiers(data, contracts.schemes):
        yield Found(f"$.data.{name}", str(invalid), Rejection.IDENTIFIER_INVALID)


def _untimely(time_ms: int, bounds: Bounds, at_ms: int) -> Iterator[Found]:
    if time_ms < bounds.earliest_ms:
        problem = "expected a time after 1999: when the event was recorded, not when it happened"
        yield Found("$.time", problem, Rejection.TIME_TOO_OLD)
    if time_ms > at_ms + bounds.future_ms:
        problem = "expected a time at most 5 minutes ahead: when it was recorded, not when it takes effect"
        yield Found("$.time", problem, Rejection.TIME_IN_FUTURE)
