"""The pages that are rendered from the code say what the code does."""

from pathlib import Path

from postroom.pages import DECISION_PAGE, DISPUTES, PERMISSIONS_PAGE, decision_page, permissions_page
from processors.explain import MEANINGS
from processors.outcomes import Denial, Dispute

ROOT = Path(__file__).parents[2]


def test_the_decision_page_is_in_step_with_the_code():
    """C6: a policy person reads the order that runs; `python -m postroom.pages` writes it anew."""
    assert (ROOT / DECISION_PAGE).read_text(encoding="utf-8") == decision_page()


def test_the_permissions_page_is_in_step_with_contracts_and_agreements():
    """Whoever adds one sees here who gains what on Kafka; `python -m postroom.pages` writes it anew."""
    page = permissions_page(ROOT / "schemas", ROOT / "schemas" / "agreements")
    assert (ROOT / PERMISSIONS_PAGE).read_text(encoding="utf-8") == page


def test_every_reason_has_a_meaning_in_words():
    """A reason that nobody can read is no reason."""
    assert set(MEANINGS) == set(Denial)
    assert set(DISPUTES) == set(Dispute)
