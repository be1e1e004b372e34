"""The demo's contracts and agreements: sound, documented, and what a department would recognise."""

from functools import cache
from pathlib import Path

import pytest

from producers import Ready, make_ready, read_lines
from schemas import (
    DECEASED,
    Agreement,
    Basis,
    Contract,
    Contracts,
    Kind,
    Role,
    load_agreements,
    load_contracts,
    parse_instant,
)

ROOT = Path(__file__).resolve().parents[2]
T = parse_instant("2026-11-23T10:00:00Z")
DEPARTMENTS = {"gro", "nhs", "dwp", "hmrc", "council-leeds", "council-york", "dvla", "gds", "consent-service"}


@cache
def contracts() -> Contracts:
    return load_contracts(ROOT / "schemas")


@cache
def agreements() -> dict[str, Agreement]:
    return load_agreements(ROOT / "schemas" / "agreements", contracts())


def test_every_department_of_the_demo_publishes():
    """Seven kinds of department and the two services about the citizen have a contract each."""
    owners = {owner for contract in contracts().by_type.values() for owner in contract.owners}
    assert owners >= DEPARTMENTS


def test_every_kind_of_event_has_a_contract():
    """Facts, annulments, links and every decision about sharing can be said (E4)."""
    assert {contract.kind for contract in contracts().by_type.values()} == set(Kind)


def test_every_attribute_has_a_source_and_every_trusted_owner_publishes_it():
    """Trust in an owner who never says anything would be a mistake in the table (R5)."""
    sources: dict[str, set[str]] = {}
    for contract in contracts().by_type.values():
        for field in contract.attributes:
            sources.setdefault(field.attribute, set()).update(contract.owners)
    for name, attribute in contracts().attributes.items():
        assert sources.get(name), name
        assert set(attribute.trust) <= sources[name], name


@pytest.mark.parametrize("contract", contracts().by_type.values(), ids=lambda contract: contract.type)
def test_every_field_of_a_contract_is_explained(contract: Contract):
    """A reader from the department finds a sentence at the contract and at each field."""
    assert contract.doc
    fields = contract.schema["fields"]
    assert isinstance(fields, list)
    assert [field["name"] for field in fields if not field.get("doc", "").endswith(".")] == []


@pytest.mark.parametrize("contract", contracts().by_type.values(), ids=lambda contract: contract.type)
def test_an_owner_may_link_what_its_contract_links(contract: Contract):
    """The authority table covers every pair that a contract can state (E6)."""
    others = [*contract.links, *([contract.other] if contract.other else [])]
    for other in others:
        pairs = {
            tuple(sorted((mine, theirs)))
            for mine in contract.subject.schemes or {contract.subject.scheme}
            for theirs in other.schemes or {other.scheme}
        }
        for owner in contract.owners:
            assert pairs <= contracts().authority[owner], (owner, other.name)


@pytest.mark.parametrize("known", ["1961", "1961-04", "1961-04-30"])
@pytest.mark.parametrize("type_", ["uk.gov.health.demographics.v1", "uk.gov.health.death-notification.v1"])
def test_a_register_may_know_half_a_date(known: str, type_: str):
    """Births and deaths may be known to the month or the year only."""
    rest = {"birth_date": known} if "demographics" in type_ else {"deceased_date": known, "status": "FORMAL"}
    plain = contracts().by_type[type_].from_json({"nhs_number": "9990000018", **rest})
    assert known in plain.values()


def test_the_agreements_show_each_way_of_sharing():
    """Consent, statute, enrolled, where, an identifier as subject, a pairwise group, protected persons."""
    found = agreements()
    assert len(found) >= 6
    assert found["council-leeds-housing"].basis is Basis.CONSENT
    statutory = found["council-leeds-council-tax-reduction"]
    assert statutory.basis is Basis.PUBLIC_TASK
    assert statutory.gateway
    assert not statutory.honours_objection
    groups = [agreement.pairwise_group for agreement in found.values() if agreement.pairwise_group]
    assert len(groups) == 2
    assert len(set(groups)) == 1
    assert {agreement.subject for agreement in found.values()} >= {
        "pairwise",
        "nino",
        "nhs",
        "ctax",
        "driver",
    }
    assert any(agreement.sees_restricted for agreement in found.values())
    assert any(agreement.after_death == "continue" for agreement in found.values())


def test_whoever_settles_estates_receives_nobody_who_lives():
    """C5: names, births and employers of the living are none of its business."""
    assert agreements()["hmrc-estates"].scope == DECEASED


def test_an_agreement_starts_with_words_for_a_policy_person():
    """Each file explains itself before its first key."""
    for file in (ROOT / "schemas" / "agreements").glob("*.yaml"):
        first = file.read_text(encoding="utf-8").splitlines()[:2]
        assert all(line.startswith("# ") for line in first), file.name


def test_the_first_event_of_the_readme_goes_through():
    """What a newcomer publishes first is right, and short."""
    with (ROOT / "docs" / "examples" / "first-event.jsonl").open("rb") as file:
        lines = list(read_lines(file))
    assert 0 < len(lines) <= 10
    assert all(isinstance(make_ready(line.content, contracts(), T), Ready) for line in lines)


def test_no_contract_takes_a_place_for_a_person():
    """UPRN is a place: no identifier field names it (I1)."""
    for contract in contracts().by_type.values():
        roles = [contract.subject, *contract.links]
        assert all("uprn" not in field.name for field in roles)
        assert contract.subject.role is Role.SUBJECT
