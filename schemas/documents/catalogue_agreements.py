"""The catalogue's pages of agreements: who receives what, why, for how long, and when it ends (C5, C6)."""

from __future__ import annotations

from collections.abc import Iterator

from ..agreement import Agreement, Basis, Deceased, Enrolled, Grant, Where
from ..catalogue import SPECIAL_CATEGORY
from .catalogue_frame import page
from .catalogue_links import (
    AGREEMENTS,
    agreement_file,
    to_agreement,
    to_attribute,
    to_contract,
    to_organisation,
)
from .flows import Flows
from .html import Html, Inside, code, el, facts, inline, joined, table
from .wire import Wire
from .words import SENSITIVITY, about_whom, basis, in_force, known_by, lasting, listed


def agreements_page(flows: Flows) -> str:
    """All agreements on one page."""
    rows = [
        (
            to_agreement(each),
            to_organisation(each.subscriber),
            each.purpose,
            basis(each),
            joined(to_attribute(grant.attribute) for grant in each.attributes),
        )
        for each in flows.agreements.values()
    ]
    heads = ("Agreement", "Who receives", "For what", "On what basis", "What")
    return page(
        "Agreements",
        AGREEMENTS,
        el("p", "A service receives nothing about a citizen but what one of these agreements gives it."),
        table("Every data-sharing agreement", heads, rows, "all-agreements"),
    )


def agreement_pages(flows: Flows, wire: Wire) -> Iterator[tuple[str, str]]:
    """A page for each agreement."""
    for agreement in flows.agreements.values():
        yield agreement_file(agreement), _agreement_page(agreement, flows, wire)


def _agreement_page(agreement: Agreement, flows: Flows, wire: Wire) -> str:
    return page(
        agreement.agreement,
        AGREEMENTS,
        el(
            "p",
            to_organisation(agreement.subscriber),
            f" receives {listed(grant.attribute.replace('_', ' ') for grant in agreement.attributes)} for ",
            inline("strong", agreement.purpose),
            ".",
            class_="lead",
        ),
        facts(_facts(agreement, flows, wire)),
        el("h2", "What is shared", id="what"),
        _shared(agreement, flows),
        el("h2", "When nothing is shared", id="when-not"),
        el("ul", [el("li", text) for text in _ends(agreement, flows)]),
        above=(AGREEMENTS, "Agreements"),
    )


def _facts(agreement: Agreement, flows: Flows, wire: Wire) -> list[tuple[str, Inside]]:
    topic = wire.view_topic(agreement.agreement)
    return [
        ("Who receives it", to_organisation(agreement.subscriber)),
        ("For what", agreement.purpose),
        ("On what basis", basis(agreement)),
        ("Statutory power", agreement.gateway or "None needed on this basis"),
        ("In force", in_force(agreement)),
        ("About whom", about_whom(agreement)),
        ("How a person is known", known_by(agreement, flows.contracts)),
        (
            "Objections",
            "An objection of the citizen stops it"
            if agreement.honours_objection
            else "An objection of the citizen does not stop it",
        ),
        (
            "Protected persons",
            "Are shared too" if agreement.sees_restricted else "Are never shared",
        ),
        ("After death", "It goes on" if agreement.after_death == "continue" else "It stops"),
        (
            "Deletion",
            f"What is taken back is deleted by the receiver within {lasting(agreement.delete_within)}, "
            "and the receiver confirms it",
        ),
        ("Version and topic", [f"Version {agreement.version}, ", code(topic)]),
    ]


def _shared(agreement: Agreement, flows: Flows) -> Html:
    heads = ("Attribute", "Fields shared", "Not shared of it", "Sensitivity", "Who says it")
    rows = [_row(grant, flows) for grant in agreement.attributes]
    return table(f"What {agreement.subscriber} may see", heads, rows, "shared")


def _row(grant: Grant, flows: Flows) -> tuple[Inside, ...]:
    attribute = flows.contracts.attributes[grant.attribute]
    shown, hidden = flows.shared(grant)
    says = joined(to_contract(contract) for contract in flows.stated[grant.attribute])
    return (
        to_attribute(grant.attribute),
        joined(map(code, shown)) or "The value as a whole",
        joined(map(code, hidden)) or "Nothing is left out",
        SENSITIVITY[attribute.sensitivity],
        says or "No contract states it yet, so nothing is shared",
    )


def _ends(agreement: Agreement, flows: Flows) -> Iterator[Inside]:
    """C6, read aloud for this agreement."""
    yield f"Outside its time: {in_force(agreement)}."
    match agreement.scope:
        case Where():
            yield f"When the person is not one of these: {about_whom(agreement)}."
        case Enrolled():
            yield "When the subscriber has not enrolled the person, or has ended the enrolment."
        case Deceased():
            yield "While no death of the person is known, and when it turns out to be none."
    if not agreement.sees_restricted:
        yield "When anybody protects the person."
    if agreement.after_death == "stop":
        yield "When the person has died."
    if agreement.honours_objection:
        yield "When the citizen objects to this purpose or this receiver."
    if agreement.basis is not Basis.CONSENT:
        yield "A withdrawal of consent does not stop it: it does not rest on consent."
        return
    categories = {flows.contracts.attributes[grant.attribute].category for grant in agreement.attributes}
    yield (
        "When the citizen has not consented, has paused or withdrawn the consent, or it has run out. "
        f"Consent is given by category; here: {listed(sorted(categories))}."
    )
    named = {
        flows.contracts.attributes[grant.attribute].category
        for grant in agreement.attributes
        if flows.contracts.attributes[grant.attribute].sensitivity == SPECIAL_CATEGORY
    }
    if named:
        yield f"Of {listed(sorted(named))} nothing, unless the consent names it."
