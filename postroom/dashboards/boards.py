"""Every board, with what depends on the contracts: which types are whose."""

from __future__ import annotations

import re

from postroom.dashboards import departments, engine, flow, overview, sharing
from postroom.dashboards.board import Board
from schemas import Contracts


def boards(contracts: Contracts) -> list[Board]:
    """Return them in the order in which an operator goes from one to the next."""
    return [
        overview.OVERVIEW,
        flow.FLOW,
        sharing.CONSENT,
        departments.departments(types_by_owner(contracts)),
        sharing.SUBSCRIBERS,
        engine.ENGINE,
    ]


def types_by_owner(contracts: Contracts) -> dict[str, list[str]]:
    """Return each publisher's types, as expressions that match them and nothing else."""
    found: dict[str, list[str]] = {}
    for type_, contract in sorted(contracts.by_type.items()):
        for owner in contract.owners:
            found.setdefault(owner, []).append(re.escape(type_))
    return dict(sorted(found.items()))
