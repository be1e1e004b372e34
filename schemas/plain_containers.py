"""How values with parts are checked as plain JSON, and made of raw Avro data: lists, maps, records and unions
(E3). How they are written stands in `avro_writer`.

The coders of the parts are compiled into those of the whole, so that on an event's way nothing is looked up.
Problems get their place on the way out, which costs nothing while there are none.
"""

from __future__ import annotations

import copy
import re
from typing import cast

from .avro_type import (
    NULL,
    Array,
    AvroType,
    Map,
    Primitive,
    Record,
    SchemaInvalid,
    Union,
    branch_name,
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
        case _:
            return scalar_coder(type_)


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
        return plain

    key_check = scalar_coder(Primitive("string")).check
    return Coder(check, None, _each_value(values.to_plain))


def _each_value(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda values: {key: convert(value) for key, value in values.items()}


_SHOWABLE_NAME = re.compile(r"[A-Za-z_]{1,64}")


def _record(type_: Record, named_branches: bool) -> Coder:
    coders = {each.name: coder(each.type, named_branches) for each in type_.fields}
    defaults = {
        each.name: _plain_default(coders[each.name], each.default)
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


def _unknown(names: set[str]) -> Problems:
    """Unknown fields, by name where the name cannot be an identifier that went astray."""
    shown = sorted({name if _SHOWABLE_NAME.fullmatch(name) else "?" for name in names})
    return [("." + name, "no such field; the contract does not know it") for name in shown]


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
    return _wide_union(tuple(map(branch_name, rest)), coders, with_null)


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


def _wide_union(names: tuple[str, ...], coders_of: tuple[Coder, ...], with_null: bool) -> Coder:
    """Several types, unwrapped in JSON: the first one that fits. fastavro tells the branch."""
    plain_of = {name: each.to_plain for name, each in zip(names, coders_of, strict=True)}

    def check(value: object, problems: Problems) -> object:
        if value is None and with_null:
            return None
        for each in coders_of:
            found: Problems = []
            plain = each.check(value, found)
            if not found:
                return plain
        problems.append(("", "one of " + ", ".join(names)))
        return None

    def to_plain(raw: object) -> object:
        if raw is None:
            return None
        name, value = raw if type(raw) is tuple else (_UNNAMED[type(raw)](plain_of), raw)
        convert = plain_of[name]
        return value if convert is None else convert(value)

    return Coder(check, None, to_plain)


def _first_of(*names: str) -> Convert:
    return lambda known: next(name for name in names if name in known)


_UNNAMED: dict[type, Convert] = {
    bool: _first_of("boolean"),
    int: _first_of("int", "long"),
    float: _first_of("float", "double"),
    str: _first_of("string"),
    bytes: _first_of("bytes"),
    list: _first_of("array"),
    dict: _first_of("map"),
}


def _place(problems: Problems, since: int, where: str) -> None:
    """Puts the place before the paths of the problems found there."""
    for index in range(since, len(problems)):
        path, problem = problems[index]
        problems[index] = (where + path, problem)
