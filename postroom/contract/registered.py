"""What a registry holds of a contract: the versions that the committed history may not know (E6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from schemas import Problem, Reason, SchemaInvalid, incompatible, registered_version

if TYPE_CHECKING:
    from connectors.registry import Registry
    from schemas import Contract

REGISTERED, ALREADY_THERE = "registered", "already there"


def refused_online(contract: Contract, registry: Registry) -> Iterator[Problem]:
    """The gate's question about compatibility, asked of the registry's own versions."""
    subject = f"{contract.type}-value"
    versions = []
    for number, schema in enumerate(registry.versions(subject), start=1):
        try:
            versions.append(registered_version(subject, number, schema))
        except SchemaInvalid as invalid:
            why = f"version {number} of {subject} in the registry: {invalid}"
            yield Problem(contract.path, "", Reason.NOT_COMPATIBLE, why)
    yield from incompatible(contract, versions)


def register_one(contract: Contract, registry: Registry) -> Mapping[str, object]:
    """Register a contract that nothing refuses; the row that tells of it."""
    subject = f"{contract.type}-value"
    known = registry.find(subject, contract.schema)
    schema_id = known if known is not None else registry.register(subject, contract.schema)
    state = REGISTERED if known is None else ALREADY_THERE
    return {"type": contract.type, "subject": subject, "id": schema_id, "state": state}
