"""How often the model met each corner of the rules over N seeds: `python -m tests.nasty.coverage 500`."""

from __future__ import annotations

import sys
from collections import Counter

from tests.model import answer, read_rules
from tests.nasty.generate import NastySet, nasty

WANTED = (
    *(
        f"E7 {reason}"
        for reason in ("oversized", "undecodable", "null-value", "unknown-type", "not-the-owner")
    ),
    *(
        f"E7 {reason}"
        for reason in ("contract-mismatch", "identifier-invalid", "time-too-old", "time-in-future")
    ),
    "I2 unlinked",
    "I2 unlinked at equal times",
    "I2 same-person does not undo an unlink",
    "I2 linked again",
    "I2 linked again, earlier statements do not count",
    "I2 linked again, another statement counts",
    "I2 same-person between unlink and link does not count",
    "I3 hub",
    "I3 overgrown",
    "I3 unlinked",
    "I3 exclusive-scheme",
    "I3 oversized",
    "I3 superseded",
    "I3 superseded-by closes a circle",
    "R2 duplicate",
    "R2 two contents",
    "R2 two times",
    "R3 assertion annulled",
    "R3 a correction annulled",
    "R3 found nothing",
    "R3 another subject",
    "R3 another source",
    *(f"R3 annulled {kind}" for kind in ("fact", "link", "unlink", "annulment", "consent", "objection")),
    *(f"R3 annulled {kind}" for kind in ("restriction", "enrolment")),
    "R4 not yet effective",
    "R4 begins at T",
    "R4 ends at T",
    "R4 ended, an older one does not come back",
    "R5 decided by trust",
    "R5 decided by time",
    "R5 decided by identifier",
    "R7 expired",
    "C1 stopped at equal times",
    "C1 stopped by the five minutes",
    "C1 stopped by five minutes to the millisecond",
    "C1 same source within five minutes stands",
    "C1 one grant stands, another does not",
    "C1 a grant begins at T",
    "C1 a grant ends at T",
    "C2 lifted",
    "C2 lifted for one, objected for another that matches",
    "C3 restricted itself",
    "C3 restricted over a skipped edge",
    "C3 restricted over a cut edge",
    "C4 stated by another",
    "C4 ended",
    *(f"C5 deceased{corner}" for corner in (" True", " False", ", and not permitted")),
    "C5 where the scope's attribute is not permitted",
    *(f"C6 {reason}" for reason in ("agreement-not-in-force", "out-of-scope", "restricted", "deceased")),
    *(f"C6 {reason}" for reason in ("objected", "no-subject-identifier", "decided by attribute")),
    *(f"C6 attribute {reason}" for reason in ("permit", "no-consent", "consent-not-yet-valid")),
    *(f"C6 attribute consent-{reason}" for reason in ("expired", "withdrawn", "paused")),
    "C7 view",
)


def met_by(nasty_set: NastySet) -> Counter[str]:
    """The corners that one set meets."""
    rules = read_rules(nasty_set.contracts, nasty_set.agreements)
    return answer(nasty_set.lines, rules, nasty_set.secret, nasty_set.at_ms, nasty_set.limits).met


def counts(seeds: range, size: int = 80) -> tuple[Counter[str], Counter[str]]:
    """Over all seeds: how often each corner was met, and in how many sets."""
    often, sets = Counter[str](), Counter[str]()
    for seed in seeds:
        met = met_by(nasty(seed, size))
        often += met
        sets.update(dict.fromkeys(met, 1))
    return often, sets


def report(seeds: range) -> str:
    """A table, what was never met last."""
    often, sets = counts(seeds)
    lines = [f"{often[what]:9} in {sets[what]:5} sets  {what}" for what in sorted(often)]
    return "\n".join([*lines, *(f"NEVER {what}" for what in WANTED if not often[what])])


if __name__ == "__main__":
    print(report(range(int(sys.argv[1]))))
