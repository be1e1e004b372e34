"""How values with parts are checked as plain JSON, and made of raw Avro data: lists, maps, records and unions
(E3). How they are written stands in `avro_writer`.

The coders of the parts are compiled into those of the whole, so that on an event's way nothing is looked up.
Problems get their place on the way out, which costs nothing while there are none.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import cast

from .avro_type import (
    NARROW,
    NULL,
    Array,
    AvroType,
    Map,
    Primitive,
    Record,
    SchemaInvalid,
    Union,
    branch_name,
    default_json,
    wire_name,
)
from .plain_scalars import Check, Coder, Convert, Problems, scalar_coder

Plain = dict[str, object]
"""The data of an event or a view as plain JSON."""


def coder(type_: AvroType, named_branches: bool) -> Coder:
    """The closures of a type, those of its parts inside; `named_branches`: fastavro tells a union's named
    branch.
    """
    match type_:
        case Array():
            return _array(coder(type_.items, named_branches))
        case Map():
            return _map(coder(type_.values, named_branches))
        case Record():
            return _record(type_, named_branches)
        case Union():
            return _union(type_, named_branches)
        case Primitive(beside_wider=True):
            return _in_a_record(scalar_coder(type_))
        case _:
            return scalar_coder(type_)


def _in_a_record(number: Coder) -> Coder:
    """A number as `bare_schema` disguises it for fastavro."""

    def to_plain(raw: object) -> object:
        inner = cast("dict[str, object]", raw)[NARROW]
        return inner if number.to_plain is None else number.to_plain(inner)

    return Coder(number.check, None, to_plain)


def _array(items: Coder) -> Coder:
    def check(value: object, problems: Problems) -> object:
        if type(value) is not list:
            problems.append(("", "a list"))
            return None
        plain = []
        for index, item in enumerate(value):
            before = len(problems)
            plain.append(items.check(item, problems))
            if len(problems) != before:
                _place(problems, before, f"[{index}]")
                if len(problems) >= PROBLEMS_MAX:
                    break
        return plain

    return Coder(check, None, _each(items.to_plain))


def _each(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda values: [convert(value) for value in values]


def _map(values: Coder) -> Coder:
    def check(value: object, problems: Problems) -> object:
        if type(value) is not dict:
            problems.append(("", "an object"))
            return None
        plain = {}
        for key, item in value.items():
            before = len(problems)
            key_check(key, problems)
            plain[key] = values.check(item, problems)
            if len(problems) != before:
                _place(problems, before, ".*")  # a map's keys are data
                if len(problems) >= PROBLEMS_MAX:
                    break
        return plain

    key_check = scalar_coder(Primitive("string")).check
    return Coder(check, None, _each_value(values.to_plain))


def _each_value(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda values: {key: convert(value) for key, value in values.items()}


PROBLEMS_MAX = 100
"""After so many the rest of a list or a map is not looked at.

INVARIANT: half a million wrong items fit into 1 MiB, and the sentences about them would not fit into memory.
"""

_SHOWABLE_NAME = re.compile(r"[A-Za-z_]{1,64}")


def _record(type_: Record, named_branches: bool) -> Coder:
    coders = {each.name: coder(each.type, named_branches) for each in type_.fields}
    defaults = {
        each.name: _plain_default(coders[each.name], default_json(each.type, each.default))
        for each in type_.fields
        if each.has_default
    }
    checks: tuple[tuple[str, Check], ...] = tuple((name, each.check) for name, each in coders.items())
    plains = tuple((name, each.to_plain) for name, each in coders.items() if each.to_plain is not None)

    def check(value: object, problems: Problems) -> object:
        if type(value) is not dict:
            problems.append(("", "an object"))
            return None
        plain: Plain = {}
        found = 0
        for name, field_check in checks:
            if name in value:
                found += 1
                before = len(problems)
                plain[name] = field_check(value[name], problems)
                if len(problems) != before:
                    if value[name] is None:
                        problems[before:] = [("", _not_null(problems[before][1], name in defaults))]
                    _place(problems, before, "." + name)
            elif name in defaults:
                plain[name] = copy.deepcopy(defaults[name])
            else:
                problems.append(("." + name, "a value; the field is missing and has no default"))
        if found != len(value):
            problems.extend(_unknown(value.keys() - coders.keys()))
        return plain

    def to_plain(raw: Plain) -> Plain:
        for name, convert in plains:
            raw[name] = convert(raw[name])
        return raw

    return Coder(check, None, to_plain if plains else None)


def _not_null(expected: str, has_default: bool) -> str:
    """What stands for a null: the type alone would not say that a field may be left out and not be null."""
    return f"{expected}, not null" + ("; the field may be left out" if has_default else "")


def _unknown(names: set[str]) -> Problems:
    """Unknown fields, by name where the name cannot be an identifier that went astray."""
    shown = sorted({name if _SHOWABLE_NAME.fullmatch(name) else "?" for name in names})
    return [("." + name, "no such field; the contract does not know it") for name in shown[:PROBLEMS_MAX]]


def _plain_default(field_coder: Coder, raw: object) -> object:
    if field_coder.to_plain is None:
        return raw
    try:
        return field_coder.to_plain(copy.deepcopy(raw))
    except ValueError as unfit:
        raise SchemaInvalid("", f"a default does not fit its type: expected {unfit}") from None


def _union(type_: Union, named_branches: bool) -> Coder:
    rest = tuple(branch for branch in type_.branches if branch != NULL)
    with_null = len(rest) < len(type_.branches)
    coders = tuple(coder(branch, named_branches) for branch in rest)
    if with_null and len(rest) == 1:
        return _optional(coders[0], named_branches)
    expected = "one of " + ", ".join(map(branch_name, rest))
    return _wide_union(expected, dict(zip(map(wire_name, rest), coders, strict=True)), with_null)


def _optional(inner: Coder, named_branches: bool) -> Coder:
    """A type or null, the union that nearly every union is.

    With a wide union somewhere in the schema, fastavro tells the branch here too.
    """
    inner_check, inner_plain = inner.check, inner.to_plain

    def check(value: object, problems: Problems) -> object:
        return None if value is None else inner_check(value, problems)

    def to_plain(raw: object) -> object:
        return None if raw is None else cast("Convert", inner_plain)(raw)

    def named_to_plain(raw: object) -> object:
        value = raw[1] if type(raw) is tuple else raw
        return value if value is None or inner_plain is None else inner_plain(value)

    if named_branches:
        return Coder(check, None, named_to_plain)
    return Coder(check, None, to_plain if inner_plain is not None else None)


def _wide_union(expected: str, coders: Mapping[str, Coder], with_null: bool) -> Coder:
    """Several types, unwrapped in JSON: the first one that fits. fastavro tells the branch."""
    first = next(iter(coders), "")

    def check(value: object, problems: Problems) -> object:
        if value is None and with_null:
            return None
        for each in coders.values():
            found: Problems = []
            plain = each.check(value, found)
            if not found:
                return plain
        problems.append(("", expected))
        return None

    def to_plain(raw: object) -> object:
        if raw is None:
            return None
        if type(raw) is tuple:
            name, value = raw
        else:  # a branch without a name of its own, or a default, which is of the first
            name, value = next((name for name in _UNNAMED[type(raw)] if name in coders), first), raw
        convert = coders[name].to_plain
        return value if convert is None else convert(value)

    return Coder(check, None, to_plain)


_UNNAMED: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("int", "long"),
    float: ("float", "double"),
    str: ("string",),
    bytes: ("bytes",),
    list: ("array",),
    dict: ("map",),
}


def _place(problems: Problems, since: int, where: str) -> None:
    """Puts the place before the paths of the problems found there."""
    for index in range(since, len(problems)):
        path, problem = problems[index]
        problems[index] = (where + path, problem)
