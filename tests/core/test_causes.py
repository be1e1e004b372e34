"""Which event each disclosure names when several came in one step (V5, V3, V7, docs/adr/0062)."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_

from processors.identity import Identity
from processors.messages import (
    ASSERTIONS_TOPIC,
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    Cause,
    Caused,
    Consent,
    Enrolment,
    Fragment,
    Objection,
    Restriction,
    Said,
    encode,
)
from processors.record import Records
from processors.rules import Keys, Rules
from processors.stage import Record
from tests import identity_kit
from tests.identity_kit import SOURCE, Identifier, named, paired, said, told
from tests.record_kit import (
    ADDRESS,
    CONTRACTS,
    ESTATES,
    HOUSING,
    NAME,
    NINO,
    NOW,
    P,
    Town,
    consent,
    departed,
    entry,
    fragment,
    replace_registers,
    town,
)

E1, E2, E3 = (Cause("urn:gov:gro:main", f"e{n}", NOW - 100 * n) for n in (1, 2, 3))
CHURCH = replace(ESTATES, agreement="church-names", attributes=ESTATES.attributes[:1], subscriber="church")


def fragments(*messages: Any) -> list[Fragment]:
    return [message for message in messages if isinstance(message, Fragment)]


def changes(whole: Fragment, *causes: Caused, **changed: Any) -> Fragment:
    """A message that is not whole, with what came of which event."""
    return with_(whole, whole=False, causes=causes, cause=causes[-1].cause, **changed)


def logged(leeds: Town) -> dict[str, str]:
    """The id of the event that each agreement's last disclosure of the step names."""
    entries = [json.loads(out.value or b"") for out in leeds.out if out.topic == DISCLOSURES_TOPIC]
    return {entry["agreement"]: entry["cause"]["id"] for entry in entries}


# -- identity says what came of which


def test_one_event_needs_no_list():
    """The usual message is as short as it was."""
    (sent,) = fragments(*Identifier().step(named("e1")))
    assert (sent.cause.id, sent.causes) == ("e1", ())


def test_what_several_events_of_a_step_changed_is_said_of_each():
    """V5: by attribute and section, in the order in which they were taken in."""
    granted = Consent(2, SOURCE, "c1", "council-leeds", "housing-support", (), "GRANTED")
    birth = said("e2", values=(("birth", b'"2000"'),))
    (sent,) = fragments(*Identifier().step(named("e1"), said("c1", consent=granted), birth))
    assert [(each.cause.id, each.attributes, each.parts) for each in sent.causes] == [
        ("e1", ("name",), ()),
        ("c1", (), (("consents", "council-leeds\0housing-support"),)),
        ("e2", ("birth",), ()),
    ]
    assert sent.cause.id == "e2"


def test_who_changed_nothing_for_the_record_is_not_named():
    """V5: an older value that comes later, and an event that came twice."""
    one = Identifier(named("e1", time=2_000))
    (sent,) = fragments(*one.step(named("old", time=1_000), said("e2", values=(("birth", b'"2000"'),))))
    assert (sent.cause.id, sent.causes) == ("e2", ())


def test_what_was_held_is_let_go_under_its_own_name_after_the_answer():
    """V5, I6: the link is one cause, and each event that waited for it another."""
    one = Identifier(named("e1"))
    one.step(paired("link"), named("e2", time=5_000))
    (sent,) = fragments(*one.step(told(1, identity_kit.NHS)))
    assert [(each.cause.id, each.parts, each.attributes) for each in sent.causes] == [
        ("answer", (("person", ""),), ()),
        ("e2", (), ("name",)),
    ]
    assert identity_kit.NHS in sent.members


def test_what_has_expired_is_owed_to_no_event():
    """V5, V8: though one came in the same step."""
    one = Identifier(named("e1", expires=identity_kit.NOW_MS + 5))
    later = identity_kit.NOW_MS + 10
    (sent,) = fragments(*one.step(said("e2", values=(("birth", b'"2000"'),)), now_ms=later))
    assert [(each.cause.id, each.attributes) for each in sent.causes] == [("e2", ("birth",)), ("", ("name",))]


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ({"restriction": Restriction(2, SOURCE, "s", "dwp", "RESTRICTED")}, (("protection", ""),)),
        (
            {"objection": Objection(2, SOURCE, "s", "hmrc", "estates", "OBJECTED")},
            (("objections", "hmrc\0estates"),),
        ),
        (
            {"enrolment": Enrolment(2, SOURCE, "s", "dwp", "dwp-pilot", "ENDED")},
            (("enrolments", "dwp-pilot\0dwp"),),
        ),
    ],
)
def test_a_statement_is_a_cause_of_its_own_that_takes_away(statement: dict[str, Any], parts: Any):
    """V5, V7: it is told as protective, whatever came after it."""
    one = Identifier(named("e1"))
    (sent,) = fragments(*one.step(said("s", **statement), named("e2", time=5_000)))
    assert [(each.cause.id, each.parts, each.protective) for each in sent.causes] == [
        ("s", parts, True),
        ("e2", (), False),
    ]


# -- record names the one that bears on each write


def test_each_agreement_names_the_event_that_bears_on_it():
    """V5: a consent for one service is not why another one's view changed."""
    leeds = town(ESTATES, HOUSING)
    leeds.tell(P, fragment(P, NINO, name=NAME, address=ADDRESS))
    both = changes(
        fragment(P, NINO, name={**NAME, "given": "Eva"}, consents=(consent("GRANTED", 1),)),
        Caused(E1, False, ("name",)),
        Caused(E2, False, (), (("consents", "council-leeds\0housing-support"),)),
    )
    leeds.tell(P, both)
    assert logged(leeds) == {"hmrc-estates": "e1", "leeds-housing": "e2"}
    hashes = leeds.header("postroom_cause")
    assert len(set(hashes)) == 2


def test_a_withdrawal_is_named_though_another_event_came_after_it():
    """V5, V7: and the time to the retraction is counted from the withdrawal."""
    leeds = town(HOUSING)
    granted, withdrawn = consent("GRANTED", 1), consent("WITHDRAWN", 2)
    leeds.tell(P, fragment(P, NINO, address=ADDRESS, consents=(granted,)))
    both = changes(
        fragment(P, NINO, address={**ADDRESS, "postcode": "LS2"}, consents=(granted, withdrawn)),
        Caused(E3, True, (), (("consents", "council-leeds\0housing-support"),)),
        Caused(E1, False, ("address",)),
    )
    step = leeds.step(P, both)
    assert logged(leeds) == {"leeds-housing": "e3"}
    assert [(each.name, each.since_ms) for each in step.latencies] == [
        ("withdrawal_to_retraction", E3.published_ms)
    ]


def test_of_two_values_in_a_step_the_one_that_is_shown_is_named():
    """V5, R5: the later in coming is not the later in effect."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, birth="2000-01-01"))
    shown = replace_registers(fragment(P, NINO), {"name\0gro\0": entry(NAME, 2)})
    leeds.tell(P, changes(shown, Caused(E2, False, ("name",)), Caused(E3, False, ("name",))))
    assert logged(leeds) == {"hmrc-estates": "e2"}


def test_an_annulment_is_named_for_the_value_that_it_brings_back():
    """V5, R3: the value shown is another event's, and it is not why it is shown."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    back = fragment(P, NINO, name={**NAME, "given": "Eva"}, birth="2000-01-01")
    annulment = Cause("urn:gov:gro:main", "annulment", NOW)
    leeds.tell(P, changes(back, Caused(annulment, False, ("name",)), Caused(E2, False, ("address",))))
    assert logged(leeds) == {"hmrc-estates": "annulment"}


def test_a_moment_names_nobody_though_an_event_came_in_the_same_step():
    """V5, V8: an end that passes is no department's doing."""
    leeds = town(HOUSING)
    until = with_(consent("GRANTED", 1), ends=NOW + 1_000)
    leeds.tell(P, fragment(P, NINO, address=ADDRESS, consents=(until,)))
    other = fragment(P, NINO, name=NAME, consents=(until,))
    step = leeds.step(P, changes(other, Caused(E1, False, ("name",))), now_ms=NOW + 2_000)
    assert logged(leeds) == {"leeds-housing": ""}
    assert [each.name for each in step.latencies] == ["moment_to_view"]


def test_an_objection_to_another_purpose_is_not_named():
    """V5, C2: it decides nothing here."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    objection = Objection(5, "urn:gov:hmrc:main", "o", "council-leeds", "housing-support", "OBJECTED")
    both = changes(
        fragment(P, NINO, name={**NAME, "given": "Eva"}),
        Caused(E1, False, ("name",)),
        Caused(E2, True, (), (("objections", "council-leeds\0housing-support"),)),
        objections=(objection,),
    )
    leeds.tell(P, both)
    assert logged(leeds) == {"hmrc-estates": "e1"}


def test_who_leaves_takes_a_view_along_under_the_name_of_the_link():
    """V5, I6: not under that of a value that came in the same step."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    gone = with_(departed(P, NINO, "p-9", merged=False), cause=E2)
    leeds.tell(P, changes(fragment(P, NINO, birth="2000-01-01"), Caused(E1, False, ("birth",))), gone)
    retracted = [json.loads(o.value or b"") for o in leeds.out if o.topic == DISCLOSURES_TOPIC]
    assert [(each["kind"], each["cause"]["id"]) for each in retracted] == [
        ("view", "e1"),
        ("retraction", "e2"),
    ]


# -- both stages together


class Chain:
    """Identity and record of one NINO, fed with the same step sizes."""

    def __init__(self) -> None:
        rules = Rules(CONTRACTS, {each.agreement: each for each in (ESTATES, CHURCH)}, Keys(b"secret"))
        self.identity, self.record = Identity(rules), Records(rules)
        self.states: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        self.named: list[tuple[str, str]] = []

    def step(self, *events: Said) -> None:
        batch = [Record(ASSERTIONS_TOPIC, 0, 0, NOW, NINO.encode(), encode(each)) for each in events]
        first = self.identity.step(self.states[0].get, batch, (), NOW)
        onward = [
            Record(FRAGMENTS_TOPIC, 0, 0, NOW, out.key, out.value, ())
            for out in first.outgoing
            if out.topic == FRAGMENTS_TOPIC
        ]
        second = self.record.step(self.states[1].get, onward, (), NOW)
        for kept, step in zip(self.states, (first, second), strict=True):
            kept |= {key: state.body for key, state in step.states.items() if state is not None}
        for out in second.outgoing:
            if out.topic == DISCLOSURES_TOPIC:
                entry = json.loads(out.value or b"")
                self.named.append((entry["agreement"], entry["cause"]["id"]))


def value(plain: Any) -> bytes:
    return json.dumps(plain, separators=(",", ":"), sort_keys=True).encode()


FACTS = st.lists(
    st.tuples(st.sampled_from(["name", "birth", "practice"]), st.integers(1, 6)), min_size=1, max_size=10
)


@given(facts=FACTS, cuts=st.sets(st.integers(1, 9)))
@settings(max_examples=150)
def test_whatever_the_steps_only_events_are_named_that_change_the_view_when_each_is_a_step(
    facts: list[tuple[str, int]], cuts: set[int]
):
    """V5: how events fall into steps decides how many views are written, not who may be named for one."""
    values = [{"name": {**NAME, "given": f"v{n}"}, "birth": f"20{n:02}-01-01"} for n in range(len(facts))]
    events = [
        said(f"e{n}", time, values=((attribute, value(each.get(attribute, "x"))),), expires=NOW * 2)
        for n, ((attribute, time), each) in enumerate(zip(facts, values, strict=True))
    ]
    single, batched = Chain(), Chain()
    for event in events:
        single.step(event)
    places = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    for first, last in itertools.pairwise(places):
        batched.step(*events[first:last])
    assert set(batched.named) <= set(single.named)
    assert batched.named or not single.named
