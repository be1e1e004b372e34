"""Causes: which event of a step changed which part of an identifier's fragment (V5, docs/adr/0062)."""

from __future__ import annotations

from collections.abc import Collection

from processors.messages import Cause, Caused, Part, register_parts

NO_EVENT = Cause()
"""The cause of what time alone changes (V8)."""


class Causes:
    """The events of one step of an identifier, in the order in which they took effect.

    An event that was held takes effect when it is let go (I6), so it comes after the answer that let it go.
    """

    def __init__(self) -> None:
        self.cause = NO_EVENT
        """The event that is being folded."""
        self.asking = NO_EVENT
        """The last one by which persons must be asked."""
        self.protective = False
        """Whether the event that is being folded takes something away."""
        self._changed: _Changed | None = None
        self._all: list[_Changed] = []

    def begin(self, cause: Cause) -> None:
        """Fold another event from here on."""
        self.cause, self.protective, self._changed = cause, False, None

    def changed(self, part: Part) -> None:
        """Note that the event changed a part that is no register."""
        self._now().parts.append(part)

    def changed_register(self, key: str) -> None:
        """Note that the event changed a register, by its name."""
        self._now().registers.append(key)

    def told(self, sections: Collection[str], registers: Collection[str]) -> tuple[Cause, tuple[Caused, ...]]:
        """Return the last cause of what is sent and, if there are several, what came of which.

        ``sections`` and ``registers`` are those that changed in the end; who changed another has changed
        nothing.
        """
        if len(self._all) == 1:
            return self._all[0].cause, ()
        found: list[Caused] = []
        for each in self._all:
            attributes = tuple(register_parts(key)[0] for key in each.registers if key in registers)
            parts = tuple(part for part in each.parts if part[0] in sections) if each.parts else ()
            if attributes or parts:
                found.append(Caused(each.cause, each.protective, attributes, parts))
        if not found:
            return self.cause, ()
        return found[-1].cause, tuple(found) if len(found) > 1 else ()

    def _now(self) -> _Changed:
        """What the event that is being folded has changed so far."""
        if self._changed is None:
            self._changed = _Changed(self.cause, self.protective)
            self._all.append(self._changed)
        return self._changed


class _Changed:
    """What one event changed."""

    __slots__ = ("cause", "parts", "protective", "registers")

    def __init__(self, cause: Cause, protective: bool) -> None:
        self.cause, self.protective = cause, protective
        self.registers: list[str] = []
        self.parts: list[Part] = []
