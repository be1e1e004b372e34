"""Pages of the documentation that are rendered from the code: `python -m postroom.pages` writes them.

A test keeps them in step, so a policy person reads what runs.
"""

from __future__ import annotations

from pathlib import Path

from postroom.access import Role, roles
from postroom.composition import load_rules_files
from postroom.metrics_page import METRICS_PAGE, metrics_page
from processors.decision import OF_ATTRIBUTES, QUESTIONS
from processors.explain import MEANINGS
from processors.outcomes import Denial, Dispute, Rejection

DECISION_PAGE = Path("docs/decision.md")
PERMISSIONS_PAGE = Path("docs/permissions.md")

DISPUTES: dict[Dispute, str] = {
    Dispute.HUB: "one side has more than 64 edges that no link states",
    Dispute.OVERGROWN: "the component has more than 4,096 edges, and no link states this one",
    Dispute.UNLINKED: "it would put both sides of an unlinked pair into one person",
    Dispute.EXCLUSIVE_SCHEME: "one person would have two live values of a scheme that is exclusive",
    Dispute.OVERSIZED: "one person would have more than 32 identifiers",
}


def decision_page() -> str:
    """Render the order of the decision and every reason, as Markdown."""
    lines = [
        "# The decision",
        "",
        "Rendered from the code by `python -m postroom.pages`; a test keeps it in step. To ask it of one",
        "person: `postroom agreement explain`, as",
        "[first steps](first-steps.md#questions-of-a-policy-person) shows.",
        "",
        "## May this agreement see this person now? (C6)",
        "",
        "Asked in this order; the first that applies denies the whole view. An error is a denial too",
        f"(`{Denial.ERROR}`), and an alert.",
        "",
        "| | reason | it applies when |",
        "| --- | --- | --- |",
        *(f"| {n} | `{denial}` | {meaning} |" for n, (denial, _, meaning) in enumerate(QUESTIONS, 1)),
        "",
        "Then, attribute by attribute. On every basis but consent each attribute is permitted by the basis",
        "and its gateway, the statutory power that the agreement names. On consent, which is given by the",
        "attribute's category, the first that applies denies it:",
        "",
        "| reason | it applies when |",
        "| --- | --- |",
        *(f"| `{denial}` | {MEANINGS[denial]} |" for denial in OF_ATTRIBUTES),
        "",
        "What is left is permitted. A reader of the view cannot tell a denied value from an unknown one",
        "(C7).",
        "",
        "## Why an edge joins nothing (I3)",
        "",
        "An *edge* is two identifiers that somebody said are one person. One in dispute joins nothing, until",
        "a person settles it with a `link` or an `unlink`. A *component* is all that edges connect.",
        "",
        "| reason | it applies when |",
        "| --- | --- |",
        *(f"| `{dispute}` | {meaning} |" for dispute, meaning in DISPUTES.items()),
        "",
        "## Why an event is rejected (E7)",
        "",
        "Of several reasons the first in this order: " + ", ".join(f"`{r}`" for r in Rejection) + ".",
        "",
    ]
    return "\n".join(lines)


def permissions_page(contracts_dir: Path, agreements_dir: Path) -> str:
    """Render who may what on Kafka under these rules, as Markdown."""
    contracts, agreements = load_rules_files(contracts_dir, agreements_dir)
    lines = [
        "# Permissions on Kafka",
        "",
        "Rendered from the contracts and agreements of this repository by `python -m postroom.pages`; a",
        "test keeps it in step. What is not here nobody may but the administrator:",
        "[security.md](security.md) says why and how. A contract with several owners is written by the",
        "gateway alone. A name that ends in `*` stands for all that begin so.",
    ]
    for role in roles(contracts, agreements.values()):
        lines += ["", f"## {role.user}", "", f"{role.meaning}.", *_may(role)]
    return "\n".join([*lines, ""])


def _may(role: Role) -> list[str]:
    """What a user may, one line for each kind of thing."""
    lines = []
    for resource, operation in sorted({(acl.resource, acl.operation) for acl in role.may}):
        found = [acl for acl in role.may if (acl.resource, acl.operation) == (resource, operation)]
        named = ", ".join(f"`{acl.name}{'*' * acl.prefixed}`" for acl in sorted(found))
        lines += ["", f"- {WORDS[resource, operation]}: {named}"]
    return lines or [
        "",
        "Nothing by itself: what it owns has other owners too, so it publishes through the gateway.",
    ]


WORDS = {
    ("group", "read"): "groups",
    ("group", "describe"): "sees how far groups have come",
    ("topic", "describe"): "sees how much there is, and nothing of it, of",
    ("topic", "read"): "reads",
    ("topic", "write"): "writes",
    ("transactional_id", "write"): "transactional ids",
}


def main() -> None:
    """Write every page."""
    DECISION_PAGE.write_text(decision_page(), encoding="utf-8")
    here = permissions_page(Path("schemas"), Path("schemas/agreements"))
    PERMISSIONS_PAGE.write_text(here, encoding="utf-8")
    METRICS_PAGE.write_text(metrics_page(METRICS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
