"""A YAML file of settings, read strictly into its model: all that is wrong is said at once, each with its
line and field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from connectors.trouble import Misused
from schemas.written import read_into, without_faulty
from schemas.yaml_lines import Lines, YamlInvalid, load

Model = TypeVar("Model", bound=BaseModel)
Judge = Callable[[Model], Iterable[str]]
"""Says what is wrong with what has the right form, each problem as `place: problem`."""


def read_settings(
    path: Path,
    model: type[Model],
    what: str,
    named_by: str,
    mend: str = "",
    judge: Judge[Model] = lambda _: (),
) -> Model:
    """Read the file into the model; Misused.

    `what` it is, `named_by` which setting, and how to `mend` one that is wrong are for a person. Where
    entries of it have not the right form, `judge` is given the others: one round should be enough.
    """
    written, lines = _loaded(path, what, named_by)
    parsed, faults = read_into(model, written)
    sound = parsed if parsed is not None else read_into(model, without_faulty(written, faults))[0]
    # INVARIANT: places and rules, never what was written there: somebody may have put a secret in.
    found = [f"{'.'.join(map(str, place))}: {problem}" if place else problem for place, problem in faults]
    found += [] if sound is None else judge(sound)
    if parsed is None or found:
        raise _wrong(path, what, found, mend, lines)
    return parsed


def refuse_faults(path: Path, what: str, faults: Iterable[str], mend: str) -> None:
    """Misused when anything is wrong that reading what the file names has shown."""
    if found := [*faults]:
        raise _wrong(path, what, found, mend, _loaded(path, what, "")[1])


def _loaded(path: Path, what: str, named_by: str) -> tuple[object, Lines]:
    try:
        return load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misused(
            f"{what} cannot be read",
            where=str(path),
            why=error.strerror or type(error).__name__,
            mend=f"name it with {named_by}",
        ) from error
    except (YamlInvalid, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, YamlInvalid) else "it is not text in UTF-8"
        mend = "set each key below its own, with spaces and no tab, as the example file does"
        raise Misused(f"{what} is not YAML", where=str(path), why=why, mend=mend) from None


def _wrong(path: Path, what: str, faults: list[str], mend: str, lines: Lines) -> Misused:
    """All of them by line; a fault's place is the longest that its text begins with."""
    places = {".".join(map(str, place)): line for place, line in lines.items() if place}
    told = sorted((_line(fault, places), fault) for fault in faults)
    why = "\n".join(f"line {line}: {fault}" for line, fault in told)
    return Misused(f"{what} is wrong", where=str(path), why=why, mend=mend)


def _line(fault: str, places: Mapping[str, int]) -> int:
    place = fault.partition(": ")[0]
    while place and place not in places:
        place = place.rpartition(".")[0]
    return places.get(place, 1)
