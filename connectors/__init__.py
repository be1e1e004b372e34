"""The outside world: one file per outside thing. May import `schemas`, never the processors' insides.

The door of the local stack; other connectors are imported from their own files, which keeps this one cheap.
What runs the stack is imported when first asked for: every command and worker comes through this door, and
few of them start or look for a stack.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.local_stack import (
        ensure_stack,
        find_stack,
        secret_path,
        stack_status,
        stop_stack,
    )
from connectors.progress import Report, Silent
from connectors.stack import PartStatus, Stack, StackSettings
from connectors.trouble import Misused, NotAllowed, NotYet, Trouble, Unreachable

__all__ = [
    "Misused",
    "NotAllowed",
    "NotYet",
    "PartStatus",
    "Report",
    "Silent",
    "Stack",
    "StackSettings",
    "Trouble",
    "Unreachable",
    "ensure_stack",
    "find_stack",
    "secret_path",
    "stack_status",
    "stop_stack",
]

_OF_THE_LOCAL_STACK = frozenset({"ensure_stack", "find_stack", "secret_path", "stack_status", "stop_stack"})


def __getattr__(name: str) -> object:
    """Fetch from the local stack what is asked of it (PEP 562)."""
    if name not in _OF_THE_LOCAL_STACK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from connectors import local_stack

    return getattr(local_stack, name)
