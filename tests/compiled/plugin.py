"""A pytest plugin, and what a trail begins with: from here on the stages are the compiled ones."""

from __future__ import annotations

import os
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

from postroom.compiled import use_compiled


def take(cache: str | None) -> None:
    """Use the build in this cache, if one is named; and see that it is in use."""
    if cache is None:
        return
    use_compiled(Path(cache))
    import processors.intake
    import processors.record

    for module in (processors.intake, processors.record):
        assert isinstance(module.__spec__.loader, ExtensionFileLoader), module  # type: ignore[union-attr]


take(os.environ.pop("POSTROOM_TEST_COMPILED", None))
