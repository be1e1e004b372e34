"""The catalogue's pages of contracts: who publishes what, and who receives which part of it (E4)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..avro_type import Field, nullable
from ..contract import Contract
from ..page import example, meaning, spelt
from .catalogue_frame import page
from .catalogue_links import (
    CONTRACTS,
    contract_file,
    field_anchor,
    to_agreement,
    to_attribute,
    to_contract,
    to_organisation,
)
from .flows import Flows
from .html import Html, Inside, code, el, facts, joined, marked, table
from .wire import Wire
from .words import KINDS, SENSITIVITY, basis, lasting


def contracts_page(flows: Flows) -> str:
    """All contracts on one page, by domain."""
    rows = [
        (
            to_contract(each),
            joined(map(to_organisation, sorted(each.owners))),
            each.doc,
            lasting(each.retention),
        )
        for each in flows.contracts.by_type.values()
    ]
    return page(
        "Contracts",
        CONTRACTS,
        el("p", "A department publishes nothing but events of one of these contracts, and only of its own."),
        table(
            "Every contract", ("Contract", "Who publishes", "What it says", "Kept for"), rows, "all-contracts"
        ),
    )


def contract_pages(flows: Flows, wire: Wire) -> Iterator[tuple[str, str]]:
    """A page for each contract."""
    for contract in flows.contracts.by_type.values():
        yield contract_file(contract), _contract_page(contract, flows, wire)


def _contract_page(contract: Contract, flows: Flows, wire: Wire) -> str:
    shown = json.dumps(example(contract, flows.contracts), indent=2, ensure_ascii=False)
    return page(
        contract.type,
        CONTRACTS,
        el("p", contract.doc, class_="lead"),
        facts(_facts(contract, wire)),
        el("h2", "What it says", id="fields"),
        _fields(contract, flows),
        el("h2", "Who receives it", id="receivers"),
        _receivers(contract, flows),
        el("h2", "An example", id="example"),
        el("p", "Valid, and about nobody."),
        el("pre", el("code", shown), tabindex="0", role="region", aria_label="An example of an event"),
        above=(CONTRACTS, "Contracts"),
    )


def _facts(contract: Contract, wire: Wire) -> list[tuple[str, Inside]]:
    gateway = "Over HTTP only: several organisations share the topic"
    direct = all(wire.owner_user(owner) in wire.topics[contract.type].writers for owner in contract.owners)
    return [
        ("Who publishes it", joined(map(to_organisation, sorted(contract.owners)))),
        ("What it does", KINDS[contract.kind]),
        ("Kept for", f"{lasting(contract.retention)} after it was recorded"),
        ("How it is published", "On Kafka or over HTTP" if direct else gateway),
        ("Topic", code(contract.type)),
        ("Subject of the registry", code(f"{contract.type}-value")),
    ]


def _fields(contract: Contract, flows: Flows) -> Html:
    rows = [_field(field, contract, flows) for field in contract.codec.type.fields]
    return table(
        "Every field of an event", ("Field", "Type", "What it means", "Sensitivity"), rows, "every-field"
    )


def _field(field: Field, contract: Contract, flows: Flows) -> tuple[Inside, ...]:
    attribute = next((each.attribute for each in contract.attributes if each.name == field.name), None)
    optional = "; may be left out" if field.has_default else "; may be null" if nullable(field.type) else ""
    words = marked(meaning(field.name, contract, flows.contracts))
    sensitivity = SENSITIVITY[flows.contracts.attributes[attribute].sensitivity] if attribute else "–"
    return (
        el("span", code(field.name), id=field_anchor(field.name)),
        [*marked(spelt(field.type)), optional],
        [*words, ". " if field.doc else "", field.doc],
        sensitivity,
    )


def _receivers(contract: Contract, flows: Flows) -> Html:
    rows = [
        (
            to_attribute(each.attribute),
            to_organisation(receipt.agreement.subscriber),
            to_agreement(receipt.agreement),
            joined(map(code, flows.shared(receipt.grant)[0])) or "The value as a whole",
            basis(receipt.agreement),
        )
        for each in contract.attributes
        for receipt in flows.received[each.attribute]
    ]
    if not rows:
        return el("p", "Nobody. It decides what is shared or who is one person, or no agreement names it.")
    heads = ("Attribute", "Who receives it", "Under which agreement", "Which fields", "On what basis")
    return table(
        "Who receives what this contract says, as far as a decision for the person allows",
        heads,
        rows,
        "receives",
    )
