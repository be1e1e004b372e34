"""What is compiled, and where a build lies: under a digest of its sources and of the interpreter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

RECIPE = 1
"""One more whenever the same source is compiled in another way (`postroom/compiled/recipe.py`)."""
PACKAGE = "processors"
MODULES: tuple[str, ...] = (
    "bearing",
    "canonical_json",
    "causes",
    "concern",
    "consent",
    "decision",
    "disclosure",
    "disclosure_log",
    "fragment",
    "golden",
    "identity",
    "intake",
    "meaning",
    "opened",
    "record",
    "register",
    "settlement",
    "view",
)
"""What folds and decides. Not what only declares data or waits for Kafka, which would get no quicker."""


@dataclass(frozen=True, slots=True)
class Place:
    """A build's directory, whether it is there or not."""

    directory: Path

    def file(self, module: str) -> Path:
        """Where a module's machine code lies."""
        return self.directory / PACKAGE / f"{module}{EXTENSION_SUFFIXES[0]}"

    @property
    def built(self) -> bool:
        """Whether all of it is there; part of a build is none."""
        return all(self.file(module).is_file() for module in MODULES)


def sources() -> dict[str, bytes]:
    """The source of each module, without importing one of them."""
    spec = find_spec(PACKAGE)
    assert spec is not None  # noqa: S101 - it is installed with us
    assert spec.submodule_search_locations  # noqa: S101
    package = Path(spec.submodule_search_locations[0])
    return {module: (package / f"{module}.py").read_bytes() for module in MODULES}


def place_of(cache_dir: Path, content: dict[str, bytes] | None = None) -> Place:
    """Where a build of this source, for this interpreter, lies or would lie."""
    content = sources() if content is None else content
    digest = hashlib.sha256(f"{RECIPE}\0{EXTENSION_SUFFIXES[0]}".encode())
    for module, text in sorted(content.items()):
        digest.update(b"\0%s\0%d\0%s" % (module.encode(), len(text), text))
    return Place(cache_dir / "compiled" / digest.hexdigest()[:16])
