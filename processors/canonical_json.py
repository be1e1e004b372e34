"""RFC 8785 JSON: the one form in which stages compare, keep and send what a department stated (R2)."""

from __future__ import annotations

from typing import Any

import msgspec
import rfc8785

sorted_json = msgspec.json.Encoder(order="sorted").encode
"""RFC 8785 already where a contract's `plain_form` says so."""


def canonical_json(value: Any, plain: bool = False) -> bytes:
    """Return the RFC 8785 form of plain data (R2).

    Sorted compact JSON is that form already where there are only texts, integers, booleans and nulls under
    ASCII names, which ``plain`` asserts; the reference implementation, slower, does the rest.
    """
    return sorted_json(value) if plain or _is_plain(value) else _reference_form(value)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return True
    if kind is dict:
        return all(key.isascii() and _is_plain(item) for key, item in value.items())
    return kind is list and all(map(_is_plain, value))


def _reference_form(value: Any) -> bytes:
    """RFC 8785, leaf by leaf; an integer beyond 2^53, for which it has no form, keeps all its digits."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        written = (rfc8785.dumps(name) + b":" + _reference_form(item) for name, item in members)
        return b"{" + b",".join(written) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_reference_form, value)) + b"]"
    if type(value) is int:
        return str(value).encode()
    return rfc8785.dumps(value)
