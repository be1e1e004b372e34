"""`postroom run`: a worker that runs stages until it is told to stop."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

PANEL = "The backbone"


class Which(StrEnum):
    """The stages to run."""

    ALL = "all"
    INTAKE = "intake"
    IDENTITY = "identity"
    PERSONS = "persons"
    RECORD = "record"
    OBLIGATIONS = "obligations"


class Shell(StrEnum):
    """What holds the consumer group."""

    FAUST = "faust"
    PLAIN = "plain"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(run)


def run(
    stage: Annotated[Which, typer.Argument(help="which stage")] = Which.ALL,
    instance: Annotated[
        str | None,
        typer.Option(help="this worker's name, one process's at a time; a restart finds its store"),
    ] = None,
    shell: Annotated[Shell, typer.Option(help="Faust, or plain aiokafka")] = Shell.FAUST,
) -> None:
    """Run one stage, or all of them, until SIGTERM or Ctrl-C.

    Start as many workers as there are cores; the partitions are shared among them. Anything unexpected ends
    the worker with exit 70 and nothing lost: start it again. A new contract or agreement needs no restart.
    With another secret than the installation's, or under the name of one that runs on this state directory,
    a worker refuses to start, with exit 2. With POSTROOM_COMPILED=yes it runs what
    `postroom compiled build` made.

    Example: postroom run all --instance one
    """
    from postroom.compiled import use_compiled
    from postroom.settings import settings

    current = settings()
    if current.compiled:
        use_compiled(current.cache_dir)  # before what follows imports a stage

    from connectors import find_stack
    from postroom.composition import STAGES, engine_config, reachable_registry, stage_specs
    from postroom.installation import claim, looked_after
    from postroom.logs import configure_logs
    from postroom.renewal import renewal_for
    from postroom.signals import show_signals
    from postroom.traces import spans_of
    from postroom.worker_name import hold_name
    from processors.engine import READINESS, run_worker
    from processors.engine.journal import say
    from processors.engine.metrics import IDENTITY_KEY

    configure_logs(current)
    spans = spans_of("worker", "consumer", current)
    stack = find_stack(current)
    registry = reachable_registry(stack)
    names = STAGES if stage is Which.ALL else (stage.value,)
    config = engine_config(current, stack, instance, shell.value, spans)
    # INVARIANT: before any store is opened, and before anything is written under the name.
    hold_name(current.state_dir / "workers", config.instance, names)
    renewal, rules = renewal_for(names, current, stack, registry)
    # INVARIANT: before any stage runs. What another secret writes nobody can be told to delete (C8).
    record = claim(current, stack, rules.keys)
    IDENTITY_KEY.labels(record.short).set(1)
    signals = show_signals("worker", current, stack, READINESS.waiting_for, READINESS.is_alive)
    say("signals", url=signals.url)
    batch_max = current.batch_records_max
    discover = looked_after(stack, record, renewal.discover)
    specs = stage_specs(renewal.stages, discover, rules, registry, stack.access, batch_max)
    raise typer.Exit(run_worker(specs, config))
