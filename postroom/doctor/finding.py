"""What a check says: how bad, what, where, why it matters, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. A note is honest and fails nothing."""

    FAULT = "fault"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; nobody's data and no secret is in it."""

    severity: Severity
    what: str
    where: str
    why: str
    mend: str
    check: str = ""
    """Set by whoever runs the check."""

    @property
    def fails(self) -> bool:
        """Whether the command ends with exit 1 for it."""
        return self.severity is not Severity.NOTE


def fault(what: str, where: str, why: str, mend: str) -> Finding:
    """A promise does not hold, or will not when it is needed."""
    return Finding(Severity.FAULT, what, where, why, mend)


def warning(what: str, where: str, why: str, mend: str) -> Finding:
    """It works and will not for long, or costs more than it should."""
    return Finding(Severity.WARNING, what, where, why, mend)


def note(what: str, where: str, why: str, mend: str) -> Finding:
    """Somebody should know, and may want it so."""
    return Finding(Severity.NOTE, what, where, why, mend)
