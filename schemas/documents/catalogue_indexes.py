"""The catalogue's other pages: overview, attributes, organisations, identifiers, and an index from A to Z."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..catalogue import Attribute
from .catalogue_frame import TITLE, page
from .catalogue_links import (
    A_TO_Z,
    ATTRIBUTES,
    IDENTIFIERS,
    INDEX,
    ORGANISATIONS,
    agreement_file,
    contract_file,
    field_anchor,
    to_agreement,
    to_attribute,
    to_contract,
    to_organisation,
    to_scheme,
)
from .flows import Flows, Receipt
from .html import Html, Inside, code, el, inline, joined, link, table
from .words import SENSITIVITY, basis, lasting, listed, scheme


def index_page(flows: Flows) -> str:
    """The overview: what there is, and who receives what on which basis."""
    counted = (
        f"{len(flows.organisations)} organisations, {len(flows.contracts.by_type)} contracts, "
        f"{len(flows.agreements)} agreements."
    )
    rows = [
        (
            to_attribute(name),
            joined(map(to_organisation, _owners(flows, name))) or "Nobody yet",
            _receivers(flows.received[name]),
        )
        for name in flows.contracts.attributes
    ]
    return page(
        TITLE,
        INDEX,
        el(
            "p",
            "Who publishes what about citizens, who receives it, on what basis, and for how long.",
            class_="lead",
        ),
        el("p", counted),
        el("h2", "Who says what, and who receives it", id="flows"),
        table(
            "Every attribute of a citizen",
            ("Attribute", "Who says it", "Who receives it"),
            rows,
            "every-attribute",
        ),
        el("h2", "How to find something", id="find"),
        el(
            "ul",
            el("li", "What one service receives: ", link("agreements.html", "agreements")),
            el("li", "What one department publishes: ", link("contracts.html", "contracts")),
            el("li", "Where one fact about a citizen goes: ", link(ATTRIBUTES, "attributes")),
            el("li", "All that one organisation does: ", link(ORGANISATIONS, "organisations")),
            el("li", "A word or the name of a field: ", link(A_TO_Z, "A to Z")),
        ),
    )


def _receivers(receipts: Iterable[Receipt]) -> Inside:
    items = [
        el(
            "li",
            to_organisation(each.agreement.subscriber),
            " for ",
            link(agreement_file(each.agreement), each.agreement.purpose),
            f": {basis(each.agreement)}",
        )
        for each in receipts
    ]
    return el("ul", items) if items else "Nobody"


def attributes_page(flows: Flows) -> str:
    """Each attribute of a citizen: who says it, whom we believe, who receives which part of it."""
    sections = [_attribute(attribute, flows) for attribute in flows.contracts.attributes.values()]
    contents = el("ul", [el("li", to_attribute(name)) for name in flows.contracts.attributes])
    intro = el("p", "All that can be known of a citizen here. Nothing else enters a record.")
    return page("Attributes", ATTRIBUTES, intro, contents, sections)


def _attribute(attribute: Attribute, flows: Flows) -> list[Inside]:
    name = attribute.name
    said = [
        (to_contract(each), joined(map(to_organisation, sorted(each.owners))), lasting(each.retention))
        for each in flows.stated[name]
    ]
    received = [
        (
            to_agreement(each.agreement),
            to_organisation(each.agreement.subscriber),
            joined(map(code, flows.shared(each.grant)[0])) or "The value as a whole",
            basis(each.agreement),
            lasting(each.agreement.delete_within),
        )
        for each in flows.received[name]
    ]
    first = (
        f"Believed first: {listed(attribute.trust)}. " if attribute.trust else "Nobody is believed first. "
    )
    many = "A person can have several." if attribute.items else "A person has one."
    heads = ("Agreement", "Who receives it", "Which fields", "On what basis", "Deleted within")
    return [
        el("h2", name, id=f"attribute-{name}"),
        el(
            "p",
            attribute.description,
            f" Category: {attribute.category}. {SENSITIVITY[attribute.sensitivity]}.",
        ),
        el("p", first, many),
        table(f"Who says {name}", ("Contract", "Who publishes", "Kept for"), said, f"says-{name}")
        if said
        else el("p", "No contract states it yet."),
        table(f"Who receives {name}", heads, received, f"receives-{name}")
        if received
        else el("p", "No agreement shares it."),
    ]


def organisations_page(flows: Flows) -> str:
    """Each organisation: what it publishes, what it receives, which identifiers it may link."""
    sections = [_organisation(name, flows) for name in flows.organisations]
    contents = el("ul", [el("li", to_organisation(name)) for name in flows.organisations])
    return page("Organisations", ORGANISATIONS, contents, sections)


def _organisation(name: str, flows: Flows) -> list[Inside]:
    publishes = [(to_contract(each), each.doc) for each in flows.publishes(name)]
    receives = [
        (
            to_agreement(each),
            each.purpose,
            basis(each),
            joined(to_attribute(grant.attribute) for grant in each.attributes),
        )
        for each in flows.receives(name)
    ]
    pairs = sorted(flows.contracts.authority.get(name, ()))
    return [
        el("h2", name, id=f"organisation-{name}"),
        table(f"What {name} publishes", ("Contract", "What it says"), publishes, f"publishes-{name}")
        if publishes
        else el("p", "It publishes nothing."),
        table(
            f"What {name} receives",
            ("Agreement", "For what", "On what basis", "What"),
            receives,
            f"receives-{name}",
        )
        if receives
        else el("p", "It receives nothing."),
        el("p", "It may say that these belong to one person: ", joined(_pair(*pair) for pair in pairs), ".")
        if pairs
        else None,
    ]


def _pair(one: str, other: str) -> Html:
    return inline("span", to_scheme(one), " and ", to_scheme(other))


def identifiers_page(flows: Flows) -> str:
    """Each identifier scheme: whose it is, and where it is used."""
    schemes = flows.contracts.schemes
    rows = []
    for name in schemes.names:
        declared = schemes.declared.get(name)
        used = [
            contract
            for contract in flows.contracts.by_type.values()
            if any(each.scheme == name for each in contract.identifiers)
        ]
        rows.append(
            (
                el("span", name, id=f"scheme-{name}"),
                scheme(name, flows.contracts),
                to_organisation(declared.owner) if declared else "National",
                "One at a time" if name in schemes.exclusive else "Several are possible",
                joined(map(to_contract, used)) or "Only where any identifier is taken",
            )
        )
    heads = ("Scheme", "What it is", "Whose", "How many a person has", "Contracts with it")
    return page(
        "Identifiers",
        IDENTIFIERS,
        el("p", "Departments know citizens by different numbers. These are all that may occur."),
        table("Every identifier scheme", heads, rows, "every-scheme"),
    )


def a_to_z_page(flows: Flows) -> str:
    """Every name in the catalogue, alphabetically."""
    entries = sorted(_entries(flows), key=lambda entry: (entry[0].lower(), entry[1], entry[2]))
    letters = sorted({text[0].upper() for text, _, _ in entries})
    contents = el(
        "p", joined((link(f"#letter-{letter}", letter) for letter in letters), " "), class_="letters"
    )
    sections = [
        [
            el("h2", letter, id=f"letter-{letter}"),
            el(
                "ul",
                [
                    el("li", link(to, text), f", {what}")
                    for text, what, to in entries
                    if text[0].upper() == letter
                ],
            ),
        ]
        for letter in letters
    ]
    return page("A to Z", A_TO_Z, contents, sections)


def _entries(flows: Flows) -> Iterator[tuple[str, str, str]]:
    for contract in flows.contracts.by_type.values():
        yield contract.type, "contract", contract_file(contract)
        for field in contract.codec.type.fields:
            yield (
                field.name,
                f"field of {contract.type}",
                f"{contract_file(contract)}#{field_anchor(field.name)}",
            )
    for agreement in flows.agreements.values():
        yield agreement.agreement, "agreement", agreement_file(agreement)
        yield agreement.purpose, f"purpose of {agreement.agreement}", agreement_file(agreement)
    for name, attribute in flows.contracts.attributes.items():
        yield name, f"attribute, {attribute.category}", f"{ATTRIBUTES}#attribute-{name}"
        for field in flows.fields_of(name):
            yield field.name, f"part of the attribute {name}", f"{ATTRIBUTES}#attribute-{name}"
    for name in flows.organisations:
        yield name, "organisation", f"{ORGANISATIONS}#organisation-{name}"
    for name in flows.contracts.schemes.names:
        yield scheme(name, flows.contracts), "identifier", f"{IDENTIFIERS}#scheme-{name}"


def _owners(flows: Flows, attribute: str) -> list[str]:
    return sorted({owner for contract in flows.stated[attribute] for owner in contract.owners})
