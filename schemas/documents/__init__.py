"""Documents made of contracts and agreements: AsyncAPI, data contracts (ODCS), and a catalogue to read."""

from __future__ import annotations

import yaml

from .asyncapi import asyncapi
from .catalogue_agreements import agreement_pages, agreements_page
from .catalogue_contracts import contract_pages, contracts_page
from .catalogue_frame import STYLE, STYLE_FILE
from .catalogue_indexes import a_to_z_page, attributes_page, identifiers_page, index_page, organisations_page
from .catalogue_links import (
    A_TO_Z,
    AGREEMENTS,
    ATTRIBUTES,
    CONTRACTS,
    IDENTIFIERS,
    INDEX,
    ORGANISATIONS,
)
from .flows import Flows, flows
from .messages import Json
from .odcs import contract_document, view_document
from .wire import Topic, Wire


def asyncapi_documents(found: Flows, wire: Wire) -> dict[str, Json]:
    """AsyncAPI documents by file name: the backbone's, and in a folder each organisation's own."""
    own = {f"asyncapi/{party}.json": asyncapi(found, wire, party) for party in found.parties}
    return {"asyncapi.json": asyncapi(found, wire)} | own


def data_contracts(found: Flows, wire: Wire) -> dict[str, Json]:
    """Data contracts by file name: one for each contract and one for each agreement's view."""
    contracts = found.contracts
    return {
        **{
            f"{type_}.odcs.yaml": contract_document(each, contracts, wire)
            for type_, each in contracts.by_type.items()
        },
        **{
            f"{wire.view_topic(name)}.odcs.yaml": view_document(agreement, contracts, wire)
            for name, agreement in found.agreements.items()
        },
    }


def catalogue(found: Flows, wire: Wire) -> dict[str, str]:
    """The pages of the catalogue, and their style, by file name."""
    return {
        INDEX: index_page(found),
        AGREEMENTS: agreements_page(found),
        CONTRACTS: contracts_page(found),
        ATTRIBUTES: attributes_page(found),
        ORGANISATIONS: organisations_page(found),
        IDENTIFIERS: identifiers_page(found),
        A_TO_Z: a_to_z_page(found),
        STYLE_FILE: STYLE,
        **dict(agreement_pages(found, wire)),
        **dict(contract_pages(found, wire)),
    }


def as_yaml(document: Json) -> str:
    """A document as YAML, keys in their order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


__all__ = [
    "Flows",
    "Topic",
    "Wire",
    "as_yaml",
    "asyncapi_documents",
    "catalogue",
    "data_contracts",
    "flows",
]
