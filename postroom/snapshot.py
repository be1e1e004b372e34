"""How an installation is at one moment, from Kafka and, where they answer, the workers' own figures.

`status` looks once, `watch` again and again: what topics hold is read from where the last look ended.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors import Stack, Trouble
from connectors.kafka_access import KafkaAccess
from connectors.kafka_groups import GroupFacts, group_facts
from connectors.kafka_reader import RawRecord, TopicReader
from connectors.metrics_reader import Sample, read_metrics
from connectors.stack import PartStatus
from postroom.console import counted
from postroom.stage_groups import groups_of, other_topics
from postroom.topics import changelog
from processors import DEAD_LETTERS_TOPIC, DISPUTES_TOPIC, INSTALLATION_TOPIC, LETTER_DECISIONS_TOPIC
from processors.dead_letters import Decision, Letter, Standing, read_either, standings
from processors.engine.changelog import TASK_KEY, body_of
from processors.installation import shown_record
from processors.node import read_dispute
from processors.obligations import Obligation, read_obligation
from schemas import Agreement, Contracts

UP = ("running", "reachable")
SETTLED = "Stable"
MARKERS_MAX = 64
"""Of one stage: so many offsets that were not counted are as likely markers as records."""
TAIL_OFFSETS_MAX = 500
"""Of one stage: up to so many are read to say exactly how many records wait; beyond, a few are nothing."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """A stage as its group shows it."""

    stage: str
    state: str
    workers: int
    lag: int
    """Offsets to go, over all partitions; some of them are transactions' markers, and no records."""
    waiting: int | None = None
    """Records to go, where that could be counted; None: at most `lag`."""
    pace_per_s: float | None = None
    """Offsets a second since the last look; None at the first."""

    @property
    def to_go(self) -> str:
        """What waits, as a person reads it."""
        if self.waiting is not None:
            return f"{self.waiting:,}"
        return f"{'none, or ' if self.lag <= MARKERS_MAX else ''}at most {self.lag:,}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look. `problems` says what could not be looked at."""

    at_ms: int
    parts: Sequence[PartStatus]
    stages: Sequence[StageFigures] = ()
    letters: Sequence[Standing] = ()
    obligations: Sequence[Obligation] = ()
    disputes: Counter[str] = field(default_factory=Counter)
    samples: Sequence[Sample] = ()
    silent: Sequence[str] = ()
    """Addresses of figures that did not answer."""
    problems: Sequence[str] = ()
    hints: Sequence[str] = ()
    """What may be meant so, and is more often a mistake."""
    secret: str | None = None
    """The fingerprint of the installation's secret, shortened; None while no worker has recorded one."""

    @property
    def open_letters(self) -> list[Standing]:
        """Letters that nobody has dealt with, the oldest first."""
        return [each for each in self.letters if each.state == "open"]

    def owed(self) -> Counter[tuple[str, str]]:
        """Obligations that are open or overdue, by subscriber and state (V4)."""
        found: Counter[tuple[str, str]] = Counter()
        for each in self.obligations:
            state = each.state(self.at_ms)
            if each.owed is not None and state != "done":
                found[each.owed.subscriber, state] += 1
        return found

    def not_ready(self) -> list[str]:
        """Why it is not ready to take what comes; empty if it is."""
        why = [f"{part.part} is {part.state}" for part in self.parts if part.state not in UP]
        why += self.problems
        why += [f"no worker runs {each.stage}" for each in self.stages if not each.workers]
        why += [
            f"the workers of {each.stage} divide its partitions anew ({each.state})"
            for each in self.stages
            if each.workers and each.state != SETTLED
        ]
        return why


class Looking:
    """Looks at one installation, from where the last look ended."""

    def __init__(
        self,
        stack: Stack,
        contracts: Contracts,
        agreements: Mapping[str, Agreement],
        metrics_urls: Sequence[str] = (),
    ) -> None:
        self._access: KafkaAccess = stack.access
        self._groups = groups_of(contracts, agreements)
        self._urls = metrics_urls
        self._ends: dict[tuple[str, int], int] = {}
        self._letters: list[Letter] = []
        self._decisions: list[Decision] = []
        self._owed: dict[bytes, Obligation] = {}
        self._disputes: dict[bytes, str] = {}
        self._secret: str | None = None
        self._may_count = True
        self._before: tuple[float, Mapping[str, GroupFacts]] | None = None

    def look(self, parts: Sequence[PartStatus]) -> Snapshot:
        """Look now; what Kafka refuses or lacks is a problem of the snapshot."""
        problems = []
        stages: Sequence[StageFigures] = ()
        try:
            stages = self._stages()
            self._read()
        except Trouble as trouble:
            problems.append(str(trouble))
        samples, silent = read_metrics(self._urls)
        return Snapshot(
            time.time_ns() // 1_000_000,
            parts,
            stages,
            standings(self._letters, self._decisions),
            tuple(self._owed.values()),
            Counter(self._disputes.values()),
            samples,
            silent,
            problems,
            self._hints(),
            self._secret,
        )

    def _hints(self) -> list[str]:
        """Say of each stage whose workers run other contracts than those here."""
        facts = {} if self._before is None else self._before[1]
        other = {name: other_topics(group, self._groups) for name, group in facts.items()}
        return [
            f"the workers of {name.partition('.')[2]} run other contracts than those here: "
            f"they leave out {counted(len(each.unread), 'topic')} of these and read "
            f"{counted(len(each.unknown), 'topic')} beside them; `postroom doctor` names them"
            for name, each in other.items()
            if each is not None
        ]

    def _stages(self) -> list[StageFigures]:
        facts, now_s = group_facts(self._access, self._groups), time.monotonic()
        before_s, before = self._before or (now_s, {})
        self._before = (now_s, facts)
        return [
            StageFigures(
                name.partition(".")[2],
                found.state,
                len(found.members),
                found.lag_records,
                self._waiting(found),
                (found.position - before[name].position) / (now_s - before_s) if name in before else None,
            )
            for name, found in facts.items()
        ]

    def _waiting(self, group: GroupFacts) -> int | None:
        """How many records wait exactly: an idle stage has none, whatever the offsets say."""
        tails = group.tails
        if not tails:
            return 0
        if not self._may_count or group.lag_records > TAIL_OFFSETS_MAX:
            return None
        try:
            counted = TopicReader(self._access).count(tails)
        except Trouble:
            # Who looks at groups need not be allowed to read what citizens' data is in; an operator is not.
            self._may_count = False
            return None
        return None if counted is None else sum(counted.values())

    def _read(self) -> None:
        """Take what has been written since the last look."""
        topics = [DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC, changelog("obligations"), DISPUTES_TOPIC]
        topics.append(INSTALLATION_TOPIC)
        for record in TopicReader(self._access).read(topics, since=self._ends):
            self._ends[record.topic, record.partition] = record.offset + 1
            self._take(record)

    def _take(self, record: RawRecord) -> None:
        match record.topic:
            case topic if topic in (DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC):
                self._take_letter(record)
            case topic if topic == DISPUTES_TOPIC:
                self._keep(self._disputes, record, lambda value: read_dispute(value)[2])
            case topic if topic == INSTALLATION_TOPIC:
                self._secret = None if record.value is None else shown_record(record.value)
            case _ if record.key != TASK_KEY:
                self._keep(self._owed, record, lambda value: read_obligation(body_of(value)))

    def _take_letter(self, record: RawRecord) -> None:
        match read_either(record.topic, record.value):
            case Letter() as letter:
                self._letters.append(letter)
            case Decision() as decision:
                self._decisions.append(decision)

    @staticmethod
    def _keep(kept: dict[bytes, Any], record: RawRecord, read: Any) -> None:
        """Hold the last of each key, as compaction does."""
        if record.value is None:
            kept.pop(record.key or b"", None)
        else:
            kept[record.key or b""] = read(record.value)
