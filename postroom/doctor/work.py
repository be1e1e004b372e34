"""Checks of what is on the brokers: topics against the plan, the workers' groups, clocks, the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.kafka_groups import GroupFacts
from postroom.console import counted
from postroom.doctor.cluster import shown
from postroom.doctor.finding import Finding, fault, note, warning
from postroom.doctor.ground import Ground
from postroom.stage_groups import groups_of, other_topics
from postroom.topics import INTERNAL_TOPICS

LAG_RECORDS_MAX = 10_000
MARKERS_MAX = 16
"""Of one partition between the stages: as many transactions may have ended after its last record."""
BEHIND_MS_MAX = 5_000
"""A step of a busy worker may take seconds; the fastest of twenty does not."""
AHEAD_MS_MAX = 1_000
REGISTRY_MS_MAX = 3_000
"""Its clock is told in whole seconds, and the answer takes its time."""
SHELLS: Mapping[str, str] = {"faust": "faust", "postroom-tasks": "plain"}
"""What the group's protocol says of the shell that its workers run under."""
ACTIONS: Mapping[str, tuple[str, str, str, str]] = {
    "create": (
        "topic is missing",
        "topics are missing",
        "workers do not start without them",
        "postroom topics apply",
    ),
    "refuse": (
        "topic has another number of partitions than is planned",
        "topics have another number of partitions than is planned",
        "keys and state would be looked for where they are not, so workers refuse to start",
        "set POSTROOM_PARTITIONS to what the topics have",
    ),
    "configure": (
        "setting of topics is not as planned",
        "settings of topics are not as planned",
        "retention, compaction and the broker's timestamps are promises (E2, V1, V7)",
        "postroom topics plan, then postroom topics apply",
    ),
}


def topics(ground: Ground) -> Iterator[Finding]:
    """What `topics plan` shows, one finding for each kind of difference."""
    changes = ground.differences.topics if ground.differences else []
    for action, (one, many, why, mend) in ACTIONS.items():
        found = [
            change.topic if action != "configure" else f"{change.topic} {change.setting}"
            for change in changes
            if change.action == action
        ]
        if found:
            yield fault(counted(len(found), one, many), shown(found), why, f"`{mend}`")


def permissions(ground: Ground) -> Iterator[Finding]:
    """Who may what on Kafka is derived from the rules, and nothing else is right."""
    if ground.differences is None or ground.wanted is None:
        return
    acls = ground.differences.acls
    where = "" if ground.stack is None else ground.stack.kafka
    if acls is None:
        yield (note if ground.local else fault)(
            "this cluster keeps no permissions",
            where,
            "whoever reaches it may read every citizen's views and write in any department's name",
            "nothing, to try things with what is invented; else `postroom down`, `postroom up --secure`, "
            "`postroom topics apply`: data stays, and the stack is secured from then on"
            if ground.local
            else "an authorizer, as docs/security.md says",
        )
        return
    if acls.changes:
        missing = sum(change.action == "grant" for change in acls.changes)
        surplus = len(acls.changes) - missing
        lacking = counted(missing, "permission is", "permissions are")
        yield fault(
            f"{lacking} missing and {surplus or 'none'} too many",
            where,
            "somebody cannot do what the contracts let them, or can what they do not",
            "`postroom topics plan`, then `postroom topics apply`",
        )
    names = [topic.name for topic in ground.wanted.topics]
    foreign = [str(acl.user) for acl in acls.foreign if any(acl.covers("topic", name) for name in names)]
    if foreign:
        yield warning(
            f"users that are not ours have {counted(len(foreign), 'permission')} on our topics",
            shown(set(foreign)),
            "no agreement says so, and no plan takes it away",
            "`postroom topics plan` names them; take them away by `kafka-acls.sh --remove`",
        )


def bounds(ground: Ground) -> Iterator[Finding]:
    """One client's mistake must not cost the others their promptness."""
    quotas = ground.differences.quotas if ground.differences else []
    if quotas and ground.differences is not None and ground.differences.acls is not None:
        yield warning(
            f"{counted(len(quotas), 'bound of users is', 'bounds of users are')} not as planned",
            shown({change.user for change in quotas}),
            "one publisher or subscriber may hold up all others",
            "`postroom topics apply`",
        )


def workers(ground: Ground) -> Iterator[Finding]:
    """Each stage needs somebody who runs it."""
    idle = [group for group in ground.groups.values() if not group.members]
    if idle:
        waiting = sum(map(_to_do, idle))
        yield (fault if waiting else warning)(
            f"no worker runs {counted(len(idle), 'stage')}",
            shown(group.group for group in idle),
            f"{counted(waiting, 'offset waits', 'offsets wait')}: withdrawals too (V7)"
            if waiting
            else "the next event would wait (V7)",
            "`postroom run all`, one for each core; its log says why if it ends",
        )
    for group in ground.groups.values():
        if group.members and group.state not in ("Stable", "Empty"):
            yield warning(
                f"the group is {group.state}",
                group.group,
                "its workers divide the partitions anew; for longer than seconds, one of them comes and goes",
                "run it again in a minute; then look into the workers' logs for exit 70",
            )


def contracts_of_workers(ground: Ground) -> Iterator[Finding]:
    """Workers read what is published by their contracts, which should be the ones that are looked at here."""
    if ground.contracts is None:
        return
    wanted = groups_of(ground.contracts, ground.agreements)
    for name, group in ground.groups.items():
        if (other := other_topics(group, wanted)) is None:
            continue
        unread = f"not read: {shown(other.unread)}" if other.unread else ""
        unknown = f"read, and not known here: {shown(other.unknown)}" if other.unknown else ""
        yield warning(
            "workers run other contracts than those here",
            f"{name}: {'; '.join(filter(None, (unread, unknown)))}",
            "what is published by a contract that they do not have waits; and what is found here is found by "
            "other rules than theirs",
            "a contract that was just added or taken up is theirs within a minute: look again, and at "
            "`rules-wait` in their logs; else start them with this POSTROOM_CONTRACTS, or look with theirs",
        )


def _to_do(group: GroupFacts) -> int:
    """Offsets that are surely more than the markers that transactions leave behind the last record."""
    return sum(
        lag if topic not in INTERNAL_TOPICS else max(0, lag - MARKERS_MAX)
        for (topic, _), lag in group.lag.items()
    )


def shells(ground: Ground) -> Iterator[Finding]:
    """Workers of two shells cannot share a group, and nobody else's consumer belongs into one."""
    running = {name: group for name, group in ground.groups.items() if group.members and group.protocol}
    for group in running.values():
        if group.protocol not in SHELLS:
            yield fault(
                "a consumer that is no worker is in a stage's group",
                f"{group.group}: {shown(group.members)}",
                f"it divides partitions by `{group.protocol}`, so workers cannot join, and what it reads "
                "no stage sees",
                "end that client, and give it a group of its own",
            )
    found = {SHELLS[group.protocol] for group in running.values() if group.protocol in SHELLS}
    if len(found) > 1:
        by_shell = [f"{name}: {SHELLS.get(each.protocol, '?')}" for name, each in sorted(running.items())]
        yield warning(
            "stages run under two shells",
            ", ".join(by_shell),
            "a worker that restarts under the other one cannot join and ends",
            "one `--shell` for all workers",
        )


def lag(ground: Ground) -> Iterator[Finding]:
    """Behind is late; deleted before it was read is lost."""
    for group in ground.groups.values():
        if group.members and group.lag_records > LAG_RECORDS_MAX:
            yield warning(
                f"the stage is {counted(group.lag_records, 'offset')} behind",
                group.group,
                "withdrawals wait in the same line as everything else (V7)",
                "`postroom watch` shows whether it catches up; more workers, up to the number of partitions",
            )
        lost = {where: count for where, count in group.lost.items() if count > 0}
        if lost:
            gone = counted(sum(lost.values()), "offset was", "offsets were")
            yield fault(
                f"{gone} deleted before the stage had read that far",
                shown(f"{topic}-{partition}" for topic, partition in lost),
                "retention, or somebody, was faster than the workers: events are missing (V6)",
                "ask the departments to publish that time again (E1); mend the retention: "
                "`postroom topics apply`",
            )


def clocks(ground: Ground) -> Iterator[Finding]:
    """`now` decides what is in force (V8), and is measured against the broker's stamps (V7)."""
    for skew in ground.skews:
        if skew.behind_ms > BEHIND_MS_MAX and skew.who != "this machine":
            yield _apart(f"the clock of the worker of {skew.who}", skew.behind_ms, "behind")
        elif skew.who == "this machine" and skew.behind_ms > AHEAD_MS_MAX:
            yield _apart("the clock of this machine", skew.behind_ms, "behind")
        elif skew.behind_ms < -AHEAD_MS_MAX and skew.who != "this machine":
            yield _apart(f"the clock of the worker of {skew.who}", -skew.behind_ms, "ahead of")
    if ground.registry is not None and abs(ground.registry.clock_ahead_ms) > REGISTRY_MS_MAX:
        ahead_ms = ground.registry.clock_ahead_ms
        yield warning(
            f"the registry's clock and this machine's are {abs(ahead_ms) // 1000} s apart",
            ground.registry.url,
            "one of the two is wrong, and consents begin and end by such clocks",
            "`chronyc tracking` on both",
        )


def _apart(whose: str, ms: int, how: str) -> Finding:
    return fault(
        f"{whose} is {ms / 1000:.1f} s {how} the broker's",
        whose,
        "consents, ends and retention take effect by it (V8), and `now` never goes back (DESIGN §7)",
        "`chronyc tracking` on both machines; let the time come from one source. If both are right, the "
        "worker stood still in the middle of a step: its log and machine say why",
    )


def registered(ground: Ground) -> Iterator[Finding]:
    """What the registry has is what everybody reads by."""
    registry = ground.registry
    if registry is None:
        return
    if registry.unregistered:
        lacking = counted(len(registry.unregistered), "contract is", "contracts are")
        yield fault(
            f"{lacking} not registered as in the files",
            shown(registry.unregistered),
            "publishers cannot write by them, and workers wait before they take them up (E6)",
            "`postroom contract check`, then `postroom contract register`",
        )
    if registry.views_unregistered:
        yield note(
            f"{counted(len(registry.views_unregistered), 'view is', 'views are')} not registered yet",
            shown(registry.views_unregistered),
            "a worker does so when it starts, or takes the agreement up (V1)",
            "`postroom run all`",
        )
    for level in sorted(set(registry.loose.values())):
        subjects = [name for name, found in registry.loose.items() if found == level]
        held = counted(len(subjects), "subject is", "subjects are")
        yield fault(
            f"{held} held to {level or 'no rule of the kind'}",
            shown(subjects),
            "without FULL_TRANSITIVE a version may come that readers or history cannot read (E6, V1)",
            "`postroom contract register` sets it for contracts, a worker's start for views; if it says "
            "not-compatible, such a version has come: have the registry's keeper take out the one it names",
        )
