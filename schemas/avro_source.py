"""Python source of one function in the making: how a schema becomes straight code (docs/adr/0011).

A schema is known long before its data. Written out as one function, without a call per field, reading takes
about two thirds of what a chain of closures takes. What is data of a schema comes in as an object under a
name of ours or as a `repr`: no text of a schema is ever code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

DEPTH_MAX = 6
"""Python takes twenty loops in each other: what lies deeper is a function of its own."""


class Source:
    """The lines of a function, and the objects that its names stand for."""

    def __init__(self, arguments: str, objects: Mapping[str, object]) -> None:
        self._lines = [f"def written({arguments}):"]
        self._objects = dict(objects)
        self._names = 0
        self.depth = 1

    def add(self, *lines: str) -> None:
        """Add lines at the depth reached."""
        self._lines.extend("    " * self.depth + line for line in lines)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add a head, and what is added meanwhile below it."""
        self.add(head)
        self.depth += 1
        yield
        self.depth -= 1

    def name(self) -> str:
        """A name that nothing else has."""
        self._names += 1
        return f"v{self._names}"

    def constant(self, thing: object) -> str:
        """A name for an object from outside."""
        name = self.name()
        self._objects[name] = thing
        return name

    def function(self) -> Callable[..., object]:
        """The function."""
        namespace = dict(self._objects)
        code = compile("\n".join(self._lines), "<an Avro schema>", "exec")
        exec(code, namespace)  # noqa: S102 - all of it is ours: see above
        return cast("Callable[..., object]", namespace["written"])
