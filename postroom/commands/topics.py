"""`postroom topics plan|apply`: what Kafka needs, as a diff; then does it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from connectors.kafka_access import KafkaAccess
    from connectors.kafka_topics import WantedTopic

COLUMNS = ("topic", "action", "setting", "now", "wanted")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "topics", "The topics that contracts and agreements need.", "This installation")
    group.command()(plan)
    group.command()(apply)


def plan(output: Output = Form.TABLE) -> None:
    """Show how the cluster's topics differ from what the contracts and agreements need. Exit 1 if they do.

    Example: postroom topics plan
    """
    from connectors.kafka_topics import Topics
    from postroom.console import say
    from postroom.errors import Exit

    access, wanted = _wanted()
    changes = Topics(access).plan(wanted)
    write_rows([asdict(change) for change in changes], output, COLUMNS)
    say(f"{len(changes)} differences among {len(wanted)} topics")
    if changes:
        raise typer.Exit(Exit.FOUND)


def apply(output: Output = Form.TABLE) -> None:
    """Create and configure topics as planned; one with another number of partitions is refused.

    Example: postroom topics apply
    """
    from connectors.kafka_topics import Topics
    from postroom.console import say

    access, wanted = _wanted()
    changes = Topics(access).apply(wanted)
    write_rows([asdict(change) for change in changes], output, COLUMNS)
    say(f"{len(changes)} changes made, {len(wanted)} topics as planned")


def _wanted() -> tuple[KafkaAccess, list[WantedTopic]]:
    from connectors import find_stack
    from postroom.composition import load_rules_files
    from postroom.settings import settings
    from postroom.topics import wanted_topics

    current = settings()
    contracts, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    return find_stack(current).access, wanted_topics(contracts, agreements.values(), current.partitions)
