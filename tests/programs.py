"""Programs of the system that tests run: without one a loud skip, but in CI, which installs it, a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Found = TypeVar("Found", str, Path)


def wanted(find: Callable[[], Found | None], what: str, mend: str) -> Found:
    """Return what ``find`` finds, or skip and say how to mend that; in CI, which installs it, fail."""
    found = find()
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not here, and .ci/run installs it; {mend}")
    pytest.skip(f"SKIPPED LOUDLY: {what} is not here; {mend}")


def program(name: str, package: str) -> str:
    """Return where a program on the path is."""
    return wanted(lambda: shutil.which(name), name, f"apt-get install {package}")
