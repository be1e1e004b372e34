"""The composition root: settings and files to rules, rules to stages, stages to a running worker."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors import Stack
from connectors.kafka_access import KafkaAccess
from connectors.kafka_topics import Topics
from connectors.registry import Registry, registry_of
from connectors.tracing import Tell, untold
from postroom.config import Settings
from postroom.console import counted
from postroom.errors import UserError
from postroom.look_up import look_up
from postroom.topics import INTERNAL_TOPICS, wanted_topics
from postroom.traces import of_steps
from processors import (
    ACKNOWLEDGEMENTS_TOPIC,
    ASSERTIONS_TOPIC,
    FRAGMENTS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    OBLIGATIONS_TOPIC,
    PAIRS_TOPIC,
    Identity,
    Intake,
    Keys,
    Obligations,
    Persons,
    Records,
    Rules,
    view_topic,
)
from processors.engine import EngineConfig, Replaceable, StageSpec
from processors.engine.settings import STEP_TARGET_MS, Discover
from processors.stage import Stage
from schemas import (
    Agreement,
    AgreementProblems,
    ContractProblems,
    Contracts,
    load_agreements,
    load_contracts,
    view_schema,
)

STAGES = ("intake", "identity", "persons", "record", "obligations")
INPUT_OF = {
    "identity": ASSERTIONS_TOPIC,
    "persons": PAIRS_TOPIC,
    "record": FRAGMENTS_TOPIC,
    "obligations": OBLIGATIONS_TOPIC,
}
BATCH_MAX, STEP_MS_MAX = {"persons": 500}, {"persons": 100}
"""Persons looks again at whole components: its transactions stay short with fewer statements (V7)."""
DISCOVER_EVERY_S = 5.0
"""How often a worker looks whether its rules are still those of the files."""


TRIAL_SECRET = b"postroom trial"
"""The key of an answer that shows no key: they are compared with each other, so any secret does, and whoever
asks about a file of events need not hold the installation's.
"""


def load_rules_files(contracts_dir: Path, agreements_dir: Path) -> tuple[Contracts, dict[str, Agreement]]:
    """Read contracts and agreements; UserError says all that is wrong with them."""
    if not contracts_dir.is_dir():
        raise UserError(
            "there is no contracts directory",
            where=str(contracts_dir.absolute()),
            mend="go to the directory that it lies in, or name it with POSTROOM_CONTRACTS",
        )
    if not agreements_dir.is_dir():
        raise UserError(
            "there is no agreements directory",
            where=str(agreements_dir.absolute()),
            mend="go to the directory that it lies in, or name it with POSTROOM_AGREEMENTS",
        )
    try:
        contracts = load_contracts(contracts_dir)
    except ContractProblems as problems:
        raise UserError(
            "the contracts cannot be used",
            where=str(contracts_dir),
            why=str(problems),
            mend="`postroom contract check`",
        ) from problems
    try:
        return contracts, load_agreements(agreements_dir, contracts)
    except AgreementProblems as problems:
        raise UserError(
            "the agreements cannot be used",
            where=str(agreements_dir),
            why=str(problems),
            mend="`postroom agreement check`",
        ) from problems


def rules_for(settings: Settings, registry: Registry) -> Rules:
    """The rules that a worker runs by; every agreement's view schema is registered first (V1)."""
    contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    ids = register_views(registry, contracts, agreements)
    return Rules(contracts, agreements, Keys(settings.secret_bytes()), view_schema_ids=ids)


def register_views(
    registry: Registry, contracts: Contracts, agreements: dict[str, Agreement]
) -> dict[str, int]:
    """Register the schema of each agreement's view, compatible with all it ever was; return the ids (V1)."""
    return {
        name: registry.register(f"{view_topic(name)}-value", view_schema(agreement, contracts))
        for name, agreement in agreements.items()
    }


def require_topics(settings: Settings, stack: Stack, rules: Rules) -> None:
    """Refuse to work on topics that are not as planned: a wrong number of partitions misplaces state."""
    wanted = wanted_topics(rules.contracts, rules.agreements.values(), settings.partitions)
    changes = Topics(stack.access).misplaced(wanted)
    if changes:
        shown = ", ".join(sorted({change.topic for change in changes})[:5])
        raise UserError(
            f"{counted(len(changes), 'topic is', 'topics are')} not as planned",
            where=stack.kafka,
            why=f"{shown}{' …' if len(changes) > 5 else ''}",
            mend="`postroom topics plan` shows the difference, `postroom topics apply` makes it so",
        )


def make_stage(name: str, rules: Rules) -> Stage:
    """A stage that decides by these rules (§7)."""
    match name:
        case "intake":
            return Intake(rules)
        case "identity":
            return Identity(rules)
        case "persons":
            return Persons(rules)
        case "record":
            return Records(rules)
        case _:
            return Obligations()


def input_topics(name: str, rules: Rules) -> tuple[str, ...]:
    """What a stage reads: intake what comes from outside and requests about letters (§7)."""
    if name == "intake":
        return (*sorted(rules.contracts.by_type), ACKNOWLEDGEMENTS_TOPIC, LETTER_REQUESTS_TOPIC)
    return (INPUT_OF[name],)


def stage_specs(
    stages: Mapping[str, Replaceable],
    discover: Callable[[str], Discover],
    rules: Rules,
    registry: Registry,
    access: KafkaAccess,
    batch_records_max: int,
) -> list[StageSpec]:
    """The stages to run, each with its input (§7); ``discover`` brings newer rules to one."""
    return [
        StageSpec(
            stage,
            input_topics(name, rules),
            prepare=look_up(stage, registry, access) if name == "intake" else None,
            discover=discover(name),
            batch_max=min(batch_records_max, BATCH_MAX.get(name, batch_records_max)),
            step_target_ms=STEP_MS_MAX.get(name, STEP_TARGET_MS),
            grows_when_late=name not in STEP_MS_MAX,
        )
        for name, stage in stages.items()
    ]


def engine_config(
    settings: Settings, stack: Stack, instance: str | None, shell: str, tell: Tell = untold
) -> EngineConfig:
    """How this process runs its stages; each instance has its own local store."""
    return EngineConfig(
        bootstrap=stack.kafka,
        protection=stack.access.protection,
        state_dir=settings.state_dir / "workers",
        instance=instance or f"{socket.gethostname()}-{os.getpid()}",
        internal_topics=INTERNAL_TOPICS,
        shell="plain" if shell == "plain" else "faust",
        transaction_timeout_ms=settings.transaction_timeout_ms,
        fetch_wait_ms_max=settings.fetch_wait_ms_max,
        discover_every_s=DISCOVER_EVERY_S,
        trace=None if tell is untold else of_steps(tell),
    )


def reachable_registry(stack: Stack) -> Registry:
    """The registry, once it has answered."""
    registry = registry_of(stack)
    registry.ping()
    return registry
