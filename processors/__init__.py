"""The stages, pure, and (in `processors.engine`) what runs them on Kafka: what others may use (DESIGN §7)."""

from processors.disclosure import obligations_topic, view_topic
from processors.identity import Identity
from processors.installation import INSTALLATION_TOPIC
from processors.intake import Intake
from processors.messages import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    DISPUTES_TOPIC,
    FRAGMENTS_TOPIC,
    LETTER_DECISIONS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    OBLIGATIONS_TOPIC,
    PAIRS_TOPIC,
    REPORTS_TOPIC,
)
from processors.obligations import Obligations
from processors.persons import Persons
from processors.record import Records
from processors.rules import Keys, Limits, Rules
from processors.stage import Stage

__all__ = [
    "ACKNOWLEDGEMENTS_TOPIC",
    "ASSERTIONS_TOPIC",
    "DEAD_LETTERS_TOPIC",
    "DISCLOSURES_TOPIC",
    "DISPUTES_TOPIC",
    "FRAGMENTS_TOPIC",
    "INSTALLATION_TOPIC",
    "LETTER_DECISIONS_TOPIC",
    "LETTER_REQUESTS_TOPIC",
    "OBLIGATIONS_TOPIC",
    "PAIRS_TOPIC",
    "REPORTS_TOPIC",
    "Identity",
    "Intake",
    "Keys",
    "Limits",
    "Obligations",
    "Persons",
    "Records",
    "Rules",
    "Stage",
    "obligations_topic",
    "view_topic",
]
