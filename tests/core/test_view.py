"""What a view holds of the record, when contracts have changed under it (C7, V1)."""

from __future__ import annotations

import json
from dataclasses import replace

from processors.decision import Decision, Permit
from processors.golden import Citizen, Golden
from processors.messages import Entry
from processors.view import Content, project
from schemas import Attribute, Contracts, load_agreements, load_contracts
from schemas.agreement import Agreement, Grant
from tests.nasty.generate import CASES

CONTRACTS: Contracts = load_contracts(CASES / "contracts")
HOUSING = load_agreements(CASES / "agreements", CONTRACTS)["leeds-housing"]


def projected(agreement: Agreement, attributes: dict[str, Attribute], **values: object) -> Content:
    """What the agreement sees, everything being permitted, of a person of whom this is known."""
    golden = {
        name: {"": Golden(Entry(1, 1, "s", "e", None, 9, json.dumps(value).encode()), "gro", "nhs:1")}
        for name, value in values.items()
    }
    citizen = Citizen(frozenset({"nhs:1"}), frozenset(), False, True, golden, {}, {}, {}, overfull=False)
    permits = {grant.attribute: Permit("public_task") for grant in agreement.attributes}
    content, _ = project(agreement, Decision(None, "nhs:1", permits), citizen, attributes)
    return content


def test_a_field_that_an_older_value_does_not_have_is_null() -> None:
    """C7: a contract may grow a field and an agreement name it; what was said before says nothing of it."""
    agreement = replace(HOUSING, attributes=(Grant("address", ("postcode", "authority")),))
    content = projected(agreement, dict(CONTRACTS.attributes), address={"postcode": "LS1 1AA"})
    assert json.loads(content["address"]) == {"postcode": "LS1 1AA", "authority": None}


def test_what_no_contract_here_states_is_not_in_the_view_yet() -> None:
    """V1: another worker took a contract up first. The schema has no place for the value, so to count it as
    sent would keep it from the subscriber for ever.
    """
    agreement = replace(HOUSING, attributes=(Grant("name", None), Grant("birth", None)))
    unstated = {**CONTRACTS.attributes, "birth": replace(CONTRACTS.attributes["birth"], avro_type=None)}
    assert set(projected(agreement, unstated, name={"given": "A"}, birth="2000")) == {"name"}
    stated = dict(CONTRACTS.attributes)
    assert set(projected(agreement, stated, name={"given": "A"}, birth="2000")) == {"name", "birth"}
