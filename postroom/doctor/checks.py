"""The table of checks, in the order of a person's questions: this machine, the brokers, what runs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from postroom.doctor import cluster, files, work
from postroom.doctor.finding import Finding
from postroom.doctor.ground import Ground

Check = Callable[[Ground], Iterable[Finding]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", files.settings),
    ("contracts", files.contracts),
    ("agreements", files.agreements),
    ("secret", files.secret),
    ("installation", files.installation),
    ("private-files", files.private_files),
    ("certificates", files.certificates),
    ("gateway", files.gateway),
    ("disk", files.disk),
    ("local-stack", files.local_stack),
    ("stores", files.stores),
    ("open-line", files.open_line),
    ("release", cluster.release),
    ("transactions", cluster.transactions),
    ("replication", cluster.replication),
    ("health", cluster.health),
    ("broker-disks", cluster.broker_disks),
    ("unclean-election", cluster.unclean_election),
    ("auto-creation", cluster.auto_creation),
    ("sizes", cluster.sizes),
    ("unseen", cluster.unseen),
    ("topics", work.topics),
    ("permissions", work.permissions),
    ("bounds", work.bounds),
    ("registered", work.registered),
    ("workers", work.workers),
    ("workers-contracts", work.contracts_of_workers),
    ("shells", work.shells),
    ("lag", work.lag),
    ("clocks", work.clocks),
)
"""Name and check. A check looks at what was gathered and changes nothing; a test makes each of them fire."""


def examine(ground: Ground) -> list[Finding]:
    """Run every check, after what could not even be looked at; faults first, each kind in this order."""
    found = list(ground.problems)
    for name, check in CHECKS:
        found += [replace(finding, check=name) for finding in check(ground)]
    order = ["fault", "warning", "note"]
    return sorted(found, key=lambda finding: order.index(finding.severity.value))
