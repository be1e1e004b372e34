"""The entries of the disclosure log: the same JSON whoever writes it, with every reason (V5)."""

from __future__ import annotations

import json

import pytest

from processors.decision import Decision, Permit
from processors.disclosure_log import Entry, LoggedCause, encode_entry, reasons
from processors.outcomes import Denial

DECISION = Decision(
    None,
    "nino:AB123456C",
    {
        "practice": Denial.NO_CONSENT,
        "birth": Permit("public_task", "an Act"),
        "address": Permit("consent", consent=("urn:gov:consent-hub:main", "e-1")),
    },
)


def entry(decision: Decision | None, reason: str | None = None) -> bytes:
    """One entry, written."""
    return encode_entry(
        Entry(
            agreement="leeds-housing",
            cause=LoggedCause("c-1", "e-2", "urn:gov:gro:main"),
            commitment="00",
            decision=reasons(decision),
            fields=["address", "birth"],
            key="s-1",
            kind="view",
            person="p-1",
            reason=reason,
            sequence=3,
            subscriber="council-leeds",
            time="2026-06-01T12:00:00Z",
            version=2,
        )
    )


def test_an_entry_says_what_each_field_rests_on_and_why_others_were_withheld() -> None:
    """V5, C6: basis and statutory gateway, or basis and consent event; the reason of a denial."""
    found = json.loads(entry(DECISION))
    assert found["decision"] == {
        "attributes": {
            "address": {
                "consent": ["urn:gov:consent-hub:main", "e-1"],
                "gateway": None,
                "permit": "consent",
            },
            "birth": {"consent": None, "gateway": "an Act", "permit": "public_task"},
            "practice": {"deny": "no-consent"},
        },
        "denied": None,
    }
    assert found["cause"] == {"hash": "c-1", "id": "e-2", "source": "urn:gov:gro:main"}
    assert (found["fields"], found["sequence"], found["reason"]) == (["address", "birth"], 3, None)


def test_where_no_agreement_is_left_to_ask_there_are_no_attributes() -> None:
    """V9: what was sent under an agreement that is gone is retracted for that reason."""
    assert json.loads(entry(None, "ended"))["decision"] == {"denied": "agreement-not-in-force"}


@pytest.mark.parametrize("decision", [DECISION, None, Decision(Denial.RESTRICTED, None, {})])
def test_names_are_sorted_so_that_equal_entries_are_equal_bytes(decision: Decision | None) -> None:
    """V5: as they always were; entries of different versions can be compared."""
    written = entry(decision)
    assert written == json.dumps(json.loads(written), sort_keys=True, separators=(",", ":")).encode()
