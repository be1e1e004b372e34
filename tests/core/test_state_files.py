"""Directories of the state: nobody but their owner enters, whichever part made them first."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from connectors.state_files import private_directory


@pytest.mark.parametrize("below", [(), ("webhooks",), ("workers", "one")])
def test_a_state_directory_is_private_whatever_was_made_in_it_first(tmp_path: Path, below: tuple[str, ...]):
    """A journal that came before `postroom up` left `.state` open, and the doctor called that a fault."""
    path = tmp_path / ".state"
    made = private_directory(path.joinpath(*below))
    for each in (made, path):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
    assert private_directory(made) == made, "what is there stays"
