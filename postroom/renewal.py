"""Newer contracts and agreements, taken up by a running worker: no restart, and never by halves (V9).

The files are what defines the rules. A worker looks at them every few seconds. When they have changed and lie
still, they are read, and if all that they need is there (each contract registered, each topic made, each
view's schema registered) every stage is replaced between two of its steps. Otherwise the old rules stay in
force, the log says once why, and the files are tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from connectors import Stack, Trouble
from connectors.registry import Registry
from postroom.composition import (
    DISCOVER_EVERY_S,
    input_topics,
    load_rules_files,
    make_stage,
    register_views,
    require_topics,
    rules_for,
)
from postroom.config import Settings
from postroom.errors import UserError
from postroom.first_series import begin, worker_series
from processors import Intake, Rules
from processors.engine import Replaceable
from processors.engine.journal import say
from processors.engine.settings import Discover
from processors.stage import Stage
from schemas import Contracts

INTAKE_AFTER_S = 3 * DISCOVER_EVERY_S
"""How much later intake follows. Workers see a change within two looks of each other, so when the first event
of a new contract comes out of any intake, every record stage knows what it says.
"""
SHOWN_MAX = 5
WHY_CHARACTERS_MAX = 500

Read = Callable[[Rules], Rules]
"""Reads the rules anew, given those in force; UserError or Trouble while something is missing."""


class Renewal:
    """The stages of this process, and how they come by newer rules while they run."""

    def __init__(
        self,
        names: Sequence[str],
        rules: Rules,
        taken: str,
        fingerprint: Callable[[], str],
        read: Read,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stages = {name: Replaceable(make_stage(name, rules)) for name in names}
        self._rules = dict.fromkeys(names, rules)
        self._newest = rules
        begin(worker_series(names, rules.agreements))
        self._taken, self._seen = taken, taken
        self._fingerprint, self._read, self._clock = fingerprint, read, clock
        self._looking = asyncio.Lock()
        self._next_look_s = 0.0
        self._intake: tuple[float, Stage] | None = None
        self._said = ""

    def discover(self, name: str) -> Discover:
        """What the engine asks of a stage now and then: look for newer rules, and name its topics by them."""

        async def topics() -> frozenset[str]:
            await self.look()
            return frozenset(input_topics(name, self._rules[name]))

        return topics

    async def look(self) -> None:
        """Take newer rules up if there are any; whichever stage asks, once in a while."""
        async with self._looking:
            now_s = self._clock()
            if now_s < self._next_look_s:
                return
            self._next_look_s = now_s + DISCOVER_EVERY_S
            found = await asyncio.to_thread(self._fingerprint)
            # INVARIANT: only files that lay still between two looks. Somebody may be copying them one by one.
            if found not in (self._taken, self._seen):
                say("rules-changed")
            elif found != self._taken:
                await self._take_up(found)
            self._seen = found
            if self._intake is not None and self._clock() >= self._intake[0]:
                self._replace("intake", self._intake[1])
                self._intake = None

    async def _take_up(self, found: str) -> None:
        before = self._newest
        try:
            rules, stages = await asyncio.to_thread(self._prepared)
        except (UserError, Trouble) as error:
            if str(error) != self._said:
                why = error.why[:WHY_CHARACTERS_MAX]
                say("rules-wait", "warning", what=error.what, where=error.where, why=why, mend=error.mend)
            self._said = str(error)
            return
        if await asyncio.to_thread(self._fingerprint) != found:
            return  # they changed while they were read
        self._newest, self._taken, self._said = rules, found, ""
        begin(worker_series(self.stages.keys(), rules.agreements))
        for name, stage in stages.items():
            if name == "intake":
                self._intake = (self._clock() + INTAKE_AFTER_S, stage)
            else:
                self._replace(name, stage)
        say("rules-taken-up", "info", **_difference(before, rules), sweep=rules.version != before.version)

    def _prepared(self) -> tuple[Rules, dict[str, Stage]]:
        """Read the rules and make all stages of them, aside from the event loop: that takes a while."""
        rules = self._read(self._newest)
        return rules, {name: make_stage(name, rules) for name in self.stages}

    def _replace(self, name: str, stage: Stage) -> None:
        held = self.stages[name]
        if isinstance(stage, Intake) and isinstance(held.current, Intake):
            # INVARIANT: the same dictionaries. A batch may just be prepared, and be looked up into them.
            stage.writers, stage.fetched = held.current.writers, held.current.fetched
        self._rules[name] = self._newest
        held.replace(stage)


def renewal_for(
    names: Sequence[str], settings: Settings, stack: Stack, registry: Registry
) -> tuple[Renewal, Rules]:
    """The rules to begin with, and the stages under them; UserError or Trouble if they cannot be had."""
    taken = fingerprint(settings)  # before they are read: a change in between is then seen as one
    rules = rules_for(settings, registry)
    require_topics(settings, stack, rules)

    def read(in_force: Rules) -> Rules:
        return newer_rules(settings, stack, registry, in_force)

    return Renewal(names, rules, taken, lambda: fingerprint(settings), read), rules


def fingerprint(settings: Settings) -> str:
    """A digest of every file that rules are read from: their names and what they hold."""
    contracts, agreements = settings.contracts_dir, settings.agreements_dir
    files = {*contracts.rglob("*.avsc"), *contracts.glob("*.yaml"), *agreements.glob("*.yaml")}
    digest = hashlib.sha256()
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(b"%d %d " % (len(bytes(file)), len(content)) + bytes(file) + content)
    return digest.hexdigest()


def newer_rules(settings: Settings, stack: Stack, registry: Registry, in_force: Rules) -> Rules:
    """Read the rules again; UserError or Trouble unless everything that they need is there."""
    contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    newer = replace(in_force, contracts=contracts, agreements=agreements)
    require_nothing_vanished(settings, in_force, newer)
    require_registered(registry, in_force.contracts, contracts)
    require_topics(settings, stack, newer)
    return replace(newer, view_schema_ids=register_views(registry, contracts, agreements))


def require_nothing_vanished(settings: Settings, in_force: Rules, newer: Rules) -> None:
    """Refuse rules from which a contract or an agreement is gone.

    A file that is missing for a moment would take a view from everyone, which nobody can give back unseen.
    """
    gone = [*(in_force.contracts.by_type.keys() - newer.contracts.by_type.keys())]
    gone += in_force.agreements.keys() - newer.agreements.keys()
    if gone:
        raise UserError(
            "a contract or an agreement is gone",
            where=f"{settings.contracts_dir}, {settings.agreements_dir}",
            why=_shown(gone),
            mend="put it back, or restart the workers to mean it",
        )


def require_registered(registry: Registry, in_force: Contracts, contracts: Contracts) -> None:
    """Refuse a new or changed contract that has not passed the gate into the registry (E6)."""
    waiting = [
        type_
        for type_, contract in contracts.by_type.items()
        if (known := in_force.by_type.get(type_)) is None or known.schema != contract.schema
        if registry.find(f"{type_}-value", contract.schema) is None
    ]
    if waiting:
        raise UserError(
            "a contract is not registered",
            where=registry.url,
            why=_shown(waiting),
            mend="`postroom contract check`, then `postroom contract register`",
        )


def _difference(before: Rules, after: Rules) -> dict[str, list[str]]:
    """What is new or changed, for the log."""
    return {
        "contracts": _changed(
            {type_: contract.schema for type_, contract in before.contracts.by_type.items()},
            {type_: contract.schema for type_, contract in after.contracts.by_type.items()},
        ),
        "agreements": _changed(before.agreements, after.agreements),
    }


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(name for name, value in after.items() if before.get(name) != value)


def _shown(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - SHOWN_MAX} more" if len(ordered) > SHOWN_MAX else ""
    return ", ".join(ordered[:SHOWN_MAX]) + more
