"""The record stage by itself: what it writes of one person, and what it answers for when persons change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from processors.citizen_state import RecordState, decode_record
from processors.messages import (
    DISCLOSURES_TOPIC,
    FRAGMENTS_TOPIC,
    Cause,
    Consent,
    Departed,
    Entry,
    Fragment,
    Message,
    Released,
    decode_for_record,
    encode,
    pack_entries,
    register_key,
)
from processors.record import Records
from processors.rules import Keys, Rules
from processors.stage import Outgoing, Record
from schemas import Agreement, load_agreements, load_contracts
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
ESTATES, HOUSING, POLICE = (AGREEMENTS[n] for n in ("hmrc-estates", "leeds-housing", "police-protection"))
NOW = 1_780_000_000_000
CAUSE = Cause("urn:gov:dwp:main", "e1", NOW - 100, "00-trace")
NINO, OTHER_NINO, NHS = "nino:AB123456C", "nino:CE123456D", "nhs:9912003888"
NAME = {"given": "Ada", "family": "Specimen"}
ADDRESS = {"lines": ["1 Row"], "postcode": "LS1 1AA", "authority": "leeds"}
P, Q = "p-1", "p-2"
SECTIONS = ("consents", "superseded", "restricted", "overfull")


@dataclass
class Town:
    """The stage and its states; what it wrote in the last step."""

    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    states: dict[bytes, bytes] = field(default_factory=dict)
    out: list[Outgoing] = field(default_factory=list)

    def tell(self, person: str, *messages: Message, now_ms: int = NOW) -> list[Outgoing]:
        """One step of one person."""
        stage = Records(Rules(CONTRACTS, dict(self.agreements), Keys(b"secret")))
        batch = [
            Record(FRAGMENTS_TOPIC, 0, n, now_ms, person.encode(), encode(m)) for n, m in enumerate(messages)
        ]
        step = stage.step(self.states.get, batch, () if messages else (person.encode(),), now_ms)
        self.states |= {key: state.body for key, state in step.states.items() if state is not None}
        self.out = step.outgoing
        return self.out

    def deliver(self, person: str) -> None:
        """Hand over what the last step sent to another record."""
        sent = [out for out in self.out if out.topic == FRAGMENTS_TOPIC and out.key == person.encode()]
        assert sent, "nothing was released"
        self.tell(person, *(decode_for_record(out.value or b"") for out in sent))

    def state(self, person: str) -> RecordState:
        return decode_record(self.states[person.encode()])

    def views(self) -> list[tuple[str, bool]]:
        """Of the last step, each view record: its key, and whether it is a view (not a tombstone)."""
        return [(o.key.decode(), o.value is not None) for o in self.out if o.topic.startswith("view.")]

    def owed(self) -> dict[str, list[str]]:
        """Of the last step, the fields to be deleted by key."""
        owed: dict[str, list[str]] = {}
        for out in self.out:
            if out.topic.startswith("obligations."):
                said = json.loads(out.value or b"")
                owed[said["key"]] = sorted((*owed.get(said["key"], ()), *said["fields"]))
        return owed

    def header(self, name: str) -> list[str]:
        """A header of the last step's view records."""
        views = [out for out in self.out if out.topic.startswith("view.")]
        return [value.decode() for out in views for header, value in out.headers if header == name]


def town(*agreements: Agreement) -> Town:
    return Town({agreement.agreement: agreement for agreement in agreements})


def entry(value: Any, number: int = 1) -> tuple[Entry, ...]:
    said = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return (Entry(number, number, "urn:gov:gro:main", f"e{number}", None, NOW * 2, said),)


def fragment(person: str, identifier: str, *members: str, move: int = 0, **said: Any) -> Fragment:
    """A whole fragment; ``said`` holds values by attribute, and the ``SECTIONS`` by name."""
    sections = {name: said.pop(name) for name in SECTIONS if name in said}
    registers = {register_key(name, "gro", ""): pack_entries(entry(value)) for name, value in said.items()}
    return Fragment(
        person,
        identifier,
        move,
        True,
        tuple(sorted(members or (identifier,))),
        sections.get("superseded", ()),
        sections.get("restricted", False),
        CAUSE,
        registers,
        sections.get("consents", ()),
        (),
        (),
        overfull=sections.get("overfull", False),
    )


def departed(person: str, identifier: str, to: str, merged: bool, move: int = 1) -> Departed:
    return Departed(person, identifier, move, to, merged, CAUSE)


def consent(state: str, time: int) -> Consent:
    return Consent(time, "urn:gov:consent:web", f"c{time}", "council-leeds", "housing-support", (), state)


# -- what is written


def test_a_first_view_is_written_with_its_headers_and_one_disclosure() -> None:
    """V1, V3, V5."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    assert leeds.views() == [(NINO, True)]
    assert leeds.header("postroom_sequence") == ["1"]
    assert leeds.header("postroom_agreement") == ["hmrc-estates@1"]
    assert leeds.header("ce_type") == ["uk.gov.postroom.view-updated.v1"]
    assert leeds.header("traceparent") == ["00-trace"]
    (log,) = [json.loads(o.value or b"") for o in leeds.out if o.topic == DISCLOSURES_TOPIC]
    assert (log["person"], log["fields"], log["sequence"]) == (P, ["name"], 1)


def test_what_changes_nothing_writes_nothing() -> None:
    """V1: a view record is written when the view's content changes, and only then."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    assert leeds.tell(P, fragment(P, NINO, name=NAME)) == []
    assert leeds.tell(P, fragment(P, NINO, name=NAME, address=ADDRESS)) == []
    leeds.tell(P, fragment(P, NINO, name={**NAME, "given": "Eva"}))
    assert leeds.header("postroom_sequence") == ["2"]


def test_a_withdrawal_retracts_the_view_and_owes_its_values_in_one_step() -> None:
    """V2, V4: a tombstone that does not say why, and an obligation."""
    leeds = town(HOUSING)
    granted, withdrawn = consent("GRANTED", NOW - 9), consent("WITHDRAWN", NOW - 5)
    leeds.tell(P, fragment(P, NINO, address=ADDRESS, consents=(granted,)))
    ((key, is_view),) = leeds.views()
    assert is_view
    leeds.tell(P, fragment(P, NINO, address=ADDRESS, consents=(granted, withdrawn)))
    assert leeds.views() == [(key, False)]
    assert leeds.header("postroom_reason") == ["ended"]
    assert leeds.owed() == {key: ["address"]}


def test_an_older_move_is_ignored() -> None:
    """I6: the record keeps the highest move."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, move=2, name=NAME), Released(P, NINO, 2, {}, {}, CAUSE))
    assert leeds.tell(P, fragment(P, NINO, move=1, name={**NAME, "given": "Old"})) == []


def test_time_alone_ends_a_view_at_the_moment_that_the_state_names() -> None:
    """V8: the next wake is the earliest moment that can change a decision."""
    leeds = town(ESTATES)
    until = NOW + 50
    ending = (Entry(1, 1, "urn:gov:gro:main", "e1", until, NOW * 2, b'"2020-01-01"'),)
    leeds.tell(P, replace_registers(fragment(P, NINO), {register_key("birth", "gro", ""): ending}))
    assert leeds.views() == [(NINO, True)]
    assert leeds.tell(P, now_ms=until - 1) == []
    leeds.tell(P, now_ms=until)
    assert leeds.views() == [(NINO, False)]


def test_a_moment_that_has_passed_counts_though_its_wake_has_not_come() -> None:
    """V8: a message about something else must not push the moment away."""
    leeds = town(ESTATES)
    until = NOW + 50
    ending = (Entry(1, 1, "urn:gov:gro:main", "e1", until, NOW * 2, b'"2020-01-01"'),)
    leeds.tell(P, replace_registers(fragment(P, NINO), {register_key("birth", "gro", ""): ending}))
    other = replace_registers(fragment(P, NINO), {register_key("address", "gro", ""): entry(ADDRESS)})
    other.whole = False
    leeds.tell(P, other, now_ms=until)
    assert leeds.views() == [(NINO, False)]


def replace_registers(whole: Fragment, registers: dict[str, tuple[Entry, ...]]) -> Fragment:
    whole.registers = {key: pack_entries(entries) for key, entries in registers.items()}
    return whole


# -- half of what was said


def test_no_view_begins_until_all_members_are_present() -> None:
    """I6."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME))
    assert leeds.views() == []
    leeds.tell(P, fragment(P, NHS, NINO, NHS))
    assert leeds.views() == [(NINO, True)]


def test_a_view_that_is_out_keeps_what_is_unchanged_while_a_member_travels() -> None:
    """I6: nothing is taken away because messages travel, nothing granted on half of what was said."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME, birth="2000-01-01"))
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME, birth="2001-01-01"))
    assert leeds.views() == [(NINO, True)]
    assert set(leeds.state(P).sent["hmrc-estates"].content) == {"name"}


def test_what_half_a_record_dropped_is_owed_when_the_whole_denies_it() -> None:
    """V4, I6: nobody could judge it then; somebody must now."""
    leeds = town(replace(POLICE, sees_restricted=False))
    leeds.tell(P, fragment(P, NHS, name=NAME, address=ADDRESS))
    leeds.tell(P, fragment(P, NHS, NINO, NHS, name=NAME))
    assert leeds.owed() == {}
    leeds.tell(P, fragment(P, NINO, NINO, NHS, restricted=True))
    assert leeds.views() == [(NHS, False)]
    assert leeds.owed() == {NHS: ["address", "name"]}


def test_what_half_a_record_dropped_is_in_order_when_the_whole_shows_it_again() -> None:
    """V4: a value that travelled and came is owed by nobody, then or later."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME, birth="2000-01-01"))
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME))
    leeds.tell(P, fragment(P, NHS, NINO, NHS, birth="2000-01-01"))
    assert leeds.owed() == {}
    assert leeds.state(P).dropped == {}


# -- persons that change


def test_what_came_from_an_identifier_that_leaves_is_owed_and_the_rest_stays() -> None:
    """V4: a wrong match unwinds."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME), fragment(P, NHS, NINO, NHS, birth="2000-01-01"))
    leeds.tell(P, departed(P, NHS, Q, merged=False))
    assert leeds.owed() == {NINO: ["birth"]}
    assert leeds.views() == [(NINO, True)]


def test_what_half_a_record_dropped_of_it_is_owed_though_a_view_stands_at_once() -> None:
    """V4: the last to hear of a separation is the record that is whole again by it."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME), fragment(P, NHS, NINO, NHS, birth="2000-01-01"))
    leeds.tell(P, fragment(P, NHS, NINO, NHS), fragment(P, NINO, name=NAME))
    assert leeds.owed() == {}
    leeds.tell(P, departed(P, NHS, Q, merged=False))
    assert leeds.owed() == {NINO: ["birth"]}


def test_when_the_key_itself_leaves_all_that_stood_under_it_is_owed() -> None:
    """V2, V4: what is under somebody else's number was about somebody else."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS), fragment(P, NHS, NINO, NHS, name=NAME))
    leeds.tell(P, departed(P, NINO, Q, merged=False))
    assert leeds.views() == [(NINO, False)]
    assert leeds.header("postroom_reason") == ["corrected"]
    assert leeds.owed() == {NINO: ["name"]}


def test_a_merge_retracts_and_the_new_record_says_which_key_it_supersedes() -> None:
    """V2: corrected here, superseded there; nothing is owed, because nothing is denied."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    assert leeds.views() == [(old, False)]
    assert leeds.header("postroom_reason") == ["corrected"]
    assert leeds.owed() == {}
    leeds.deliver(Q)
    leeds.tell(Q, fragment(Q, NHS, NINO, NHS), fragment(Q, NINO, NINO, NHS, move=1, name=NAME))
    assert leeds.header("postroom_supersedes") == [old]


def test_a_superseded_key_is_named_once_though_every_member_brings_it() -> None:
    """V2: the first new view names it, not each that follows."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME), fragment(P, NHS, NINO, NHS))
    both = [m for i in (NINO, NHS) for m in released(leeds.tell(P, departed(P, i, Q, merged=True)))]
    leeds.tell(Q, both[0], *(fragment(Q, i, NINO, NHS, move=1, name=NAME) for i in (NINO, NHS)))
    assert len(leeds.header("postroom_supersedes")) == 1
    leeds.tell(Q, both[1], fragment(Q, NINO, NINO, NHS, move=1, name={**NAME, "given": "Eva"}))
    assert leeds.header("postroom_supersedes") == []


def released(out: list[Outgoing]) -> list[Released]:
    messages = [decode_for_record(o.value or b"") for o in out if o.topic == FRAGMENTS_TOPIC]
    return [message for message in messages if isinstance(message, Released)]


def test_what_merged_in_is_owed_when_the_new_person_is_denied_it() -> None:
    """V4: the new record answers for the old key."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    leeds.deliver(Q)
    leeds.tell(
        Q, fragment(Q, NHS, NINO, NHS, restricted=True), fragment(Q, NINO, NINO, NHS, move=1, name=NAME)
    )
    assert leeds.owed() == {old: ["name"]}


def test_what_merged_in_is_owed_when_the_persons_come_apart_before_a_view_stood() -> None:
    """V4."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    leeds.deliver(Q)
    leeds.tell(Q, fragment(Q, NINO, NINO, NHS, move=1, name=NAME))
    leeds.tell(Q, departed(Q, NINO, P, merged=False, move=2))
    assert leeds.owed() == {old: ["name"]}


def test_a_departure_before_its_keys_came_carries_on_what_was_delivered() -> None:
    """V2, V4: through any chain of merges, whatever arrives first."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(Q, fragment(Q, NINO, move=1, name=NAME))
    ((second, _),) = leeds.views()
    leeds.tell(Q, departed(Q, NINO, "p-3", merged=True, move=2))
    assert leeds.views() == [(second, False)]
    assert released(leeds.out) == []
    leeds.tell(Q, Released(Q, NINO, 1, {}, {}, CAUSE))
    leeds.deliver("p-3")
    leeds.tell("p-3", fragment("p-3", NINO, move=2, name=NAME))
    assert leeds.header("postroom_supersedes") == [second]


def test_a_key_that_is_an_identifier_begins_only_when_it_was_released_and_goes_on_counting() -> None:
    """V2: two records never write one key."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    (handed,) = released(leeds.out)
    leeds.tell(Q, fragment(Q, NINO, move=1, name=NAME))
    assert leeds.views() == []
    leeds.tell(Q, handed)
    assert leeds.views() == [(NINO, True)]
    assert leeds.header("postroom_sequence") == ["3"]


def test_a_superseded_number_gives_its_place_to_the_new_one() -> None:
    """V2, C8: the view moves to the live identifier and names the old key."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    both = (NINO, OTHER_NINO)
    superseded = {"superseded": (NINO,)}
    leeds.tell(P, fragment(P, NINO, *both, name=NAME, **superseded), fragment(P, OTHER_NINO, *both))
    assert leeds.views() == [(NINO, False), (OTHER_NINO, True)]
    assert leeds.header("postroom_supersedes") == [NINO]
    assert leeds.owed() == {}


# -- agreements that change


def test_another_subject_owes_what_stood_under_the_old_keys() -> None:
    """V4: no view may say that it stands for a key of another kind, so the old copies are to go."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.agreements = {ESTATES.agreement: replace(ESTATES, version=2)}
    leeds.tell(P)
    assert leeds.views() == [(old, False), (NINO, True)]
    assert leeds.owed() == {old: ["name"]}
    assert leeds.header("postroom_supersedes") == []


def test_fields_that_an_agreement_no_longer_names_are_owed() -> None:
    """V4, C7: the attribute is permitted still, a part of it is not."""
    wide = replace(POLICE, version=1)
    leeds = town(wide)
    leeds.tell(P, fragment(P, NHS, address=ADDRESS))
    grants = tuple(
        replace(g, fields=("authority",)) if g.attribute == "address" else g for g in POLICE.attributes
    )
    leeds.agreements = {POLICE.agreement: replace(POLICE, version=2, attributes=grants)}
    leeds.tell(P)
    assert leeds.views() == [(NHS, True)]
    assert leeds.owed() == {NHS: ["address.lines", "address.postcode"]}
    assert leeds.tell(P) == []


def test_an_attribute_that_an_agreement_no_longer_names_is_owed() -> None:
    """V4, V9."""
    leeds = town(POLICE)
    leeds.tell(P, fragment(P, NHS, name=NAME, address=ADDRESS))
    grants = tuple(g for g in POLICE.attributes if g.attribute != "address")
    leeds.agreements = {POLICE.agreement: replace(POLICE, version=2, attributes=grants)}
    leeds.tell(P)
    assert leeds.owed() == {NHS: ["address"]}


def test_an_agreement_that_is_gone_retracts_its_views_and_owes_all_of_them() -> None:
    """V4, V9: and it is told to whoever the subscriber was."""
    leeds = town(POLICE)
    leeds.tell(P, fragment(P, NHS, name=NAME))
    leeds.agreements = {}
    leeds.tell(P)
    assert leeds.views() == [(NHS, False)]
    assert leeds.owed() == {NHS: ["name"]}
    assert [o.topic for o in leeds.out if o.topic.startswith("obligations.")] == ["obligations.police"]


# -- bounds


def test_nothing_is_shared_of_a_person_of_whom_more_was_taken_away_than_is_known() -> None:
    """R8, C6: whatever the basis, although half the record is missing; what was sent is owed (V4)."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    assert leeds.views() == [(NINO, True)]
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME, overfull=True))
    assert leeds.views() == [(NINO, False)]
    assert leeds.owed() == {NINO: ["name"]}
    assert leeds.tell(P, fragment(P, NINO, name=NAME, overfull=True)) == []


def test_a_long_value_is_remembered_by_its_digest_and_written_in_full() -> None:
    """R8, V1: enough to tell a change from a repetition, so that one state has room for all agreements."""
    long = {**NAME, "given": "A" * 10_000}
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=long))
    (written,) = [out.value or b"" for out in leeds.out if out.topic.startswith("view.")]
    assert len(written) > 10_000
    assert len(leeds.state(P).sent["hmrc-estates"].content["name"]) < 100
    assert leeds.tell(P, fragment(P, NINO, name=long)) == []
    leeds.tell(P, fragment(P, NINO, name={**long, "family": "B"}))
    assert leeds.views() == [(NINO, True)]


def test_half_a_record_keeps_a_long_value_that_is_still_the_same() -> None:
    """R8, I6: by its digest; one that changed meanwhile is not shown."""
    long = {**NAME, "given": "A" * 10_000}
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=long))
    assert leeds.tell(P, fragment(P, NINO, NINO, NHS, name=long)) == []
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name={**long, "given": "B" * 10_000}))
    assert leeds.views() == [(NINO, False)]


def test_fields_of_a_long_value_that_an_agreement_no_longer_names_are_owed() -> None:
    """V4, R8: the digest knows which fields were not null."""
    long = {"lines": ["1 Row " + "w" * 5_000], "postcode": None, "authority": "leeds"}
    leeds = town(POLICE)
    leeds.tell(P, fragment(P, NHS, address=long))
    grants = tuple(
        replace(g, fields=("authority",)) if g.attribute == "address" else g for g in POLICE.attributes
    )
    leeds.agreements = {POLICE.agreement: replace(POLICE, version=POLICE.version + 1, attributes=grants)}
    leeds.tell(P)
    assert list(leeds.owed().values()) == [["address.lines"]]
