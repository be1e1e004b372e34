"""Addresses on whose way nobody can read or change what goes by."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_this_machine(url: str) -> bool:
    """Tell whether a URL leads to this machine itself, whatever stands before or behind its host."""
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


def is_private_line(url: str) -> bool:
    """Tell whether nobody in between can change what comes from there: HTTPS, this machine itself, a file."""
    return "://" not in url or url.lower().startswith("https://") or is_this_machine(url)
