"""What must be true of the whole pipeline, whatever is said: the algebra of I5, R3, R6, C1, C7 and C9."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.intake import Intake
from processors.messages import ASSERTIONS_TOPIC, Said, encode
from processors.replay import Pipeline, replay
from processors.rules import Keys, Limits, Rules
from processors.stage import Outgoing
from schemas import Basis, Grant
from tests.nasty import NastySet, nasty
from tests.nasty.stages import loaded

SMALL = Limits(hub_edges=4, person_identifiers=6, component_edges=12, page_edges=2, told_a_step=3)
SEEDS = st.integers(0, 1 << 30)
Answer = dict[str, Any]


def asking(examples: int) -> Any:
    """As many examples as a quick test affords; slow ones are not a fault."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def town(seed: int) -> NastySet:
    """A small nasty set in which every line is accepted or rejected for itself."""
    return nasty(seed, size=25)


def answer(question: NastySet, lines: list[bytes], agreements: Any = None) -> Answer:
    """What `replay` makes of these lines, without the line numbers of what is rejected."""
    contracts, known = loaded(question.contracts, question.agreements)
    found = replay(lines, contracts, agreements or known, question.secret, question.at_ms, SMALL)
    return {name: found[name] for name in ("views", "persons", "disputed")}


def event(kind: str, number: int, **data: Any) -> bytes:
    """One line of the contracts of the cases."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"x{number}",
            "source": "urn:gov:dwp:main",
            "type": f"uk.gov.{kind}.v1",
            "time": f"2025-02-01T00:00:{number:02d}Z",
            "data": data,
        }
    ).encode()


def given_fields(found: Answer) -> set[tuple[str, str, str]]:
    """(agreement, key, attribute) of all that has a value."""
    return {
        (agreement, key, attribute)
        for agreement, views in found["views"].items()
        for key, view in views.items()
        for attribute, value in view.items()
        if value is not None
    }


@asking(40)
@given(SEEDS)
def test_any_order_and_any_repetition_of_the_lines_gives_the_same(seed: int) -> None:
    """I5, R6: persons, disputes and views are functions of the set of events."""
    question, rng = town(seed), Random(seed)
    lines = [*question.lines]
    again = lines + rng.choices(lines, k=len(lines) // 2)
    rng.shuffle(again)
    assert answer(question, again) == answer(question, lines)


@asking(40)
@given(SEEDS)
def test_any_cutting_into_batches_gives_the_same(seed: int) -> None:
    """I5, I6: coming to rest between any two events changes nothing in the end."""
    question, rng = town(seed), Random(seed)
    contracts, agreements = loaded(question.contracts, question.agreements)
    rules = Rules(contracts, agreements, Keys(question.secret), SMALL)
    intake, pipeline = Intake(rules), Pipeline(rules)
    for line in question.lines:
        said = intake.accept_json(line, question.at_ms) if line.strip() else None
        if isinstance(said, Said):
            pipeline.send([Outgoing(ASSERTIONS_TOPIC, said.subject.encode(), encode(said))])
            if rng.random() < 0.5:
                pipeline.run(question.at_ms)
    pipeline.run(question.at_ms)
    assert pipeline.views() == answer(question, [*question.lines])["views"]


@asking(25)
@given(SEEDS, st.booleans())
def test_a_link_that_is_unlinked_is_as_if_it_had_never_been(seed: int, first: bool) -> None:
    """I2: a link followed by an unlink gives what the unlink alone gives, whichever arrives first."""
    question = town(seed)
    known = [i for person in answer(question, [*question.lines])["persons"] for i in person]
    ninos = [identifier for identifier in known if identifier.startswith("nino:")] or ["nino:AB123456C"]
    nino, other = ninos[0].partition(":")[2], Random(seed).choice([*known, "nhs:9434765919"])
    link = event("identity.link", 1, nino=nino, other=other, evidence=None)
    unlink = event("identity.unlink", 2, nino=nino, other=other, evidence=None)
    both = [link, unlink] if first else [unlink, link]
    assert answer(question, [*question.lines, *both]) == answer(question, [*question.lines, unlink])


@asking(25)
@given(SEEDS)
def test_an_annulment_may_come_before_what_it_annuls(seed: int) -> None:
    """R3: annul then assert equals assert then annul, in every order of all lines."""
    question = town(seed)
    lines = [*question.lines]
    annulments = [line for line in lines if b"annulment" in line or b'"prior"' in line]
    others = [line for line in lines if line not in annulments]
    assert answer(question, annulments + others) == answer(question, others + annulments)


def _is_json(line: bytes) -> bool:
    """Some lines of a nasty set are broken."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@asking(40)
@given(SEEDS, st.sampled_from(["PAUSED", "WITHDRAWN"]))
def test_withdrawing_consent_adds_no_field_anywhere(seed: int, state: str) -> None:
    """C1: whoever withdraws or pauses whatever, no subscriber sees a field more."""
    question, rng = town(seed), Random(seed)
    lines = [*question.lines]
    consents = [json.loads(line) for line in lines if b"consent.decision" in line and _is_json(line)]
    if not consents:
        return
    taking = rng.choice(consents) | {"id": "taking"}
    if not isinstance(taking.get("data"), dict):
        return
    taking["data"] = taking["data"] | {"state": state}
    after = answer(question, [*lines, json.dumps(taking).encode()])
    assert given_fields(after) <= given_fields(answer(question, lines))


@asking(40)
@given(SEEDS)
def test_a_view_holds_nothing_outside_its_agreement(seed: int) -> None:
    """C7, V1: exactly the agreement's attributes, and of each only the fields it names."""
    question = town(seed)
    _, agreements = loaded(question.contracts, question.agreements)
    for name, views in answer(question, [*question.lines])["views"].items():
        grants: dict[str, Grant] = {grant.attribute: grant for grant in agreements[name].attributes}
        for view in views.values():
            assert view.keys() == grants.keys()
            for attribute, value in view.items():
                fields = grants[attribute].fields
                for part in value if isinstance(value, list) else [{"value": value}]:
                    if fields is not None and part["value"] is not None:
                        assert set(part["value"]) == set(fields)


@asking(25)
@given(SEEDS, st.sampled_from(["hmrc-estates", "leeds-care", "police-protection", "york-tax"]))
def test_another_statutory_agreement_changes_no_view_of_the_others(seed: int, like: str) -> None:
    """C9: what one agreement may see depends on no other."""
    question = town(seed)
    _, agreements = loaded(question.contracts, question.agreements)
    more = agreements | {"more": replace(agreements[like], agreement="more", subscriber="more")}
    assert more["more"].basis is not Basis.CONSENT
    views = answer(question, [*question.lines], more)["views"]
    del views["more"]
    assert views == answer(question, [*question.lines])["views"]


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_equal_to_the_byte(seed: int) -> None:
    """§8: replay is deterministic to the byte."""
    question = town(seed)
    once, again = (json.dumps(answer(question, [*question.lines])) for _ in range(2))
    assert once == again
