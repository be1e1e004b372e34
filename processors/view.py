"""What a view holds: the projection of golden values that an agreement may see (C7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from processors.decision import Decision, Permit
from processors.golden import Citizen, Golden
from schemas import Agreement, Attribute

decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder(order="sorted").encode

Content = dict[str, bytes]
"""A view's attributes that have a value, each as compact JSON; what is absent is null."""


def project(
    agreement: Agreement, decision: Decision, citizen: Citizen, attributes: Mapping[str, Attribute]
) -> tuple[Content, dict[str, tuple[str, ...]]]:
    """Return what the agreement sees now, and from which identifiers each value came (C7)."""
    content: Content = {}
    sources: dict[str, tuple[str, ...]] = {}
    for grant in agreement.attributes:
        items = citizen.golden.get(grant.attribute)
        # INVARIANT: only a permit lets a value through; a denial and an unknown value look alike (C7).
        if not items or not isinstance(decision.attributes[grant.attribute], Permit):
            continue
        if attributes[grant.attribute].avro_type is None:
            continue  # no contract of ours states it yet: the view's schema has no place for it (V1)
        if attributes[grant.attribute].items:
            content[grant.attribute] = _encode_json(
                [{"item": item, "value": _narrow(items[item], grant.fields)} for item in sorted(items)]
            )
        else:
            (only,) = items.values()
            content[grant.attribute] = (
                only.entry.value if grant.fields is None else _encode_json(_narrow(only, grant.fields))
            )
        sources[grant.attribute] = tuple(sorted({golden.identifier for golden in items.values()}))
    return content, sources


def _narrow(golden: Golden, fields: tuple[str, ...] | None) -> Any:
    value = decode_json(golden.entry.value)
    return value if fields is None else {name: value.get(name) for name in fields}
