"""GOV.UK Notify: people are told that something about them was shared, or that a consent took effect
(ADR 0059).

It imports `schemas` only. What it needs of topics, files and the clock is given to it by `postroom`.
"""

from connectors.notify.facts import CONSENT_CHANGED, SHARED, Entry, NotAnEntry, Notice, read_entry
from connectors.notify.journal import Journal
from connectors.notify.letterbox import Letterbox
from connectors.notify.pace import Pace
from connectors.notify.plan import Plan, load_plan
from connectors.notify.rounds import Rounds

__all__ = [
    # what a notice is about
    "CONSENT_CHANGED",
    "SHARED",
    "Entry",
    "NotAnEntry",
    "Notice",
    "read_entry",
    # how it is sent
    "Journal",
    "Letterbox",
    "Pace",
    "Plan",
    "Rounds",
    "load_plan",
]
