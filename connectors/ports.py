"""Free ports on this machine's loopback."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range from which systems take ports for outgoing connections (from 32768 on Linux, 49152
# elsewhere), so that a passing client never sits where a server wants to start again.
FIRST, LAST = 20_000, 31_999


def is_free(port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int = 0, taken: frozenset[int] = frozenset()) -> int:
    """Return the preferred port if it is free, else another one that is free and not in `taken`."""
    if preferred and preferred not in taken and is_free(preferred):
        return preferred
    while True:
        port = random.randint(FIRST, LAST)  # noqa: S311 - chance is enough to keep two stacks apart
        if port not in taken and is_free(port):
            return port


def listens(port: int, timeout_seconds: float = 0.5) -> bool:
    """Tell whether something accepts connections there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True
