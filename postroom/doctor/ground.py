"""All that the checks look at, gathered once; what could not be gathered is a finding of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from connectors import NotAllowed, NotYet, Stack, Trouble, find_stack, stack_status
from connectors.certificate_ends import End
from connectors.kafka_facts import ClusterFacts, cluster_facts
from connectors.kafka_groups import GroupFacts, group_facts
from connectors.registry import FULL_TRANSITIVE, Registry
from connectors.stack import PartStatus
from postroom import kafka_plan
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.doctor.clocks import Skew, skews
from postroom.doctor.finding import Finding, Severity
from postroom.errors import UserError
from postroom.installation import recorded
from postroom.own_state import presented
from postroom.stage_groups import groups_of
from processors import INSTALLATION_TOPIC, view_topic
from processors.installation import Recorded
from schemas import Agreement, Contracts, view_schema

Found = TypeVar("Found")

GATHERING = "reach"
SOON_S = 10.0
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """What the registry knows of our subjects."""

    url: str
    unregistered: tuple[str, ...] = ()
    """Contracts whose schema it has not got as it is in the files."""
    views_unregistered: tuple[str, ...] = ()
    loose: Mapping[str, str] = field(default_factory=dict)
    """Subjects that it does not hold to FULL_TRANSITIVE, and what to instead."""
    clock_ahead_ms: int = 0
    """How far its clock is ahead of this machine's; a second of that may be the answer's own way."""


@dataclass(frozen=True, slots=True)
class Ground:
    """An installation, looked at from outside. What is None could not be had, and `problems` says why."""

    settings: Settings
    now_ms: int
    local: bool = True
    contracts: Contracts | None = None
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    parts: tuple[PartStatus, ...] = ()
    stack: Stack | None = None
    cluster: ClusterFacts | None = None
    wanted: kafka_plan.Wanted | None = None
    differences: kafka_plan.Differences | None = None
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    skews: tuple[Skew, ...] = ()
    registry: RegistryFacts | None = None
    recorded: Recorded | None = None
    """What the installation says of its secret."""
    presented: tuple[End, ...] = ()
    """The certificates that Kafka and the registry present, believed or not."""
    problems: tuple[Finding, ...] = ()
    unseen: tuple[str, ...] = ()
    """What our user may not look at."""

    @property
    def reached(self) -> bool:
        """Whether anything answered."""
        return self.cluster is not None or self.registry is not None


def gather(settings: Settings) -> Ground:
    """Look at everything; whatever cannot be looked at is one more problem, and the rest goes on."""
    return _Gathering(settings).ground()


class _Gathering:
    """Asks one after the other, and goes on without what does not answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.problems: list[Finding] = []
        self.unseen: list[str] = []

    def ground(self) -> Ground:
        settings = self.settings
        rules = self._try(lambda: load_rules_files(settings.contracts_dir, settings.agreements_dir))
        contracts, agreements = rules or (None, {})
        parts = self._try(lambda: tuple(stack_status(settings))) or ()
        stack = self._try(lambda: find_stack(settings))
        wanted = None if contracts is None else kafka_plan.wanted_of(settings, contracts, agreements)
        cluster = self._cluster(stack, wanted)
        differences = groups = found = None
        if cluster is not None and stack is not None and wanted is not None and contracts is not None:
            differences = self._try(lambda: kafka_plan.plan(stack.access, wanted), "what the rules need")
            stages = groups_of(contracts, agreements)
            groups = self._try(lambda: group_facts(stack.access, stages), "the stages' groups")
            found = self._try(lambda: skews(stack.access, cluster.topics), "clocks")
        record = None
        if stack is not None and cluster is not None and INSTALLATION_TOPIC in cluster.topics:
            record = self._try(lambda: recorded(stack))
        registry = None
        if stack is not None and contracts is not None:
            registry = self._try(lambda: registry_facts(stack.registry, contracts, agreements))
        return Ground(
            settings,
            time.time_ns() // 1_000_000,
            settings.kafka is None,
            contracts,
            agreements,
            parts,
            stack,
            cluster,
            wanted,
            differences,
            groups or {},
            found or (),
            registry,
            record,
            () if stack is None else tuple(end for _, ends in presented(stack) for end in ends),
            tuple(self.problems),
            tuple(self.unseen),
        )

    def _cluster(self, stack: Stack | None, wanted: kafka_plan.Wanted | None) -> ClusterFacts | None:
        if stack is None:
            return None
        names = [topic.name for topic in wanted.topics] if wanted else []
        return self._try(lambda: cluster_facts(stack.access, names, 2 * self.settings.transaction_timeout_ms))

    def _try(self, ask: Callable[[], Found], what: str = "") -> Found | None:
        """Ask; what our user may not know and has a name is unseen, and everything else is a fault."""
        try:
            return _soon(ask)
        except NotAllowed as refused:
            if what:
                self.unseen.append(what)
            else:
                self._problem(refused)
            return None
        except (UserError, Trouble) as error:
            self._problem(error)
            return None

    def _problem(self, error: UserError | Trouble) -> None:
        said = (error.what, error.where, error.why, error.mend)
        self.problems.append(Finding(Severity.FAULT, *said, GATHERING))


def _soon(ask: Callable[[], Found]) -> Found:
    """Ask, and for some seconds again while Kafka says that it will do it soon.

    One that has just started has no coordinator of groups until somebody has asked for one, and on a new
    installation the doctor is the first: nothing is wrong with it.
    """
    give_up_s = time.monotonic() + SOON_S
    while True:
        try:
            return ask()
        except NotYet:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(PAUSE_S)


def registry_facts(url: str, contracts: Contracts, agreements: Mapping[str, Agreement]) -> RegistryFacts:
    """Compare the registry with the files; `Unreachable` when it does not answer."""
    registry = Registry(url)
    before_ms = time.time_ns() // 1_000_000
    clock_ms = registry.clock_ms()
    subjects = {f"{type_}-value": contract.schema for type_, contract in contracts.by_type.items()}
    views = {
        f"{view_topic(name)}-value": view_schema(agreement, contracts)
        for name, agreement in agreements.items()
    }
    missing = [name for name, schema in subjects.items() if registry.find(name, schema) is None]
    unseen = [name for name, schema in views.items() if registry.find(name, schema) is None]
    loose = {
        name: level
        for name in subjects.keys() | views.keys()
        if name not in (*missing, *unseen) and (level := registry.held_to(name)) != FULL_TRANSITIVE
    }
    return RegistryFacts(url, tuple(missing), tuple(unseen), loose, clock_ms - before_ms if clock_ms else 0)
