"""`postroom`: one command, noun then verb. Every file of `postroom/commands` adds its own.

Exit 0 success, 1 the check found something, 2 wrong use, 3 the system was unreachable (DESIGN §8).
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import sys
from typing import Annotated

import typer

from postroom import commands
from postroom.console import complain, say
from postroom.errors import Exit, UserError, of_trouble

INTERRUPTED = 130  # what a shell expects after Ctrl-C
FIRST_STEPS = """\
The event backbone between departments: events in, consented views out.

Try `postroom demo` for the whole story, or `postroom up` and then `postroom status`.

Exit 0 success, 1 the check found something, 2 wrong use, 3 a system was unreachable.
"""


def build() -> typer.Typer:
    """Put the command together from the files of `postroom/commands`."""
    app = typer.Typer(
        help=FIRST_STEPS,
        add_completion=False,
        pretty_exceptions_enable=False,  # its tracebacks show local values, which may be personal data
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def postroom(
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", help="Say the version and end.")] = False,
    ) -> None:
        if version:
            from importlib.metadata import version as installed

            typer.echo(installed("postroom"))
            raise typer.Exit
        commands.help_without_verb(context)

    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        importlib.import_module(f"{commands.__name__}.{module.name}").register(app)
    return app


def main() -> None:
    """Run the command line and end with the right code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; nothing but a defect of ours shows a traceback."""
    from connectors import Trouble

    logging.lastResort = None  # libraries' own complaints are not for the terminal; ours say what matters
    try:
        code: object = build()(arguments, prog_name="postroom", standalone_mode=False)
        return code if isinstance(code, int) else Exit.SUCCESS
    except UserError as error:
        complain(error)
        return error.code
    except Trouble as trouble:
        translated = of_trouble(trouble)
        complain(translated)
        return translated.code
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as misuse:
        return _misuse(misuse)
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our stdout has seen enough; keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.SUCCESS
    except Exception:
        say(
            "This is a defect of Postroom, not yours. Please report what follows; it holds no data of people."
        )
        import traceback

        traceback.print_exc()
        return Exit.FAULT


def _misuse(misuse: typer.TyperException) -> int:
    """Say what of the command line was wrong, and where help is."""
    context = getattr(misuse, "ctx", None)
    path = context.command_path if context is not None else "postroom"
    message = misuse.format_message()
    complain(UserError(message, mend=f"`{path} --help`"))
    return Exit.MISUSE
