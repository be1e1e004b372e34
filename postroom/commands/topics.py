"""`postroom topics plan|apply`: what Kafka needs, as a diff; then does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from connectors.kafka_access import KafkaAccess
    from postroom.kafka_plan import Wanted

SCREEN_LINES = 20


def register(app: typer.Typer) -> None:
    """Add the noun."""
    meaning = "What contracts and agreements need of Kafka: topics, permissions, bounds."
    group = noun(app, "topics", meaning, "This installation")
    group.command()(plan)
    group.command()(apply)


def plan(output: Output = Form.TABLE) -> None:
    """Show how the cluster differs from what the contracts and agreements need. Exit 1 if it does.

    Topics, who may what on them (users that begin with owner., subscriber. or postroom.), and how much owners
    and subscribers may ask for (POSTROOM_QUOTAS). A cluster that keeps no permissions is said to be one.

    Example: postroom topics plan
    """
    from postroom import kafka_plan
    from postroom.console import counted, say
    from postroom.errors import Exit

    access, wanted = _wanted()
    differences = kafka_plan.plan(access, wanted)
    rows = differences.rows()
    _write(differences.lines(), rows, output, kafka_plan.LINE_COLUMNS)
    for remark in differences.remarks(wanted):
        say(remark)
    say(f"{counted(len(rows), 'difference')} among {differences.among(wanted)}")
    if rows:
        raise typer.Exit(Exit.FOUND)


def apply(output: Output = Form.TABLE) -> None:
    """Make topics, permissions and bounds as planned; another number of partitions is refused.

    Permissions of ours that are no longer wanted are revoked. What others hold, and what somebody denied by
    hand, stays and is told. More changes than a screen holds, as the first time, are counted; `-o jsonl` has
    each, and `plan` before.

    Example: postroom topics apply
    """
    from postroom import kafka_plan
    from postroom.console import counted, say

    access, wanted = _wanted()
    differences = kafka_plan.apply(access, wanted)
    rows = differences.rows()
    if len(rows) > SCREEN_LINES:
        _write(differences.counts(), rows, output, kafka_plan.COUNT_COLUMNS)
    else:
        _write(differences.lines(), rows, output, kafka_plan.LINE_COLUMNS)
    for remark in differences.remarks(wanted):
        say(remark)
    say(f"{counted(len(rows), 'change')} made: {differences.among(wanted)} as planned")


def _write(
    told: list[dict[str, Any]], rows: list[dict[str, Any]], output: Form, columns: tuple[str, ...]
) -> None:
    """A person is told what fits a terminal; a program gets every difference with its parts."""
    write_rows(told if output is Form.TABLE else rows, output, columns, none="")


def _wanted() -> tuple[KafkaAccess, Wanted]:
    from connectors import find_stack
    from postroom.composition import load_rules_files
    from postroom.kafka_plan import wanted_of
    from postroom.settings import settings

    current = settings()
    rules = load_rules_files(current.contracts_dir, current.agreements_dir)
    return find_stack(current).access, wanted_of(current, *rules)
