"""When the rules count as changed, so that everyone is asked about again (V9), and when they do not."""

from __future__ import annotations

import hmac
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.rules import Keys, Rules, keyed
from schemas import Agreement, Contracts, load_agreements, load_contracts
from schemas.agreement import DECEASED, ENROLLED, Grant, Where
from tests.nasty.generate import CASES

CONTRACTS = load_contracts(CASES / "contracts")
AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
HOUSING = AGREEMENTS["leeds-housing"]
PRINT = (
    "from tests.core.test_rules import AGREEMENTS, CONTRACTS, version; print(version(CONTRACTS, AGREEMENTS))"
)


def version(contracts: Contracts, agreements: dict[str, Agreement]) -> str:
    """The version of the rules made of these."""
    return Rules(contracts, agreements, Keys(b"secret")).version


def with_attribute(name: str, **changes: Any) -> Contracts:
    """The contracts with one attribute changed."""
    changed = replace(CONTRACTS.attributes[name], **changes)
    return replace(CONTRACTS, attributes={**CONTRACTS.attributes, name: changed})


def test_every_process_calls_the_same_rules_by_the_same_name() -> None:
    """V9: or each restart would sweep everyone, and two workers would never agree."""
    found = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3, 4)
    }
    assert found == {version(CONTRACTS, AGREEMENTS) + "\n"}


@pytest.mark.parametrize(
    "changed",
    [
        lambda: replace(CONTRACTS, by_type=dict(list(CONTRACTS.by_type.items())[1:])),
        lambda: with_attribute("name", description="other words"),
        lambda: replace(CONTRACTS, attributes={**CONTRACTS.attributes, "new": CONTRACTS.attributes["name"]}),
        lambda: replace(CONTRACTS, authority={}),
    ],
    ids=["a-contract-more", "other-words", "an-attribute-that-nobody-sees", "authority"],
)
def test_what_no_view_rests_on_sweeps_nobody(changed: Callable[[], Contracts]) -> None:
    """V9: a contract that is merely added must not make every person be looked at again."""
    assert version(changed(), AGREEMENTS) == version(CONTRACTS, AGREEMENTS)


@pytest.mark.parametrize(
    "changed",
    [
        lambda: with_attribute("name", trust=("hmrc",)),
        lambda: with_attribute("name", category="other"),
        lambda: with_attribute("name", sensitivity="special-category"),
        lambda: with_attribute("name", items=True),
        lambda: with_attribute("name", avro_type=None),
        lambda: with_attribute("death", trust=("nhs",)),
    ],
    ids=["trust", "category", "sensitivity", "items", "first-stated", "who-is-dead"],
)
def test_what_views_rest_on_sweeps_everyone(changed: Callable[[], Contracts]) -> None:
    """V9: whose word counts, what a consent covers, what the view's schema can hold (R5, C1, V1)."""
    only = {"leeds-housing": replace(HOUSING, attributes=(Grant("name", None),))}
    assert version(changed(), only) != version(CONTRACTS, only)


def test_what_decides_who_is_in_scope_sweeps_everyone() -> None:
    """C5: `where` rests on an attribute too, whether or not the agreement shows it."""
    scoped = {"leeds-housing": replace(HOUSING, scope=Where("birth", None, frozenset({"x"})), attributes=())}
    assert version(with_attribute("birth", trust=()), scoped) != version(CONTRACTS, scoped)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 99},
        {"scope": ENROLLED},
        {"scope": DECEASED},
        {"scope": Where("address", "authority", frozenset({"leeds"}))},
        {"attributes": HOUSING.attributes[:1]},
        {"valid_until": HOUSING.valid_until + 1},
        {"delete_within": AGREEMENTS["hmrc-estates"].delete_within},
        {"honours_objection": not HOUSING.honours_objection},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_changed_agreement_sweeps_everyone(changes: dict[str, Any]) -> None:
    """V9."""
    changed = {**AGREEMENTS, "leeds-housing": replace(HOUSING, **changes)}
    assert version(CONTRACTS, changed) != version(CONTRACTS, AGREEMENTS)


def test_an_agreement_in_another_file_is_the_same() -> None:
    """Where it is written is nobody's business."""
    moved = {**AGREEMENTS, "leeds-housing": replace(HOUSING, file="elsewhere.yaml")}
    assert version(CONTRACTS, moved) == version(CONTRACTS, AGREEMENTS)


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 64, b"k" * 65, bytes(range(200))])
@given(text=st.text())
def test_a_keyed_hash_is_the_hmac_that_the_standard_library_computes(key: bytes, text: str) -> None:
    """C8, I4: HMAC-SHA256, though begun once a key; a key longer than a block is hashed first (RFC 2104)."""
    assert keyed(key, text) == hmac.digest(key, text.encode(), "sha256")


def test_a_fingerprint_tells_two_secrets_apart_and_is_none_of_the_keys_that_persons_are_named_by() -> None:
    """I4: workers with different secrets make two persons of one citizen; PostroomKeysDiffer asks this."""
    one, salt = Keys(b"one secret"), b"salt"
    shown = one.fingerprint(salt)
    assert shown == Keys(b"one secret").fingerprint(salt)
    assert len({shown, Keys(b"another secret").fingerprint(salt), one.fingerprint(b"pepper")}) == 3
    made_with = (one.identity, one.cause, one.commitment, one.pairwise(HOUSING), one.secret)
    assert not any(key.hex().startswith(shown[:8]) for key in made_with)
