"""Lets Python find a build before the source, all modules of it or none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from postroom.compiled.place import MODULES, PACKAGE, Place, place_of
from postroom.errors import UserError


def use_compiled(cache_dir: Path) -> Place:
    """Use the build of this source from here on; UserError if there is none.

    INVARIANT: before the first stage is imported. A process of two forms of one class would be neither.
    """
    if PACKAGE in sys.modules:
        raise RuntimeError(f"{PACKAGE} was imported before its compiled form was asked for")
    place = place_of(cache_dir)
    if not place.built:
        raise UserError(
            "the compiled stages that are asked for are not there",
            where=str(place.directory),
            why="nothing was built of this source for this Python",
            mend="`postroom compiled build`, or POSTROOM_COMPILED=no",
        )
    sys.meta_path.insert(0, _Finder(place))
    return place


class _Finder(MetaPathFinder):
    """Finds the modules of one build, and nothing else."""

    def __init__(self, place: Place) -> None:
        self._files = {f"{PACKAGE}.{module}": place.file(module) for module in MODULES}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)
