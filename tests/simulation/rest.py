"""What must hold once nothing moves: everything `replay` says, and nothing left over (I5, I6, V4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from processors.citizen_state import RecordState
from processors.decision import Permit, Question, decide_closed
from processors.golden import fold
from processors.replay import replay
from processors.rules import Rules
from tests.nasty.shrink import differences
from tests.simulation.cuts import permitted
from tests.simulation.ledger import Lost
from tests.simulation.simulator import Simulation

CUTS_TRIED = 6
"""How many of a run's emissions are held against the cuts of its input; the rest is left to other seeds."""


def problems(simulation: Simulation, lines: Sequence[bytes]) -> Iterator[str]:
    """Everything that is wrong with a run that has come to rest."""
    rules, at_ms = simulation.rules, simulation.at_ms
    wanted = replay(lines, rules.contracts, rules.agreements, rules.keys.secret, at_ms, rules.limits)
    found = simulation.answer()
    yield from differences({name: wanted[name] for name in found}, found)
    yield from _left_over(simulation)
    yield from _not_owed(simulation)
    yield from _forgotten(simulation)
    yield from _permitted_by_no_cut(simulation)


def _left_over(simulation: Simulation) -> Iterator[str]:
    for identifier, state in simulation.identities().items():
        if state.held:
            yield f"I6: {identifier} still holds {len(state.held)} events"
        if state.answered < state.asked:
            yield f"I6: {identifier} still waits for an answer"
    at_home: dict[str, str] = {}
    for person, record in simulation.records().items():
        present = tuple(sorted(record.fragments))
        for identifier, fragment in record.fragments.items():
            if fragment.members != present:
                yield f"I6: the record of {person} is incomplete at rest"
            if at_home.setdefault(identifier, person) != person:
                yield f"I6: {identifier} is in two records"
            if not record.has_custody(identifier, fragment.move):
                yield f"V2: the keys of {identifier} never reached its record"
        if record.handovers:
            yield f"V2: {person} still owes keys that it was never given"


def _not_owed(simulation: Simulation) -> Iterator[str]:
    """V4: each delivered value that ceased to be permitted is to be deleted."""
    for lost in simulation.ledger.lost:
        if lost.denied() and lost.ended() and lost.at not in simulation.ledger.owed_at(lost):
            yield f"V4: {lost.agreement} {lost.key} {lost.attribute} ceased to be permitted, and is not owed"


def _forgotten(simulation: Simulation) -> Iterator[str]:
    """V4: so is what merges, moves and halves of records took away, when those it came from deny it now."""
    ledger, rules = simulation.ledger, simulation.rules
    home = {i: record for record in simulation.records().values() for i in record.fragments}
    for lost in ledger.lost:
        if lost.corrected() or ledger.owed_at(lost) or ledger.goes_on(lost):
            continue
        if _denied_now(lost, home, rules, simulation.at_ms):
            yield f"V4: {lost.agreement} {lost.key} {lost.attribute} left, is denied, and is not owed"


def _denied_now(lost: Lost, home: dict[str, RecordState], rules: Rules, at_ms: int) -> bool:
    """Whether those from whom the value came now deny it to the agreement."""
    agreement = rules.agreements.get(lost.agreement)
    if agreement is None:
        return True
    for identifier in lost.sources & home.keys():
        record = home[identifier]
        citizen = fold(record.fragments, rules.contracts.attributes, at_ms)
        decision = decide_closed(Question(agreement, citizen, record.person, rules, at_ms, True))
        if not isinstance(decision.attributes.get(lost.attribute), Permit):
            return True
    return False


def _permitted_by_no_cut(simulation: Simulation) -> Iterator[str]:
    heard = [said for _, said in simulation.heard]
    emissions = simulation.ledger.emissions
    rng = Random(len(emissions))
    for emission in rng.sample(emissions, k=min(CUTS_TRIED, len(emissions))):
        if not permitted(emission, heard):
            yield f"§7: no cut permits {emission.agreement} {emission.key} {emission.attribute}"
