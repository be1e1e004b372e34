"""Small scenes of events that belong together, where a rule decides only when several meet."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tests.model.contracts import Contract
from tests.model.identifiers import scheme_of
from tests.model.times import FIVE_MINUTES_MS, instant, text_of

if TYPE_CHECKING:
    from tests.nasty.teller import Teller

Event = dict[str, Any]
STEPS_MS = (0, 0, 0, 1, 60_000, FIVE_MINUTES_MS - 1, FIVE_MINUTES_MS, FIVE_MINUTES_MS + 1)


def burst(teller: Teller) -> list[Event]:
    """One of the scenes."""
    scene = teller.rng.choice((duel, decided, decided, enrolled, died, twins, rewritten, circle))
    return scene(teller)


def duel(teller: Teller) -> list[Event]:
    """§5: contrary statements about the same, at one time or minutes apart, by one source or several."""
    rng = teller.rng
    kinds = ("consent", "consent", "consent", "objection", "restriction", "enrolment")
    contracts = _of_kind(teller, rng.choice(kinds))
    if not contracts:
        return []
    contract = rng.choice(contracts)
    first = teller.event(contract)
    told = [first]
    state = contract.field_of_term("state")
    categories = contract.field_of_term("categories")
    about = {"subscriber", "purpose", "agreement"}
    for _ in range(rng.choice((1, 1, 2, 3))):
        other = teller.event(contract)
        kept = {field for term in about if (field := contract.field_of_term(term))}
        if rng.random() < 0.8:
            kept |= set(contract.fields_in_role("subject"))
        other["data"] |= {
            name: value for name, value in first["data"].items() if name in kept and name != state
        }
        if state is not None:
            other["data"][state] = rng.choice(_symbols(contract, state))
        if categories is not None and rng.random() < 0.7:
            other["data"][categories] = rng.choice(([], first["data"].get(categories, [])))
        other["time"] = _near(teller, first["time"])
        if rng.random() < 0.4:
            other["source"] = _another_system(teller, first)
        told.append(other)
    return told


def decided(teller: Teller) -> list[Event]:
    """C1 where it shows: a fact, and decisions about sharing its attribute, in turn or at once."""
    rng = teller.rng
    agreements = [
        each
        for each in teller.rules.agreements.values()
        if each.basis == "consent" and each.valid_from_ms <= teller.at_ms < each.valid_until_ms
    ]
    if not agreements:
        return []
    agreement = rng.choice(agreements)
    attribute = rng.choice(agreement.attributes)[0]
    stating = [
        contract
        for contract in _of_kind(teller, "fact")
        if attribute in (said.get("attribute") for said in contract.annotations.values())
    ]
    deciding = _of_kind(teller, "consent")
    if not stating or not deciding:
        return []
    fact, contract = teller.event(rng.choice(stating)), rng.choice(deciding)
    about, (subject,) = teller.subject_of(fact), contract.fields_in_role("subject")
    told = [fact]
    for _ in range(rng.choice((1, 2, 2, 3))):
        event = teller.event(contract)
        if about is not None and scheme_of(about) in _schemes(teller, contract, subject):
            _put(event, contract, subject, about)
        category = teller.rules.attributes[attribute].category
        terms: dict[str, object] = {"subscriber": agreement.subscriber, "purpose": agreement.purpose}
        terms["categories"] = rng.choice(([category], [category], []))
        if len(told) == 1:
            terms["state"] = "GRANTED"
        event["data"] |= {contract.field_of_term(term): value for term, value in terms.items()}
        if len(told) > 1:
            event["time"] = _near(teller, told[1]["time"])
            if rng.random() < 0.4:
                event["source"] = _another_system(teller, told[1])
        told.append(event)
    return told


def enrolled(teller: Teller) -> list[Event]:
    """C4 where it shows: a fact, and its subscriber beginning and ending at once or in turn."""
    rng = teller.rng
    found = [
        (agreement, fact, contract)
        for agreement in teller.rules.agreements.values()
        if agreement.scope == "enrolled"
        for fact in _of_kind(teller, "fact")
        if {name for name, _ in agreement.attributes}
        & {fact.annotations[f]["attribute"] for f in fact.attribute_fields}
        for contract in _of_kind(teller, "enrolment")
        if agreement.subscriber in contract.owners
    ]
    if not found:
        return []
    agreement, stating, contract = rng.choice(found)
    fact, (subject,) = teller.event(stating), contract.fields_in_role("subject")
    about, told = teller.subject_of(fact), [fact]
    for _ in range(rng.choice((1, 2, 2))):
        event = teller.event(contract)
        if about is not None and scheme_of(about) in _schemes(teller, contract, subject):
            _put(event, contract, subject, about)
        terms = {"agreement": agreement.name, "state": rng.choice(("ENROLLED", "ENDED"))}
        event["data"] |= {contract.field_of_term(term): value for term, value in terms.items()}
        event["source"] = f"urn:gov:{agreement.subscriber}:main"
        if len(told) > 1:
            event["time"] = _near(teller, told[1]["time"])
        told.append(event)
    return told


def died(teller: Teller) -> list[Event]:
    """C5 where it shows: a fact that is only shared of the dead, a death, and perhaps what takes it back."""
    rng = teller.rng
    shared = {
        name
        for agreement in teller.rules.agreements.values()
        if agreement.scope == "deceased"
        for name, _ in agreement.attributes
    }
    facts = [
        (each, {each.annotations[f]["attribute"] for f in each.attribute_fields})
        for each in _of_kind(teller, "fact")
    ]
    stating = [fact for fact, says in facts if says & shared]
    deadly = [fact for fact, says in facts if "death" in says]
    if not stating or not deadly:
        return []
    told = [teller.event(rng.choice(stating)), teller.event(rng.choice(deadly))]
    ends = [teller.subject_of(event) for event in told]
    if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
        told += joined(teller, ends[0], ends[1])
    for contract in _of_kind(teller, "annulment"):
        event, (subject,) = teller.event(contract), contract.fields_in_role("subject")
        if (
            rng.random() < 0.3
            and ends[1] is not None
            and scheme_of(ends[1]) in _schemes(teller, contract, subject)
        ):
            _put(event, contract, subject, ends[1])
            event["data"][contract.field_marked("prior")] = told[1]["id"]
            told.append(event | {"source": told[1]["source"]})
    return told


def twins(teller: Teller) -> list[Event]:
    """R5: one event about two identifiers of one person."""
    rng = teller.rng
    contracts = [each for each in _of_kind(teller, "fact") if each.attribute_fields]
    if not contracts:
        return []
    contract = rng.choice(contracts)
    first = teller.event(contract)
    twin = teller.event(contract) | {name: first[name] for name in ("id", "source", "time")}
    whens = {contract.field_of_term(term) for term in ("effective", "until")} - {
        None,
        *contract.attribute_fields,
    }
    same = {field for field in (*whens, contract.field_marked("item")) if field}
    twin["data"] |= {name: value for name, value in first["data"].items() if name in same}
    ends = [teller.subject_of(first), teller.subject_of(twin)]
    told = [first, twin]
    if ends[0] is not None and ends[1] is not None:
        told += joined(teller, ends[0], ends[1])
    return told


def rewritten(teller: Teller) -> list[Event]:
    """R2: one event with two contents and two times."""
    rng = teller.rng
    contracts = [each for each in _of_kind(teller, "fact") if each.attribute_fields]
    if not contracts:
        return []
    contract = rng.choice(contracts)
    first = teller.event(contract)
    other = deepcopy(first)
    changed = teller.event(contract)["data"]
    other["data"] |= {name: changed[name] for name in contract.attribute_fields if name in changed}
    other["time"] = text_of(instant(first["time"]) + rng.choice((1, -1)) * rng.choice((0, 1, 86_400_000)))
    return [first, other]


def circle(teller: Teller) -> list[Event]:
    """I3: identifiers of one scheme that supersede one another in a circle."""
    rng = teller.rng
    able = [each for each in teller.rules.contracts.values() if each.fields_in_role("superseded-by")]
    if not able:
        return []
    contract = rng.choice(able)
    subject, successor = contract.fields_in_role("subject")[0], contract.fields_in_role("superseded-by")[0]
    schemes = _schemes(teller, contract, subject) & _schemes(teller, contract, successor)
    if not schemes:
        return []
    scheme = rng.choice(sorted(schemes))
    ring = rng.sample(teller.pool[scheme], k=min(len(teller.pool[scheme]), rng.choice((2, 3, 3))))
    told = []
    for place, value in enumerate(ring):
        event = teller.event(contract)
        _put(event, contract, subject, f"{scheme}:{value}")
        _put(event, contract, successor, f"{scheme}:{ring[(place + 1) % len(ring)]}")
        told.append(event)
    return told


def joined(teller: Teller, one: str, other: str) -> list[Event]:
    """An event that links two identifiers, if some contract can."""
    found = []
    for contract in teller.rules.contracts.values():
        (subject,) = contract.fields_in_role("subject")
        others = contract.fields_in_role("same-person") + contract.fields_in_role("superseded-by")
        if contract.kind == "link":
            others += contract.fields_in_role("other")
        for field in others:
            for left, right in ((one, other), (other, one)):
                fits = scheme_of(left) in _schemes(teller, contract, subject)
                if fits and scheme_of(right) in _schemes(teller, contract, field):
                    found.append((contract, subject, field, left, right))
    if not found:
        return []
    contract, subject, field, left, right = teller.rng.choice(found)
    event = teller.event(contract)
    _put(event, contract, subject, left)
    _put(event, contract, field, right)
    return [event]


def _near(teller: Teller, time: str) -> str:
    return text_of(instant(time) + teller.rng.choice((1, -1)) * teller.rng.choice(STEPS_MS))


def _another_system(teller: Teller, event: Event) -> str:
    owner = event["source"].split(":")[2]
    return f"urn:gov:{owner}:{teller.rng.choice(('main', 'alt.2'))}"


def _symbols(contract: Contract, name: str) -> list[str]:
    """The symbols of an enum field."""
    (field,) = (each for each in contract.schema["fields"] if each["name"] == name)
    return list(field["type"]["symbols"])


def _of_kind(teller: Teller, kind: str) -> list[Contract]:
    return [each for each in teller.rules.contracts.values() if each.kind == kind]


def _schemes(teller: Teller, contract: Contract, field: str) -> set[str]:
    said = contract.annotations[field]
    if said["identifier"] != "*":
        return {said["identifier"]}
    return set(said.get("schemes") or teller.rules.schemes.order)


def _put(event: Event, contract: Contract, field: str, identifier: str) -> None:
    star = contract.annotations[field]["identifier"] == "*"
    event["data"][field] = identifier if star else identifier.partition(":")[2]
