"""The entries of the disclosure log: who saw which fields of whom, why, and a salted commitment (V5).

An entry is JSON whose names are sorted, nested ones too, so that equal entries are equal bytes; therefore the
fields below stand in that order.
"""

from __future__ import annotations

import msgspec

from processors.decision import Decision, Permit
from processors.outcomes import Denial


class Permitted(msgspec.Struct, gc=False):
    """What a field that was shown rests on (C6)."""

    consent: tuple[str, str] | None
    gateway: str | None
    permit: str


class Denied(msgspec.Struct, gc=False):
    """Why a field was withheld (C6)."""

    deny: str


class Reasons(msgspec.Struct, gc=False):
    """The full reasons and permits of a decision; without attributes where no agreement is left to ask."""

    attributes: dict[str, Permitted | Denied] | msgspec.UnsetType
    denied: str | None


class LoggedCause(msgspec.Struct, gc=False):
    """The event that set the disclosure off, and the hash by which views name it (V3)."""

    hash: str
    id: str
    source: str


class Entry(msgspec.Struct, gc=False):
    """One view write or retraction."""

    agreement: str
    cause: LoggedCause
    commitment: str
    decision: Reasons
    fields: list[str]
    key: str
    kind: str
    person: str
    reason: str | None
    sequence: int
    subscriber: str
    time: str
    version: int


def reasons(decision: Decision | None) -> Reasons:
    """The reasons of a decision; None is that of an agreement that no longer exists."""
    if decision is None:
        return Reasons(msgspec.UNSET, Denial.AGREEMENT_NOT_IN_FORCE.value)
    attributes: dict[str, Permitted | Denied] = {}
    for attribute, answer in decision.attributes.items():
        if isinstance(answer, Permit):
            attributes[attribute] = Permitted(answer.consent, answer.gateway, answer.basis)
        else:
            attributes[attribute] = Denied(answer.value)
    return Reasons(attributes, None if decision.denied is None else decision.denied.value)


encode_entry = msgspec.json.Encoder(order="deterministic").encode
