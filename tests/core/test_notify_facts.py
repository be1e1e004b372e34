"""Which entries of the disclosure log a person is told of, and as what (`connectors/notify/facts.py`)."""

from __future__ import annotations

import pytest

from connectors.notify.facts import CONSENT_CHANGED, SHARED, notice_of, read_entry
from tests.notify_kit import WITHDRAWN, entry


def kind(value: bytes, *before: str) -> str | None:
    """The kind of the notice that an entry is."""
    found = notice_of(read_entry(value), frozenset(before))
    return None if found is None else found.kind


@pytest.mark.parametrize(
    ("value", "before", "expected"),
    [
        (entry("p", 1, ["name"]), (), SHARED),
        (entry("p", 2, ["name"]), ("name",), None),
        (entry("p", 2, ["name", "address"]), ("name",), SHARED),
        (entry("p", 2, ["name"], {"address": "no-consent"}), ("name", "address"), None),
        (entry("p", 2, ["name"], {"address": "consent-withdrawn"}), ("name", "address"), CONSENT_CHANGED),
        (entry("p", 2, (), WITHDRAWN, kind="retraction"), ("name",), CONSENT_CHANGED),
        (entry("p", 2, (), {"name": "consent-paused"}, kind="retraction"), ("name",), CONSENT_CHANGED),
        (entry("p", 2, (), {"name": "consent-expired"}, kind="retraction"), ("name",), None),
        (entry("p", 2, (), WITHDRAWN, kind="retraction"), (), None),
        (entry("p", 2, (), WITHDRAWN, kind="retraction", why="restricted"), ("name",), None),
        (entry("p", 2, (), kind="retraction", why="deceased"), ("name",), None),
        (entry("p", 2, ["name"], kind="retraction", reason="corrected"), ("name",), None),
    ],
)
def test_a_person_is_told_of_new_sharing_and_of_what_a_consent_took_back(
    value: bytes, before: tuple[str, ...], expected: str | None
):
    """And of nothing else: never why a protected or a dead person's view went (C6)."""
    assert kind(value, *before) == expected
