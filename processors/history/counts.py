"""Between the stages nothing is lost, repeated, or read before it was committed (DESIGN §7, V6).

Every record between stages carries its sender's running count for that partition, of as many messages as it
frames. The log must hold each count once and in order; and each task's memory, committed with its positions,
must have seen exactly the counts that the log holds below them, and have sent no more than there are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

from processors.engine.changelog import TaskMemory
from processors.history.decoding import Sent
from processors.history.extent import Extent
from processors.history.findings import Anomaly, Findings, Place


class _Seen(NamedTuple):
    """What a task's memory says that it has read of a partition, up to an offset."""

    place: Place
    """Where the memory is: in the stage's changelog."""
    position: int
    counts: dict[str, int]
    front_is_gone: bool
    """Whether the partition no longer has its first records."""


class _Log:
    """What one partition between stages holds: each sender's last count, as far as it was read."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.offset = -1
        self.ahead: deque[tuple[int, str, int]] = deque()
        """What no memory has been compared with yet: offset, sender, count."""
        self.behind: dict[str, int] = {}
        """Each sender's last count below :attr:`ahead`."""
        self.memories: deque[_Seen] = deque()
        """Memories that stand further on than what was read so far."""
        self.reported: set[str] = set()
        """Senders about whom a memory was found wrong."""


class Counts:
    """Follows every sender through every partition between stages, and every task's memory of it."""

    def __init__(self, extent: Extent, findings: Findings) -> None:
        self.extent, self.findings = extent, findings
        self.checked = 0
        """Messages whose count was compared with the one before."""
        self._logs: dict[tuple[str, int], _Log] = defaultdict(_Log)
        self._sent: dict[tuple[str, int], tuple[Place, dict[str, dict[int, int]]]] = {}
        """By task, what it last said that it has sent, and where it said so."""

    def message(self, place: Place, sent: Sent) -> None:
        """Take a record between stages, each partition's in order."""
        log = self._logs[place.topic, place.partition]
        self.checked += sent.last - sent.number + 1
        last = log.last.get(sent.sender)
        if last is None and self.extent.stretches[place.topic, place.partition].begin > 0:
            last = sent.number - 1  # what came before was deleted with the front
        last = last or 0
        if sent.number > last + 1:
            text = f"missing before this one, of {sent.sender}: {sent.number - last - 1}"
            self.findings.add(Anomaly.LOST_EVENT, place, text)
        elif sent.number <= last:
            text = f"number {sent.number} of {sent.sender} again, after number {last}"
            self.findings.add(Anomaly.DUPLICATE_EVENT, place, text)
        log.last[sent.sender] = max(sent.last, last)
        log.ahead.append((place.offset, sent.sender, log.last[sent.sender]))
        log.offset = place.offset
        while log.memories and log.memories[0].position <= log.offset:
            self._compare(log, log.memories.popleft())

    def memory(self, stage: str, place: Place, memory: TaskMemory) -> None:
        """Take what a task committed of itself, each changelog's in order."""
        for topic, counts in memory.seen.items():
            position = memory.positions.get(topic)
            stretch = self.extent.stretches.get((topic, place.partition))
            if position is None or stretch is None or position > stretch.end:
                continue  # it knows more than was read here
            log = self._logs[topic, place.partition]
            seen = _Seen(place, position, counts, stretch.begin > 0)
            if position <= log.offset and not log.memories:
                self._compare(log, seen)
            else:
                log.memories.append(seen)
        if self.extent.is_settled(place):
            self._sent[stage, place.partition] = (place, memory.sent)

    def _compare(self, log: _Log, seen: _Seen) -> None:
        """Compare what a task saw with what the log holds below its position."""
        while log.ahead and log.ahead[0][0] < seen.position:
            _, sender, count = log.ahead.popleft()
            log.behind[sender] = count
        for sender in sorted(log.behind.keys() | seen.counts.keys()):
            there, saw = log.behind.get(sender), seen.counts.get(sender, 0)
            if (there is None and seen.front_is_gone) or sender in log.reported:
                continue
            if saw > (there or 0):
                text = f"this task has read number {saw} of {sender}, of which {there or 0} are committed"
                self._report(log, sender, Anomaly.ABORTED_READ, seen.place, text)
            elif saw < (there or 0):
                text = f"this task has passed number {there} of {sender} and read only {saw}"
                self._report(log, sender, Anomaly.LOST_EVENT, seen.place, text)

    def _report(self, log: _Log, sender: str, anomaly: Anomaly, place: Place, text: str) -> None:
        """Report once: every later memory differs too."""
        log.reported.add(sender)
        self.findings.add(anomaly, place, text)

    def finish(self) -> None:
        """Compare what is left: the memories at the ends, and what each task says that it has sent."""
        for log in self._logs.values():
            while log.memories:
                self._compare(log, log.memories.popleft())
        for (stage, number), (place, sent) in self._sent.items():
            for topic, counts in sent.items():
                for partition, count in counts.items():
                    self._arrived(place, f"{stage}-{number}", (topic, partition), count)

    def _arrived(self, place: Place, sender: str, where: tuple[str, int], count: int) -> None:
        stretch = self.extent.stretches.get(where)
        last = self._logs[where].last.get(sender)
        if stretch is None or (last is None and stretch.begin > 0):
            return
        if (last or 0) < count:
            to = f"{where[0]}-{where[1]}"
            text = f"messages that {sender} committed to {to}: {count}, of which {last or 0} are there"
            self.findings.add(Anomaly.LOST_EVENT, place, text)
