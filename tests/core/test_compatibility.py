"""FULL_TRANSITIVE, offline (E6), against what fastavro really reads."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas import ContractMismatch, PlainCodec
from schemas.avro_parse import parse
from schemas.compatibility import full_obstacles, obstacles
from tests.avro_strategies import PRIMITIVES, plain_values, schemas

DATE = {"type": "int", "logicalType": "date"}


def record(*fields: dict, **more: object) -> dict:
    return {"type": "record", "name": "R", "fields": list(fields)} | more


def f(name: str, type_: object, **more: object) -> dict:
    return {"name": name, "type": type_, **more}


def enum(*symbols: str, **more: object) -> dict:
    return {"type": "enum", "name": "E", "symbols": list(symbols)} | more


def obstructing(new: dict, old: dict) -> list:
    return full_obstacles(parse(new), parse(old))


def reads(reader: dict, writer: dict) -> bool:
    return not list(obstacles(parse(reader), parse(writer)))


READING = [
    # reader, writer, whether the reader reads everything
    (record(f("a", "int")), record(f("a", "int")), True),
    (record(f("a", "long")), record(f("a", "int")), True),
    (record(f("a", "int")), record(f("a", "long")), False),
    (record(f("a", "double")), record(f("a", "float")), True),
    (record(f("a", "float")), record(f("a", "double")), False),
    (record(f("a", "float")), record(f("a", "long")), True),
    (record(f("a", "string")), record(f("a", "bytes")), False),
    (record(f("a", "bytes")), record(f("a", "string")), False),
    (record(f("a", "int")), record(f("a", DATE)), False),
    (record(f("a", DATE)), record(f("a", "int")), False),
    (record(f("a", "long")), record(f("a", DATE)), False),
    (record(f("a", "string")), record(f("a", {"type": "string", "logicalType": "partial-date"})), False),
    (record(), record(f("a", "int")), True),
    (record(f("a", "int")), record(), False),
    (record(f("a", "int", default=1)), record(), True),
    (record(f("b", "int", aliases=["a"])), record(f("a", "int")), True),
    (record(f("b", "int")), record(f("a", "int")), False),
    (record(name="S"), record(), False),
    (record(name="S", aliases=["R"]), record(), True),
    (record(namespace="x"), record(), False),
    (record(f("a", ["null", "int"])), record(f("a", "int")), True),
    (record(f("a", "int")), record(f("a", ["null", "int"])), False),
    (record(f("a", "int")), record(f("a", ["int"])), True),
    (record(f("a", ["int", "null"])), record(f("a", ["null", "int"])), True),
    (record(f("a", ["null", "string"])), record(f("a", ["null", "string", "int"])), False),
    (record(f("a", ["null", "double"])), record(f("a", "int")), True),
    (record(f("a", ["null", "int", "long"])), record(f("a", ["null", "int", "long"])), True),
    (record(f("a", ["int", "long"])), record(f("a", "long")), True),
    (record(f("a", ["int", "long"])), record(f("a", "int")), True),
    (record(f("a", [DATE, "long"])), record(f("a", DATE)), False),
    (record(f("a", "long")), record(f("a", ["int", "long"])), False),
    (record(f("a", ["double", "float"])), record(f("a", ["float", "double"])), True),
    (record(f("a", enum("A", "B"))), record(f("a", enum("A"))), True),
    (record(f("a", enum("A"))), record(f("a", enum("A", "B"))), False),
    (record(f("a", enum("A", default="A"))), record(f("a", enum("A", "B"))), True),
    (record(f("a", enum("A", name="F"))), record(f("a", enum("A"))), False),
    (
        record(f("a", {"type": "fixed", "name": "F", "size": 2})),
        record(f("a", {"type": "fixed", "name": "F", "size": 1})),
        False,
    ),
    (
        record(f("a", {"type": "array", "items": "long"})),
        record(f("a", {"type": "array", "items": "int"})),
        True,
    ),
    (
        record(f("a", {"type": "array", "items": "int"})),
        record(f("a", {"type": "array", "items": "string"})),
        False,
    ),
    (
        record(f("a", {"type": "map", "values": "int"})),
        record(f("a", {"type": "map", "values": "string"})),
        False,
    ),
    (
        record(f("a", {"type": "map", "values": "int"})),
        record(f("a", {"type": "array", "items": "int"})),
        False,
    ),
    (
        record(f("a", record(f("b", "int"), f("c", "int", default=0), name="I"))),
        record(f("a", record(f("b", "int"), name="I"))),
        True,
    ),
    (
        record(f("a", record(f("b", "int"), f("c", "int"), name="I"))),
        record(f("a", record(f("b", "int"), name="I"))),
        False,
    ),
    (
        record(f("a", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1})),
        record(f("a", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2})),
        False,
    ),
]


@pytest.mark.parametrize(("reader", "writer", "readable"), READING)
def test_avros_resolution_rules_one_by_one(reader: dict, writer: dict, readable: bool):
    """Avro 1.11 "Schema Resolution", and where Postroom is stricter because plain JSON would change."""
    assert reads(reader, writer) is readable


@pytest.mark.parametrize(
    ("new", "old", "path", "word"),
    [
        (record(f("a", "int"), f("b", "int")), record(f("a", "int")), "b", "no default"),
        (record(), record(f("a", "int")), "a", "earlier readers"),
        (record(f("a", "long")), record(f("a", "int")), "a", "long became int"),
        (
            record(f("a", record(f("b", DATE), name="I"))),
            record(f("a", record(f("b", "int"), name="I"))),
            "a.b",
            "int became date",
        ),
        (
            record(f("a", {"type": "array", "items": "int"})),
            record(f("a", {"type": "array", "items": "string"})),
            "a[]",
            "string became int",
        ),
    ],
)
def test_an_obstacle_says_where_and_why(new: dict, old: dict, path: str, word: str):
    """E6: with file, field and reason."""
    found = full_obstacles(parse(new), parse(old))
    assert any(where == path and word in why for where, why in found)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_called_readable_fastavro_reads(data: st.DataObject):
    """E6: when no obstacle is named, every value of the one schema is read with the other."""
    writer = data.draw(schemas(), "writer")
    reader = data.draw(changed(writer), "reader")
    assume(reads(reader, writer))
    plain = data.draw(plain_values(writer), "plain")
    read = PlainCodec(reader).decode(PlainCodec(writer).encode(plain), writer)
    assert read.keys() == {each["name"] for each in reader["fields"]}
    untouched = {each["name"] for each in reader["fields"] if each in writer["fields"]}
    assert all(read[name] == plain[name] for name in untouched)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_fastavro_cannot_read_is_called_an_obstacle(data: st.DataObject):
    """E6, the other half: whenever reading fails, the checker had said so."""
    writer = data.draw(schemas(), "writer")
    reader = data.draw(changed(writer), "reader")
    plain = data.draw(plain_values(writer), "plain")
    try:
        PlainCodec(reader).decode(PlainCodec(writer).encode(plain), writer)
    except ContractMismatch:
        assert not reads(reader, writer)


@settings(max_examples=100)
@given(schemas())
def test_a_schema_is_compatible_with_itself(schema: dict):
    """E6: reflexive."""
    assert full_obstacles(parse(schema), parse(schema)) == []


def test_a_default_that_was_there_stays():
    """E6, ADR 0077: whoever said nothing of the field would have said another thing."""
    first = record()
    second = record(f("a", "string", default="none"))
    third = record(f("a", "string", default="some"))
    assert obstructing(second, first) == obstructing(second, second) == []
    [(path, why)] = obstructing(third, second)
    assert path == "a"
    assert "the default changed" in why
    assert (
        obstructing(record(f("a", "string", default="none"), f("b", ["null", "int"], default=None)), second)
        == []
    )


@pytest.mark.parametrize(
    "around",
    [
        lambda kind: kind,
        lambda kind: ["null", kind],
        lambda kind: {"type": "array", "items": kind},
        lambda kind: {"type": "map", "values": kind},
        lambda kind: record(f("b", kind), name="I"),
    ],
    ids=["alone", "union", "array", "map", "record"],
)
def test_a_symbol_that_was_there_stays_whatever_the_default(around: Callable[[object], object]):
    """E6, ADR 0077: what was said with it would be read as the default, another thing than was said."""
    old = record(f("a", around(enum("ADULT", "OTHER", default="ADULT"))))
    renamed = record(f("a", around(enum("ADULT", "SENIOR", default="SENIOR"))))
    more = record(f("a", around(enum("ADULT", "OTHER", "SENIOR", default="ADULT"))))
    assert full_obstacles(parse(renamed), parse(old))
    assert full_obstacles(parse(more), parse(old)) == []
    assert full_obstacles(parse(old), parse(more))


def test_a_symbol_that_is_gone_is_told_with_what_it_would_be_read_as():
    """E6: whoever renames a symbol hears what becomes of what is stored."""
    old, new = enum("ADULT", "OTHER", default="ADULT"), enum("ADULT", "SENIOR", default="SENIOR")
    found = full_obstacles(parse(record(f("a", new))), parse(record(f("a", old))))
    assert found == [("a", "the symbols OTHER are gone, and would be read as SENIOR (reading earlier data)")]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_was_said_already_is_read_as_it_was_said(data: st.DataObject):
    """E6, ADR 0077: in a compatible version a field with symbols keeps the value that was written."""
    old = data.draw(schemas(), "old")
    new = data.draw(changed(old), "new")
    assume(not full_obstacles(parse(new), parse(old)))
    plain = data.draw(plain_values(old), "plain")
    read = PlainCodec(new).decode(PlainCodec(old).encode(plain), old)
    kept = {each["name"] for each in new["fields"] if _is_enum(each)} & {
        each["name"] for each in old["fields"]
    }
    assert all(read[name] == plain[name] for name in kept)


def _is_enum(field: dict) -> bool:
    return isinstance(field["type"], dict) and field["type"]["type"] == "enum"


@st.composite
def changed(draw: st.DrawFn, schema: dict) -> dict:
    """The schema after a few edits of its top fields, as departments make them."""
    made = copy.deepcopy(schema)
    fields = made["fields"]
    for _ in range(draw(st.integers(0, 3))):
        edit = draw(
            st.sampled_from(
                ["add", "add with default", "remove", "retype", "nullable", "swap", "symbols", "alias"]
            )
        )
        each = draw(st.sampled_from(fields)) if fields else None
        unused = [name for name in "efgh" if all(name != other["name"] for other in fields)]
        match edit:
            case "add" if unused:
                fields.append({"name": unused[0], "type": draw(st.sampled_from(PRIMITIVES))})
            case "add with default" if unused:
                fields.append(
                    {"name": unused[0], "type": ["null", draw(st.sampled_from(PRIMITIVES))], "default": None}
                )
            case "remove" if each is not None and len(fields) > 1:
                fields.remove(each)
            case "retype" if each is not None:
                each.pop("default", None)
                each["type"] = draw(st.sampled_from(PRIMITIVES))
            case "nullable" if each is not None and not isinstance(each["type"], list):
                each["type"] = ["null", each["type"]]
            case "swap":
                fields.reverse()
            case "symbols" if each is not None and _is_enum(each):
                each["type"] = (
                    each["type"] | {"symbols": ["X", "NEW"]} | draw(st.sampled_from([{}, {"default": "X"}]))
                )
            case "alias" if each is not None and unused:
                each.update(aliases=[each["name"]], name=unused[0])
    return made
