"""Who says what and who receives it: contracts and agreements, looked at from each attribute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..agreement import Agreement, Grant
from ..avro_type import Field, Record, without_null
from ..catalogue import Contracts
from ..contract import Contract


@dataclass(frozen=True, slots=True)
class Receipt:
    """One attribute as one agreement receives it."""

    agreement: Agreement
    grant: Grant


@dataclass(frozen=True, slots=True)
class Flows:
    """What flows, by attribute; `parties` publish or receive, `organisations` may link identifiers too."""

    contracts: Contracts
    agreements: Mapping[str, Agreement]
    stated: Mapping[str, tuple[Contract, ...]]
    received: Mapping[str, tuple[Receipt, ...]]
    parties: tuple[str, ...]
    organisations: tuple[str, ...]

    def fields_of(self, attribute: str) -> tuple[Field, ...]:
        """The fields of an attribute that is a record; none of another."""
        type_ = self.contracts.attributes[attribute].avro_type
        shown = None if type_ is None else without_null(type_)
        return shown.fields if isinstance(shown, Record) else ()

    def shared(self, grant: Grant) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of an attribute's fields that a grant shares, and of those that it leaves out."""
        names = tuple(field.name for field in self.fields_of(grant.attribute))
        if grant.fields is None:
            return names, ()
        return (
            tuple(name for name in names if name in grant.fields),
            tuple(name for name in names if name not in grant.fields),
        )

    def publishes(self, owner: str) -> list[Contract]:
        """The contracts that an organisation may publish under."""
        return [contract for contract in self.contracts.by_type.values() if owner in contract.owners]

    def receives(self, subscriber: str) -> list[Agreement]:
        """The agreements of a subscriber."""
        return [found for found in self.agreements.values() if found.subscriber == subscriber]


def flows(contracts: Contracts, agreements: Mapping[str, Agreement]) -> Flows:
    """Look at contracts and agreements from each attribute."""
    by_type = contracts.by_type.values()
    owners = {owner for contract in by_type for owner in contract.owners}
    subscribers = {agreement.subscriber for agreement in agreements.values()}
    return Flows(
        contracts,
        agreements,
        {
            name: tuple(c for c in by_type if any(each.attribute == name for each in c.attributes))
            for name in contracts.attributes
        },
        {
            name: tuple(
                Receipt(agreement, grant)
                for agreement in agreements.values()
                for grant in agreement.attributes
                if grant.attribute == name
            )
            for name in contracts.attributes
        },
        tuple(sorted(owners | subscribers)),
        tuple(sorted(owners | subscribers | set(contracts.authority))),
    )
