"""The names of W1, for every program that does it; imports nothing, because each has a venv of its own."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
CONTRACTS, AGREEMENTS_DIR = HERE / "contracts", HERE / "agreements"

TOPICS = {
    "address": "uk.gov.local.address.v1",
    "benefit": "uk.gov.benefits.award.v1",
    "practice": "uk.gov.health.registration.v1",
    "consent": "uk.gov.consent.decision.v1",
}
"""The contract, and so the topic, of each kind of event."""

SCHEMAS = {
    "address": CONTRACTS / "local" / "address.v1.avsc",
    "benefit": CONTRACTS / "benefits" / "award.v1.avsc",
    "practice": CONTRACTS / "health" / "registration.v1.avsc",
    "consent": CONTRACTS / "consent" / "decision.v1.avsc",
}

CATEGORIES = {"address": "contact", "benefit": "money", "practice": "health"}
"""Each attribute's category, as `attributes.yaml` has it."""

SPECIAL = "health"
"""The special category: a grant that names no category does not cover it (C1)."""

AGREEMENTS = {
    ("council", "housing"): "council-housing",
    ("bank", "lending"): "bank-lending",
    ("clinic", "care"): "clinic-care",
}
"""Subscriber and purpose of each agreement; each has all three attributes, on consent, by NINO."""

GRACE_MS = 5 * 60_000
"""A stop from another source defeats a grant that comes no later than this after it (C1)."""

NINO = r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]"
"""I1's check of a NINO; it is normalised by taking separators away, in upper case."""

PARTITIONS = 4
"""Of every topic: divides evenly among one, two and four processes."""
