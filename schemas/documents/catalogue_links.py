"""Where everything in the catalogue is: file names, anchors, and links to them."""

from __future__ import annotations

from ..agreement import Agreement
from ..contract import Contract
from .html import Html, link

INDEX = "index.html"
AGREEMENTS = "agreements.html"
CONTRACTS = "contracts.html"
ATTRIBUTES = "attributes.html"
ORGANISATIONS = "organisations.html"
IDENTIFIERS = "identifiers.html"
A_TO_Z = "a-z.html"


def agreement_file(agreement: Agreement) -> str:
    """The file of an agreement's page."""
    return f"agreement-{agreement.agreement}.html"


def contract_file(contract: Contract) -> str:
    """The file of a contract's page."""
    return f"contract-{contract.type}.html"


def field_anchor(name: str) -> str:
    """The id of a field on its contract's page."""
    return f"field-{name}"


def to_agreement(agreement: Agreement) -> Html:
    """A link to an agreement."""
    return link(agreement_file(agreement), agreement.agreement)


def to_contract(contract: Contract) -> Html:
    """A link to a contract."""
    return link(contract_file(contract), contract.type)


def to_attribute(name: str) -> Html:
    """A link to an attribute."""
    return link(f"{ATTRIBUTES}#attribute-{name}", name)


def to_organisation(name: str) -> Html:
    """A link to an organisation."""
    return link(f"{ORGANISATIONS}#organisation-{name}", name)


def to_scheme(name: str) -> Html:
    """A link to an identifier scheme."""
    return link(f"{IDENTIFIERS}#scheme-{name}", name)
