"""What one claim costs persons at an identifier of so many neighbours, and in a component at its bound (I3).

The pure stage with a dict for a store, so it is the stage's own CPU and the states that it asks for; no
Kafka. `python tests/bench/crowd.py [NEIGHBOURS...]` prints one line a size; `adr/0013` keeps a run.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from processors.messages import PAIRS_TOPIC, Cause, Claims, PairStatement, encode
from processors.persons import Persons
from processors.rules import Keys, Rules
from processors.stage import Record, Step
from schemas import load_contracts

CASES = Path(__file__).parents[1] / "cases"
HUB, SOURCE = "nino:AB123456C", "urn:gov:council-leeds:main"
FILL = 50_000
"""Claims in one step while the crowd gathers."""


class Driven:
    """The stage, its states, and how many of them it has asked for."""

    def __init__(self) -> None:
        self.stage = Persons(Rules(load_contracts(CASES / "contracts"), {}, Keys(b"bench")))
        self.bodies: dict[bytes, bytes] = {}
        self.woken: list[bytes] = []
        self.reads = self.written_bytes = 0
        self.cpu_s = 0.0

    def step(self, *batch: Claims) -> Step:
        """Step once over the claims and whatever asked to be woken."""
        records = [Record(PAIRS_TOPIC, 0, 0, 0, each.identifier.encode(), encode(each)) for each in batch]
        woken, self.woken, self.reads = self.woken, [], 0
        began = time.process_time()
        step = self.stage.step(self._read, records, woken, 0)
        self.cpu_s = time.process_time() - began
        for key, state in step.states.items():
            if state is None:
                self.bodies.pop(key, None)
                continue
            self.bodies[key] = state.body
            self.woken += [key] if state.wake_ms is not None else []
        self.written_bytes = sum(len(state.body) for state in step.states.values() if state is not None)
        return step

    def _read(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.bodies.get(key)


def claim(number: int, other: str = HUB, restricted: bool = False) -> Claims:
    """What the account of that number says: that it is somebody's."""
    said = (PairStatement(number, SOURCE, f"e{number}", "same-person"),)
    return Claims(account(number), 1, {other: said}, restricted, Cause(SOURCE, f"e{number}"))


def account(number: int) -> str:
    """A council's account."""
    return f"ctax:{number:08d}"


def crowd(neighbours: int) -> None:
    """One more neighbour; a hundred more at once; then the hub is protected, which all must be told."""
    driven = Driven()
    for first in range(0, neighbours, FILL):
        driven.step(*(claim(n) for n in range(first, min(neighbours, first + FILL))))
    driven.step(claim(neighbours))
    print(
        f"{neighbours:>8} neighbours: a claim {driven.cpu_s * 1000:.1f} ms, {driven.reads} states read, "
        f"{driven.written_bytes} bytes of state written",
        end="; ",
    )
    driven.step(*(claim(neighbours + n) for n in range(1, 101)))
    print(f"100 in one step {driven.cpu_s * 1000:.0f} ms", end="; ")
    driven.step(Claims(HUB, 1, {}, True, Cause(SOURCE, "protects")))
    steps, total_s, longest_s = 1, driven.cpu_s, driven.cpu_s
    while driven.woken:
        driven.step()
        steps, total_s, longest_s = steps + 1, total_s + driven.cpu_s, max(longest_s, driven.cpu_s)
    print(f"protected in {steps} steps, {total_s:.1f} s, the longest {longest_s * 1000:.0f} ms", flush=True)


def component(edges: int) -> None:
    """A chain of so many edges, of which nothing changes, and one that grows by one."""
    driven = Driven()
    driven.step(*(claim(n, account(n + 1)) for n in range(edges)))
    for what, number in (("nothing changes", 100), ("an edge more", edges)):
        driven.step(claim(number, account(number + 1)))
        print(f"component of {edges} edges, {what}: {driven.cpu_s * 1000:.0f} ms, {driven.reads} states read")


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ("1000", "10000", "100000")):
        crowd(size)
    component(4_095)
