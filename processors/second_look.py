"""Rejected records, sent through intake once more because somebody asked (E7, docs/adr/0042).

A request holds a place and no payload: whoever asks need not be allowed to read the department's topic. The
worker is, and reads the record from there before the step. The request's time is the time of the replay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from processors.dead_letters import Decision, Request, Result, encode_json, read_request
from processors.messages import ACKNOWLEDGEMENTS_TOPIC, LETTER_DECISIONS_TOPIC, LETTER_REQUESTS_TOPIC
from processors.outcomes import Rejection
from processors.stage import Outcome, Outgoing, Record, Step

Fetched = Mapping[tuple[int, int], Record | None]
"""Rejected records read again, by partition and offset of the request; None for one that is gone."""


class Judged(NamedTuple):
    """What intake makes of a record: a reason, or a message onward and the name that it goes by."""

    kind: str
    """What it is counted as."""
    reason: str
    onward: Outgoing | None = None
    name: Mapping[str, Any] = {}


def wanted_again(batch: Sequence[Record], types: Collection[str]) -> dict[tuple[int, int], Request]:
    """Return the requests whose records must be read again before a step, by the requests' places.

    Only departments' topics and acknowledgements: a request opens no other topic to anybody.
    """
    found = {}
    for record in batch:
        request = read_request(record.value) if record.topic == LETTER_REQUESTS_TOPIC else None
        if request is not None and request.action == "replay" and _is_input(request.topic, types):
            found[record.partition, record.offset] = request
    return found


def answer(
    asked: Record, fetched: Fetched, types: Collection[str], judge: Callable[[Record], Judged], step: Step
) -> None:
    """Do what was asked about a dead letter, and write down that it was asked and what it came to."""
    request = read_request(asked.value)
    about: dict[str, Any] = {}
    if request is None:
        judged, result, kind = Judged("", ""), Result.UNREADABLE, "unknown"
    else:
        about = {name: getattr(request, name) for name in ("topic", "partition", "offset", "by", "why")}
        judged, result = _result(request, asked, fetched, types, judge)
        kind = judged.kind
    decision = Decision(
        asked.partition,
        asked.offset,
        asked.timestamp_ms,
        result,
        reason=judged.reason,
        **about,
        **judged.name,
    )
    if judged.onward is not None:
        step.outgoing.append(judged.onward)
    step.outgoing.append(Outgoing(LETTER_DECISIONS_TOPIC, decision.place.encode(), encode_json(decision)))
    step.outcomes.append(Outcome(kind, result.value, judged.reason))


def _result(
    request: Request,
    asked: Record,
    fetched: Fetched,
    types: Collection[str],
    judge: Callable[[Record], Judged],
) -> tuple[Judged, Result]:
    if not _is_input(request.topic, types):
        if request.action == "discard":
            return Judged("unknown", ""), Result.DISCARDED
        return Judged("unknown", Rejection.UNKNOWN_TYPE.value), Result.STILL_REJECTED
    if request.action == "discard":
        return Judged(request.topic, ""), Result.DISCARDED
    # INVARIANT: what was not looked for ends the process. It must never be taken for what is gone.
    found = fetched[asked.partition, asked.offset]
    if found is None:
        return Judged(request.topic, ""), Result.GONE
    judged = judge(found._replace(timestamp_ms=asked.timestamp_ms))
    return judged, Result.STILL_REJECTED if judged.reason else Result.REPLAYED


def _is_input(topic: str, types: Collection[str]) -> bool:
    return topic == ACKNOWLEDGEMENTS_TOPIC or topic in types
