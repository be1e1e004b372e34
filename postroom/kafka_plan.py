"""What Kafka needs: topics, permissions and bounds as one plan, and what differs as rows for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_acls import Acl, AclPlan, Acls
from connectors.kafka_quotas import QuotaChange, Quotas
from connectors.kafka_topics import Change, Topics, WantedTopic
from postroom.access import ours, roles
from postroom.config import Settings
from postroom.console import counted
from postroom.quotas import wanted_quotas
from postroom.topics import wanted_topics
from schemas import Agreement, Contracts

COLUMNS = ("kind", "name", "action", "setting", "now", "wanted")
LINE_COLUMNS = ("action", "what")
COUNT_COLUMNS = ("action", "of", "changes")
KINDS = {"topic": "topic", "acl": "permission", "quota": "bound"}
"""What is counted, as a person calls it."""

NO_AUTHORIZER = (
    "this cluster has no authorizer: whoever reaches it may read and write every topic. "
    "{permissions} not kept. A local stack is like that until `postroom down` and "
    "`postroom up --secure`; for a cluster of your own, docs/security.md"
)
TOLD_MAX = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """An installation's needs, from its rules and settings."""

    topics: list[WantedTopic]
    acls: frozenset[Acl]
    quotas: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Differences:
    """What is not as wanted; `acls` is None where the cluster keeps no permissions at all."""

    topics: list[Change]
    acls: AclPlan | None
    quotas: list[QuotaChange]

    def rows(self) -> list[dict[str, Any]]:
        """Return them for a table."""
        return [
            *(_row("topic", c.topic, c.action, c.setting, c.now, c.wanted) for c in self.topics),
            *(
                _row("acl", c.acl.on, c.action, c.acl.user, *_now_and_wanted(c.action, c.acl))
                for c in (self.acls.changes if self.acls else ())
            ),
            *(_row("quota", q.user, _bounding(q), q.key, _said(q.now), _said(q.wanted)) for q in self.quotas),
        ]

    def lines(self) -> list[dict[str, Any]]:
        """Return them in words: one column that may wrap, because names alone fill half a terminal."""
        return [
            *(_line(c.action, f"topic {c.topic}: {c.setting} {_to(c.now, c.wanted)}") for c in self.topics),
            *(
                _line(c.action, f"{c.acl.user}: {c.acl.operation} {c.acl.on}")
                for c in (self.acls.changes if self.acls else ())
            ),
            *(
                _line(_bounding(q), f"{q.user}: {q.key} {_to(_said(q.now), _said(q.wanted) or 'unbounded')}")
                for q in self.quotas
            ),
        ]

    def counts(self) -> list[dict[str, Any]]:
        """Return how many there are of each kind, in the order of the lines."""
        found = Counter((row["action"], KINDS[row["kind"]]) for row in self.rows())
        return [dict(zip(COUNT_COLUMNS, (*kind, number), strict=True)) for kind, number in found.items()]

    def among(self, wanted: Wanted) -> str:
        """Say what was compared: where no permissions are kept, none was."""
        kept = f", {counted(len(wanted.acls), 'permission')}" if self.acls is not None else ""
        return f"{counted(len(wanted.topics), 'topic')}{kept}, {counted(len(wanted.quotas), 'bounded user')}"

    def remarks(self, wanted: Wanted) -> list[str]:
        """Say what no plan changes and somebody should know."""
        if self.acls is None:
            kept = counted(len(wanted.acls), "permission is", "permissions are")
            return [NO_AUTHORIZER.format(permissions=kept)]
        names = {topic.name for topic in wanted.topics}
        foreign = [acl for acl in self.acls.foreign if any(acl.covers("topic", name) for name in names)]
        return [
            *_told("is allowed to others and stays", foreign),
            *_told("is denied by hand and stays so", self.acls.denied),
        ]


def wanted_of(settings: Settings, contracts: Contracts, agreements: Mapping[str, Agreement]) -> Wanted:
    """Return what Kafka needs for these rules."""
    found = roles(contracts, agreements.values(), shared_directly=settings.shared_directly)
    return Wanted(
        wanted_topics(contracts, agreements.values(), settings.partitions),
        frozenset(acl for role in found for acl in role.may),
        wanted_quotas(found, settings.quotas_file),
    )


def plan(access: KafkaAccess, wanted: Wanted) -> Differences:
    """Compare with the cluster; nothing is changed."""
    return Differences(
        Topics(access).plan(wanted.topics),
        Acls(access, ours).plan(wanted.acls),
        Quotas(access, ours).plan(wanted.quotas),
    )


def apply(access: KafkaAccess, wanted: Wanted) -> Differences:
    """Make the cluster as wanted and return what was changed.

    Permissions are taken away and given before topics are made: no topic is there for a moment without them.
    A plan of topics that Kafka cannot follow is refused before anything is changed.
    """
    topics = Topics(access)
    topics.require_possible(topics.plan(wanted.topics))
    acls = Acls(access, ours)
    found = acls.plan(wanted.acls)
    if found is not None:
        acls.apply(found.changes)
    quotas = Quotas(access, ours)
    changes = quotas.plan(wanted.quotas)
    quotas.apply(changes)
    return Differences(topics.apply(wanted.topics), found, changes)


def _row(*values: str) -> dict[str, Any]:
    return dict(zip(COLUMNS, values, strict=True))


def _line(action: str, what: str) -> dict[str, Any]:
    return dict(zip(LINE_COLUMNS, (action, what), strict=True))


def _to(now: str, wanted: str) -> str:
    return f"{now} → {wanted}" if now else wanted


def _bounding(change: QuotaChange) -> str:
    return "limit" if change.wanted else "unlimit"


def _now_and_wanted(action: str, acl: Acl) -> tuple[str, str]:
    return (acl.operation, "") if action == "revoke" else ("", acl.operation)


def _said(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}" if bound < 1000 else f"{bound:.0f}"


def _told(what: str, acls: list[Acl] | tuple[Acl, ...]) -> list[str]:
    said = [f"{acl.on}: {acl.operation} {what} ({acl.user})" for acl in acls[:TOLD_MAX]]
    return said + ([f"… and {len(acls) - TOLD_MAX} more"] if len(acls) > TOLD_MAX else [])
