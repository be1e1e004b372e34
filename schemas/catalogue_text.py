"""New rows in the YAML files beside the contracts (E5), without touching what people wrote there: no comment
is lost and no line moves.

A row is put where such rows usually stand, and the result is read again. If it does not say exactly what the
file said and the row besides, nothing is added: a person has laid the file out in another way and adds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from . import yaml_lines
from .catalogue import Attribute, Pair
from .identifiers import DeclaredScheme

_INDENT = re.compile(r"^( +)[^\s#]", re.MULTILINE)


class NotAdded(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A file laid out so that a row cannot be added to it by rule."""


def attribute_lines(attribute: Attribute, indent: str = "  ") -> str:
    """An attribute's row of `attributes.yaml`."""
    return _lines(
        attribute.name,
        {
            "category": attribute.category,
            "description": json.dumps(attribute.description, ensure_ascii=False),
            "sensitivity": attribute.sensitivity,
            "items": json.dumps(attribute.items),
            "trust": f"[{', '.join(attribute.trust)}]",
        },
        indent,
    )


def scheme_lines(name: str, scheme: DeclaredScheme, indent: str = "  ") -> str:
    """A scheme's row of `identifiers.yaml`."""
    return _lines(
        name,
        {
            "description": json.dumps(scheme.description, ensure_ascii=False),
            "owner": scheme.owner,
            "pattern": json.dumps(scheme.pattern, ensure_ascii=False),
            "exclusive": json.dumps(scheme.exclusive),
        },
        indent,
    )


def pair_lines(owner: str, pairs: Iterable[Pair]) -> str:
    """An owner's row of `authority.yaml`, or what has to come into it."""
    return f"{owner}: [{_written(pairs)}]\n"


def with_attributes(text: str, attributes: Iterable[Attribute]) -> str:
    """`attributes.yaml` with attributes that it lacked; NotAdded."""
    indent = _indent(text)
    return _with_rows(text, "attributes", {a.name: attribute_lines(a, indent) for a in attributes})


def with_schemes(text: str, schemes: Mapping[str, DeclaredScheme]) -> str:
    """`identifiers.yaml` with schemes that it lacked; NotAdded."""
    indent = _indent(text)
    return _with_rows(text, "schemes", {name: scheme_lines(name, s, indent) for name, s in schemes.items()})


def with_pairs(text: str, missing: Mapping[str, Iterable[Pair]]) -> str:
    """`authority.yaml` with pairs that it lacked; NotAdded."""
    for owner, pairs in missing.items():
        text = _with_pairs(text, owner, tuple(pairs))
    return text


def _with_rows(text: str, key: str, rows: Mapping[str, str]) -> str:
    before = _mapping(text).get(key) or {}
    head = _ended(text) if text.strip() else f"{key}:\n"
    after = head + "".join(rows.values())
    expected = dict(before) if isinstance(before, dict) else {}
    for name, lines in rows.items():
        expected |= _mapping(lines) if name not in expected else {}
    if _mapping(after) != {key: expected}:
        raise NotAdded("the file is laid out in another way")
    return after


def _with_pairs(text: str, owner: str, pairs: tuple[Pair, ...]) -> str:
    before = _mapping(text)
    row = re.compile(rf"^({re.escape(owner)}:[ ]*\[)(.*)(\][ ]*(?:#.*)?)$", re.MULTILINE)
    if owner not in before:
        after = _ended(text) + pair_lines(owner, pairs)
    else:
        after = row.sub(lambda m: f"{m[1]}{m[2]}{', ' if m[2].strip() else ''}{_written(pairs)}{m[3]}", text)
    known = before.get(owner) or []
    expected = before | {owner: [*(known if isinstance(known, list) else []), *map(list, pairs)]}
    if _mapping(after) != expected:
        raise NotAdded("the file is laid out in another way")
    return after


def _mapping(text: str) -> dict[str, object]:
    try:
        data, _ = yaml_lines.load(text)
    except ValueError as error:
        raise NotAdded(str(error)) from None
    if data is not None and not isinstance(data, dict):
        raise NotAdded("the file holds something else than names")
    return data or {}


def _lines(name: str, row: Mapping[str, str], indent: str) -> str:
    return f"{indent}{name}:\n" + "".join(f"{indent * 2}{key}: {value}\n" for key, value in row.items())


def _written(pairs: Iterable[Pair]) -> str:
    return ", ".join(f"[{low}, {high}]" for low, high in pairs)


def _indent(text: str) -> str:
    found = _INDENT.search(text)
    return found[1] if found else "  "


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
