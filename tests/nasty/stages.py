"""The production side of the comparison: `processors.replay` asked with a nasty set."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from processors.replay import replay as replay_by_stages
from processors.rules import Limits
from schemas import Agreement, Contracts, load_agreements, load_contracts
from tests.model import Rules, read_rules, replay
from tests.nasty.generate import NastySet


@lru_cache(maxsize=8)
def loaded(contracts: Path, agreements: Path) -> tuple[Contracts, dict[str, Agreement]]:
    """Contracts and agreements as production reads them, once a directory."""
    found = load_contracts(contracts)
    return found, load_agreements(agreements, found)


@lru_cache(maxsize=8)
def read(contracts: Path, agreements: Path) -> Rules:
    """The same as the model reads them."""
    return read_rules(contracts, agreements)


def limits_of(question: NastySet) -> Limits:
    """The set's small limits as production has them, with pages so small that there are some."""
    return Limits(
        hub_edges=question.limits.hub,
        component_edges=question.limits.overgrown,
        person_identifiers=question.limits.person,
        page_edges=2,
        told_a_step=3,
        register_depth=question.limits.register,
        register_bytes=question.limits.register_bytes,
    )


def by_stages(question: NastySet) -> dict[str, Any]:
    """What the stages answer."""
    contracts, agreements = loaded(question.contracts, question.agreements)
    limits = limits_of(question)
    return replay_by_stages(question.lines, contracts, agreements, question.secret, question.at_ms, limits)


def by_model(question: NastySet) -> dict[str, Any]:
    """What the model answers."""
    return replay(
        question.lines,
        contracts=question.contracts,
        agreements=question.agreements,
        secret=question.secret,
        at_ms=question.at_ms,
        limits=question.limits,
    )


def differs(question: NastySet) -> bool:
    """Whether the two answers differ; production raising counts as an answer that differs."""
    try:
        return by_stages(question) != by_model(question)
    except Exception:  # whatever it raises, it should not have
        return True
