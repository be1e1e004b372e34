"""Whether some consistent cut of the input permits what a view held on the way (DESIGN §7).

A cut holds a prefix of what each topic partition told identity; here the finest that Kafka can make,
because partitions may be many: by event type and subject. Only what can reach the person is looked at. The
cut at which identity stood is tried first, then the earlier ones, then those near.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from processors.messages import ASSERTIONS_TOPIC, Said, encode
from processors.replay import Pipeline
from processors.rules import Rules
from processors.stage import Outgoing
from tests.simulation.ledger import Emission

NEAR_CUTS = 800
SEARCHABLE = 30
"""Of more events than this the cuts cannot be searched in the time of a test: smaller sets must find it."""


def permitted(emission: Emission, heard: Sequence[Said]) -> bool:
    """Whether some cut of what was ``heard`` gives this value under this key."""
    about = _around(emission.identifiers, heard[: emission.heard])
    if len(about) > SEARCHABLE:
        return True
    agreements = {emission.agreement: emission.rules.agreements[emission.agreement]}
    rules = replace(emission.rules, agreements=agreements)
    for cut in _cuts(about):
        view = views_of(cut, emission.now_ms, rules)[emission.agreement].get(emission.key)
        if view is not None and view[emission.attribute] == emission.value:
            return True
    return False


def _cuts(heard: Sequence[Said]) -> Iterator[Sequence[Said]]:
    for count in range(len(heard), 0, -1):
        yield heard[:count]
    channels: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, said in enumerate(heard):
        channels[said.type, said.subject].append(number)
    rng = Random(len(heard))
    for _ in range(NEAR_CUTS):
        lag = rng.choice((0.1, 0.3, 0.6))
        kept = [
            number
            for numbers in channels.values()
            for number in (numbers if rng.random() > lag else numbers[: rng.randint(0, len(numbers))])
        ]
        yield [heard[number] for number in sorted(kept)]


def _around(identifiers: frozenset[str], heard: Sequence[Said]) -> list[Said]:
    """What was said of these identifiers, and of all that any statement ever connected with them."""
    known = set(identifiers)
    while known:
        near = [s for s in heard if s.subject in known or any(other in known for _, other in s.pairs)]
        wider = {i for s in near for i in (s.subject, *(other for _, other in s.pairs))} - known
        if not wider:
            return near
        known |= wider
    return list(heard)


def views_of(heard: Sequence[Said], now_ms: int, rules: Rules) -> dict[str, dict[str, Any]]:
    """What `replay` makes of these."""
    pipeline = Pipeline(rules)
    pipeline.send(Outgoing(ASSERTIONS_TOPIC, said.subject.encode(), encode(said)) for said in heard)
    pipeline.run(now_ms)
    return pipeline.views()
