"""The file of notices: all that is wrong with it is named, and no key is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.notify.letterbox import Letterbox
from connectors.trouble import Misused
from tests.notify_kit import FILE, OWN, plan_of
from tests.standins.govuk_notify_stand_in import API_KEY, TEMPLATES

# -- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (f"agreement: {OWN}", "agreement: nothing", "agreement"),
        ("timeout_ms: 30000", "attribute: name", "attribute"),
        ("timeout_ms: 30000", f"agreements: [{OWN}]", "agreements"),
        ("timeout_ms: 30000", "agreements: [nothing]", "agreements"),
        ("base_url: URL", "base_url: http://notify.example", "base_url"),
        ("base_url: URL", "base_url: notify.example", "base_url"),
        ("timeout_ms: 30000", "per_minute: 3001", "per_minute"),
        (TEMPLATES[0], "not-a-template", "notices.shared.template"),
        ("shared:", "everything:", "notices.everything"),
        ("notify.key", "gone.key", "api_key"),
    ],
)
def test_all_that_is_wrong_with_the_file_is_named(tmp_path: Path, old: str, new: str, named: str):
    """By field."""
    assert old in FILE
    with pytest.raises(Misused, match=named):
        plan_of(tmp_path, "http://127.0.0.1:1", FILE.replace(old, new, 1))


def test_a_key_that_is_none_is_not_shown(tmp_path: Path):
    """Its form is checked, because the client would cut it up wherever it likes; a plan shows no key."""
    with pytest.raises(Misused) as caught:
        plan_of(tmp_path, "http://127.0.0.1:1", key="a secret of another kind")
    assert "api_key" in str(caught.value)
    assert "another kind" not in str(caught.value)
    assert API_KEY not in repr(plan_of(tmp_path, "http://127.0.0.1:1"))


def test_the_real_service_is_the_default():
    """Nothing but a setting makes it another."""
    from connectors.notify.plan import GOVUK

    assert GOVUK == "https://api.notifications.service.gov.uk"
    assert isinstance(Letterbox(API_KEY, GOVUK, 1), Letterbox)
