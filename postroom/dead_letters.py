"""Dead letters for a person: found by what they are, asked about, and answered by intake (docs/adr/0042)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import TopicReader
from postroom.errors import UserError
from processors import DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC, LETTER_REQUESTS_TOPIC
from processors.dead_letters import (
    Decision,
    Letter,
    Request,
    Standing,
    encode_json,
    read_either,
    standings,
)
from schemas import IdentifierInvalid, Schemes, format_instant, parse_instant
from schemas.identifiers import SCHEMES

PORTION = 50
"""Requests on their way at once: intake reads their records one by one, and other events wait meanwhile."""
AGES_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is empty or None does not matter."""

    reasons: Sequence[str] = ()
    types: Sequence[str] = ()
    sources: Sequence[str] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    state: str = "open"
    places: Sequence[str] = ()

    def takes(self, standing: Standing) -> bool:
        """Whether a letter is meant."""
        letter = standing.letter
        return (
            self.state in ("all", standing.state)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.types or letter.type in self.types)
            and (not self.sources or letter.source in self.sources)
            and (self.since_ms is None or letter.timestamp_ms >= self.since_ms)
            and (self.until_ms is None or letter.timestamp_ms < self.until_ms)
            and (not self.places or letter.place in self.places)
        )

    @property
    def bounded(self) -> bool:
        """Whether anything was said of which letters are meant."""
        return bool(
            self.reasons or self.types or self.sources or self.places or self.since_ms or self.until_ms
        )


def moment(text: str | None, now_ms: int) -> int | None:
    """Read `2h`, `7d` (so long ago) or an RFC 3339 instant; UserError for anything else."""
    if text is None:
        return None
    if text[:-1].isascii() and text[:-1].isdigit() and text[-1] in AGES_MS:
        return now_ms - int(text[:-1]) * AGES_MS[text[-1]]
    try:
        return parse_instant(text)
    except ValueError:
        raise UserError(
            "that is no moment", where=text, mend="an age as 30m, 2h or 7d, or as 2026-03-01T12:00:00Z"
        ) from None


def words(text: str, option: str) -> str:
    """Take a reason or a name for the record that is kept for ever; UserError if it would hold a person's
    number.
    """
    schemes = Schemes({})
    said = " ".join(text.split())
    if not said or len(said) > 500:
        raise UserError("some words are wanted, 500 characters at most", where=option)
    for token in said.split():
        for scheme in (row.name for row in SCHEMES if row.telling):
            try:
                schemes.canonical(scheme, token.strip(".,;:()[]'\"").removeprefix(f"{scheme}:"))
            except IdentifierInvalid:
                continue
            raise UserError(
                f"this looks like a {scheme}",
                where=option,
                why="it is kept for ever, and read by people who may not know of whom an event was",
                mend="name a ticket instead",
            )
    return said


def read_standings(access: KafkaAccess) -> list[Standing]:
    """Read every letter that is kept, with what was decided about it."""
    letters, decisions = [], []
    for record in TopicReader(access).read([DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC]):
        match read_either(record.topic, record.value):
            case Letter() as letter:
                letters.append(letter)
            case Decision() as decision:
                decisions.append(decision)
    return standings(letters, decisions)


def row_of(standing: Standing) -> dict[str, Any]:
    """A letter as a row."""
    letter = standing.letter
    return {
        "time": format_instant(letter.timestamp_ms),
        "reason": letter.reason,
        "type": letter.type,
        "source": letter.source,
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "state": standing.state,
        "tried": standing.tried,
    }


def trail(standing: Standing) -> list[dict[str, Any]]:
    """What was asked about a letter, by whom and why, and what it came to; earliest first."""
    return [
        {
            "time": format_instant(each.at_ms),
            "result": each.result.value,
            "reason": each.reason,
            "by": each.by,
            "why": each.why,
        }
        for each in standing.decisions
    ]


def ask(
    access: KafkaAccess, requests: Sequence[Request], wait_s: float, advance: Callable[[int], None]
) -> Iterator[tuple[Request, Decision | None]]:
    """Put requests to intake and yield each with what was decided; None when nothing was within the time.

    INVARIANT: a request that was acknowledged is answered once a worker runs, whether or not anybody waits.
    """
    from producers.publisher import connect, disconnect

    reader = TopicReader(access)
    since = reader.ends([LETTER_DECISIONS_TOPIC])
    decisions = reader.read([LETTER_DECISIONS_TOPIC], follow=True, idle_s_max=wait_s, since=since)
    producer = connect(access.bootstrap, **access.protection())
    try:
        for first in range(0, len(requests), PORTION):
            waiting = _sent(access, producer, requests[first : first + PORTION])
            while waiting and (record := next(decisions, None)) is not None:
                decision = read_either(record.topic, record.value)
                if not isinstance(decision, Decision):
                    continue
                request = waiting.pop((decision.request_partition, decision.request_offset), None)
                if request is not None:
                    advance(1)
                    yield request, decision
            yield from ((request, None) for request in waiting.values())
    finally:
        disconnect(producer)


def _sent(access: KafkaAccess, producer: Any, portion: Sequence[Request]) -> dict[tuple[int, int], Request]:
    """Send requests, each to its letter's partition, and return them by the places that they were given."""
    from kafka.errors import KafkaError

    from connectors.kafka_refusal import in_our_words
    from processors.engine.partitions import partition_of

    try:
        partitions = len(producer.partitions_for(LETTER_REQUESTS_TOPIC))
        on_their_way = [
            (
                request,
                producer.send(
                    LETTER_REQUESTS_TOPIC,
                    key=(key := request.place.encode()),
                    value=encode_json(request),
                    partition=partition_of(key, partitions),
                ),
            )
            for request in portion
        ]
        producer.flush()
        placed = {request: each.get(timeout=30) for request, each in on_their_way}
    except KafkaError as error:
        raise in_our_words(error, access) from error
    return {(each.partition, each.offset): request for request, each in placed.items()}
