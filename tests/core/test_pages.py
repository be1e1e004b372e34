"""The pages that are rendered from the code say what the code does."""

from pathlib import Path

from postroom.pages import DECISION_PAGE, DISPUTES, decision_page
from processors.explain import MEANINGS
from processors.outcomes import Denial, Dispute

ROOT = Path(__file__).parents[2]


def test_the_decision_page_is_in_step_with_the_code():
    """C6: a policy person reads the order that runs; `python -m postroom.pages` writes it anew."""
    assert (ROOT / DECISION_PAGE).read_text(encoding="utf-8") == decision_page()


def test_every_reason_has_a_meaning_in_words():
    """A reason that nobody can read is no reason."""
    assert set(MEANINGS) == set(Denial)
    assert set(DISPUTES) == set(Dispute)
