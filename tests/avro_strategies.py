"""Hypothesis strategies: Avro schemas as Postroom takes them, and plain JSON that fits them."""

import base64
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.avro_parse import parse
from schemas.avro_type import Array, Enum, Fixed, Map, Primitive, Record, Union
from schemas.times import format_instant, format_micros

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
NAMES = st.sampled_from(["a", "b", "c", "d"])
PRIMITIVES: list[Any] = [
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "bytes",
    "string",
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "string", "logicalType": "partial-date"},
    {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
]


@st.composite
def schemas(draw: st.DrawFn, wide_unions: bool = True) -> Any:
    """A record schema; named types carry a running number, so no name is defined twice."""
    number = iter(range(1000))

    def type_(depth: int, in_union: bool = False) -> Any:
        kinds = ["primitive", "primitive", "enum", "fixed"]
        if depth < 3:
            kinds += ["record", "array", "map"]
            if not in_union:
                kinds += ["optional"] + (["union"] if wide_unions else [])
        match draw(st.sampled_from(kinds)):
            case "primitive":
                return draw(st.sampled_from(PRIMITIVES))
            case "enum":
                return {
                    "type": "enum",
                    "name": f"E{next(number)}",
                    "symbols": ["X", "Y", "Z"][: draw(st.integers(1, 3))],
                }
            case "fixed":
                return {"type": "fixed", "name": f"F{next(number)}", "size": draw(st.integers(1, 3))}
            case "array":
                return {"type": "array", "items": type_(depth + 1)}
            case "map":
                return {"type": "map", "values": type_(depth + 1)}
            case "optional":
                return ["null", type_(depth + 1, True)]
            case "union":
                record_1, record_2 = record(depth + 1), record(depth + 1)
                return draw(
                    st.sampled_from(
                        [
                            ["null", "string", "long", "boolean"],
                            [PRIMITIVES[7], "string"],
                            ["null", PRIMITIVES[7], "long"],
                            ["long", "int", "double", "float"],
                            ["null", record_1, record_2],
                            ["string", record_1, {"type": "array", "items": "string"}],
                            ["double", {"type": "map", "values": "int"}, "bytes"],
                        ]
                    )
                )
            case _:
                return record(depth + 1)

    def record(depth: int) -> Any:
        names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
        name = f"R{next(number)}"
        return {"type": "record", "name": name, "fields": [{"name": n, "type": type_(depth)} for n in names]}

    return record(0)


def plain_values(schema: Any) -> st.SearchStrategy[Any]:
    """Plain JSON in its one form, as `check` returns it."""
    return _values(parse(schema))


def _days(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda number: (date(1970, 1, 1) + timedelta(days=number)).isoformat())


def _bytes(size: int | None = None) -> st.SearchStrategy[str]:
    raw = st.binary(max_size=5) if size is None else st.binary(min_size=size, max_size=size)
    return raw.map(lambda value: base64.b64encode(value).decode())


def _decimal(precision: int, scale: int) -> st.SearchStrategy[str]:
    most = 10**precision - 1
    return st.integers(-most, most).map(
        lambda n: f"{'-' if n < 0 else ''}{abs(n) // 10**scale}.{abs(n) % 10**scale:0{scale}d}"
    )


def in_a_wider_one(branch: Any, branches: Any) -> bool:
    """Whether another branch that stands earlier takes all its values first, so that they have its form."""
    before = [other.name for other in branches[: branches.index(branch)] if isinstance(other, Primitive)]
    wider = {"int": {"long", "double"}, "float": {"double"}, "long": {"double"}}
    return isinstance(branch, Primitive) and bool(wider.get(branch.name, set()) & set(before))


_FLOAT = st.floats(allow_nan=False, allow_infinity=False, width=32)
_LOGICAL: dict[str, st.SearchStrategy[Any]] = {
    "date": _days(-700_000, 2_900_000),
    "time-millis": st.integers(0, 86_399_999).map(lambda ms: format_micros(ms * 1000)[11:-1]),
    "time-micros": st.integers(0, 86_399_999_999).map(lambda us: format_micros(us)[11:-1]),
    "timestamp-millis": st.integers(-(10**13), 10**14).map(format_instant),
    "timestamp-micros": st.integers(-(10**16), 10**17).map(format_micros),
    "uuid": st.uuids().map(str),
    "partial-date": st.sampled_from(["1986", "1986-05", "1986-05-31"]),
}
_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": _FLOAT,
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bytes": _bytes(),
    "string": TEXT,
}


def _values(type_: Any) -> st.SearchStrategy[Any]:
    match type_:
        case Primitive(logical="decimal", precision=precision, scale=scale):
            return _decimal(precision, scale)
        case Primitive(name=name, logical=logical):
            return _PLAIN[name] if logical is None else _LOGICAL[logical]
        case Enum(symbols=symbols):
            return st.sampled_from(symbols)
        case Fixed(size=size):
            return _bytes(size)
        case Array(items=items):
            return st.lists(_values(items), max_size=3)
        case Map(values=values):
            return st.dictionaries(TEXT, _values(values), max_size=3)
        case Union(branches=branches):
            return st.one_of([_values(branch) for branch in branches if not in_a_wider_one(branch, branches)])
        case Record(fields=fields):
            return st.fixed_dictionaries({each.name: _values(each.type) for each in fields})
    raise AssertionError(type_)
