"""A YAML file of settings, read strictly into its model: all that is wrong is said at once, by field."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from connectors.trouble import Misused

Model = TypeVar("Model", bound=BaseModel)


def read_settings(path: Path, model: type[Model], what: str, named_by: str, mend: str = "") -> Model:
    """Read the file into the model; Misused.

    `what` it is, `named_by` which setting, and how to `mend` one that is wrong are for a person.
    """
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misused(
            f"{what} cannot be read",
            where=str(path),
            why=error.strerror or type(error).__name__,
            mend=f"name it with {named_by}",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misused(f"{what} is not YAML", where=str(path), why=str(error)) from error
    try:
        return model.model_validate(written)
    except ValidationError as error:
        # INVARIANT: places and rules, never what was written there: somebody may have put a secret in.
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise _wrong(path, what, faults, mend) from None


def refuse_faults(path: Path, what: str, faults: Iterable[str], mend: str = "") -> None:
    """Misused when there is anything wrong."""
    if found := [*faults]:
        raise _wrong(path, what, found, mend)


def _wrong(path: Path, what: str, faults: list[str], mend: str) -> Misused:
    return Misused(f"{what} is wrong", where=str(path), why="; ".join(faults), mend=mend)
