"""`postroom doctor`: what is wrong with this installation, why it matters, and what to do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from postroom.doctor.finding import Finding

COLUMNS = ("severity", "check", "what", "where", "why", "mend")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operating")(doctor)


def doctor(output: Output = Form.TABLE) -> None:
    """Look at settings, rules, secrets, certificates, brokers, topics, registry, workers, clocks and stores.

    Each finding says what, where, why it matters and the command that mends it. Nothing is changed. A note
    (one broker on one machine, say) fails nothing. On a secured cluster run it as the administrator: what
    another user may not see is said and not called healthy.

    Exit 1 if there is a fault or a warning, 3 if neither Kafka nor the registry could be reached.

    Example: postroom doctor -o json
    """
    from postroom.console import say
    from postroom.doctor.checks import CHECKS, examine
    from postroom.doctor.ground import gather
    from postroom.settings import settings

    try:
        current = settings()
    except UserError as error:
        _write([_of_error(error)], output)
        raise typer.Exit(Exit.FOUND) from None
    ground = gather(current)
    findings = examine(ground)
    _write(findings, output)
    bad = sum(finding.fails for finding in findings)
    say(f"{len(CHECKS)} checks: {bad} to mend, {len(findings) - bad} to know")
    if not ground.reached:
        raise typer.Exit(Exit.UNREACHABLE)
    if bad:
        raise typer.Exit(Exit.FOUND)


def _of_error(error: UserError) -> Finding:
    from postroom.doctor.finding import Finding, Severity

    return Finding(Severity.FAULT, error.what, error.where, error.why, error.mend, "settings")


def _write(findings: list[Finding], output: Form) -> None:
    """As data for a program; for a person one after the other, because each has five things to say."""
    if output is not Form.TABLE:
        write_rows(
            ({name: str(getattr(each, name)) for name in COLUMNS} for each in findings), output, COLUMNS
        )
        return
    for each in findings:
        lines = [f"{each.severity.value}: {each.what}  [{each.check}]"]
        for title, text in (("where", each.where), ("why", each.why), ("mend", each.mend)):
            if text:
                lines.append(f"  {title + ':':<7}" + text.replace("\n", "\n" + " " * 9))
        sys.stdout.write("\n".join([*lines, "", ""]))
