"""Headers of a request as ASGI has them."""

from __future__ import annotations

from collections.abc import Sequence

RawHeaders = Sequence[tuple[bytes, bytes]]


def header(headers: RawHeaders, wanted: bytes) -> list[str]:
    """Return every value under a name."""
    return [value.decode("latin-1") for name, value in headers if name.lower() == wanted]
