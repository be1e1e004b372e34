"""The outside world: one file per outside thing. May import `schemas`, never the processors' insides.

The door of the local stack; other connectors are imported from their own files, which keeps this one cheap.
"""

from connectors.local_stack import (
    ensure_stack,
    find_stack,
    secret_path,
    stack_status,
    stop_stack,
)
from connectors.progress import Report, Silent
from connectors.stack import PartStatus, Stack, StackSettings
from connectors.trouble import Misused, Trouble, Unreachable

__all__ = [
    "Misused",
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
