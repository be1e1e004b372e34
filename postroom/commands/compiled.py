"""`postroom compiled`: the stages as machine code."""

from __future__ import annotations

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows


def register(app: typer.Typer) -> None:
    """Add the noun."""
    verbs = noun(app, "compiled", "The stages as machine code, an option.", "The backbone")
    verbs.command()(build)
    verbs.command()(show)


def build() -> None:
    """Compile the stages of this source for this Python, unless that was done; a minute on two cores.

    It takes a C compiler and the extra `compiled`. Workers use it where POSTROOM_COMPILED=yes; a later source
    wants a build of its own.

    Example: postroom compiled build && POSTROOM_COMPILED=yes postroom run all
    """
    from postroom.compiled import build, place_of
    from postroom.console import say
    from postroom.settings import settings

    cache = settings().cache_dir
    place = place_of(cache)
    if place.built:
        say(f"it is built: {place.directory}")
        return
    say("compiling the stages, a minute or more ...")
    say(f"built: {build(cache, lambda: say('another builds; waiting ...')).directory}")


def show(output: Output = Form.TABLE) -> None:
    """Say whether there is a build of this source, where, and whether workers are to use it.

    Example: postroom compiled show
    """
    from postroom.compiled import place_of
    from postroom.settings import settings

    current = settings()
    place = place_of(current.cache_dir)
    row = {"built": place.built, "used": current.compiled, "where": str(place.directory)}
    write_rows([row], output, tuple(row))
