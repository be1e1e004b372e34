"""What a schema compiles to, held to fastavro and to the specification (E2, E7)."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import ContractMismatch, PlainCodec
from schemas.avro_parse import parse
from schemas.avro_reader import compile_reader
from schemas.avro_source import DEPTH_MAX
from schemas.avro_writer import compile_writer, zigzag
from tests.avro_reference import Fastavro, Refused, Slow, fit
from tests.avro_strategies import plain_values, schemas

MINUS_ONE = b"\x01"
INTS = {"type": "array", "items": "int"}
PAIRS = {"type": "array", "items": {"type": "fixed", "name": "F", "size": 2}}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}


def record(type_: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": type_, **more}]}


def exact(plain: Any) -> str:
    """Equality of JSON: 1, 1.0 and true are three values, and so are 0.0 and -0.0."""
    return json.dumps(plain, sort_keys=True)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_bytes_are_fastavros_and_read_back_the_same(data: st.DataObject):
    """E2: any reader of Avro reads what we write, and we read what it reads."""
    schema = data.draw(schemas())
    plain = data.draw(plain_values(schema))
    codec, reference = PlainCodec(schema), Fastavro(schema)
    body = codec.encode(plain)
    assert body == reference.encode(plain)
    assert exact(codec.decode(body)) == exact(reference.decode(body)) == exact(plain)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_are_read_as_the_specification_says_or_refused(data: st.DataObject):
    """E7 `contract-mismatch`: damage is damage, whatever it would be to a lenient reader."""
    schema = data.draw(schemas())
    codec = PlainCodec(schema)
    body = bytearray(data.draw(st.binary(max_size=20)) or codec.encode(data.draw(plain_values(schema))))
    for place in data.draw(st.lists(st.integers(0, max(0, len(body) - 1)), max_size=4)):
        if body:
            body[place] = data.draw(st.sampled_from([0, 1, 2, 3, 127, 128, 129, 255]) | st.integers(0, 255))
    judge(
        schema,
        bytes(body[: data.draw(st.integers(0, len(body)))]) if data.draw(st.booleans()) else bytes(body),
    )


def judge(schema: Any, body: bytes) -> Any:
    """The value that all three read, or None when it is refused; fastavro may take what is marked lenient."""
    try:
        slow = Slow(body).whole(parse(schema))
    except Refused as refused:
        with pytest.raises(ContractMismatch):
            PlainCodec(schema).decode(body)
        if not refused.lenient:
            with pytest.raises(Exception):  # noqa: B017, PT011 - fastavro raises many kinds
                Fastavro(schema).decode(body)
        return None
    ours = PlainCodec(schema).decode(body)
    assert exact(ours) == exact(slow) == exact(Fastavro(schema).decode(body))
    return ours


@pytest.mark.parametrize(
    ("type_", "body", "value"),
    [
        (INTS, b"\x02\x02\x04\x04\x06\x00", [1, 2, 3]),  # two blocks
        (INTS, b"\x03\x04\x02\x04\x00", [1, 2]),  # a block with its size
        (INTS, b"\x03\x00\x02\x04\x00", [1, 2]),  # a size that is wrong says nothing that we need
        (INTS, b"\x82\x00\x02\x80\x00", [1]),  # more bytes than a number needs
        ({"type": "map", "values": "int"}, b"\x01\x06\x02a\x02\x02\x02a\x04\x00", {"a": 2}),
        ("int", b"\x82\x80\x80\x80\x80\x80\x80\x80\x80\x00", 1),
        ("int", b"\xff\xff\xff\xff\x0f", -(2**31)),
        ("long", b"\xff" * 9 + b"\x01", -(2**63)),
        ("long", b"\xfe" + b"\xff" * 8 + b"\x01", 2**63 - 1),
        ("string", b"\x82\x00a", "a"),
        ("string", b"\x80\x01" + b"a" * 64, "a" * 64),
        (["null", "int"], b"\x82\x00\x02", 1),
        (ENUM, b"\x82\x00", "B"),
        (PAIRS, b"\x04abcd\x00", ["YWI=", "Y2Q="]),
    ],
)
def test_all_ways_to_write_a_value_are_read(type_: Any, body: bytes, value: Any):
    """Avro 1.11: blocks may be many and have a size; a number may take more bytes than it needs."""
    assert judge(record(type_), body) == {"f": value}


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("boolean", b"\x02"),
        ("boolean", b"\xff"),
        ("boolean", b""),
        ("int", b"\x80" * 10 + b"\x00"),  # eleven bytes
        ("int", b"\x80\x80\x80\x80\x10"),
        ("long", b"\xff" * 9 + b"\x03"),  # 65 bits
        ("long", b"\x80"),
        ("float", b"\x00\x00\x00"),
        ("double", b"\x00" * 7),
        ("string", MINUS_ONE + b"a"),
        ("string", b"\x04a"),
        ("string", b"\xfe" + b"\xff" * 8 + b"\x01"),
        ("string", b"\x02\xff"),
        ("string", b"\x06\xed\xa0\x80"),  # half of a surrogate pair
        ("bytes", MINUS_ONE),
        ("bytes", b"\x04a"),
        ({"type": "fixed", "name": "F", "size": 2}, b"a"),
        (["null", "int"], MINUS_ONE),
        (["null", "int"], b"\x04"),
        (["null", "int"], b"\xff" * 9 + b"\x01"),
        (ENUM, MINUS_ONE),
        (ENUM, b"\x04"),
        (INTS, b"\x02\x02"),
        (INTS, b"\x01\x01\x02\x00"),  # a block of -1 bytes
        (INTS, b"\xfe" + b"\xff" * 8 + b"\x01\x02\x00"),
        (INTS, b"\xff" * 9 + b"\x01\x00\x00"),  # -2**63 items
        (PAIRS, b"\xfe" + b"\xff" * 8 + b"\x01ab"),
        (PAIRS, b"\x04abc"),
        ({"type": "map", "values": "null"}, b"\xfe" + b"\xff" * 8 + b"\x01\x00"),
        ({"type": "map", "values": "int"}, b"\x02\x02\xff\x02\x00"),
        ({"type": "map", "values": "int"}, b"\x02\x01\x02\x00"),
        ("int", b"\x02\x00"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_damage_is_refused_at_any_depth_and_costs_nothing(type_: Any, body: bytes, deep: bool):
    """E7: a length, a count or an index is a claim of the sender's; nothing is reserved or looped on it."""
    if deep:
        for _ in range(DEPTH_MAX + 1):
            type_, body = ["null", {"type": "array", "items": type_}], b"\x02\x02" + body + b"\x00"
    assert judge(record(type_), body) is None


@example(DEPTH_MAX - 1, 1)
@example(DEPTH_MAX, 1)
@example(80, 1)
@settings(deadline=None)
@given(st.integers(0, 2 * DEPTH_MAX), st.integers(0, 2))
def test_types_may_lie_as_deep_as_they_like(depth: int, items: int):
    """Python takes twenty loops in each other; a schema takes more."""
    type_: Any = DATE
    plain: Any = "2026-06-01"
    for level in range(depth):
        match level % 4:
            case 0:
                type_, plain = {"type": "array", "items": type_}, [plain] * items
            case 1:
                type_ = ["null", type_]
            case 2:
                type_, plain = {"type": "map", "values": type_}, {str(n): plain for n in range(items)}
            case _:
                type_, plain = record(type_) | {"name": f"R{level}"}, {"f": plain}
    codec = PlainCodec(record(type_) | {"name": "Outer"})
    body = codec.encode({"f": plain})
    assert body == Fastavro(record(type_) | {"name": "Outer"}).encode({"f": plain})
    assert codec.decode(body) == {"f": plain}


DATE = {"type": "int", "logicalType": "date"}


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("null", 0),
        ("boolean", 1),
        ("boolean", None),
        ("int", True),
        ("int", 1.0),
        ("int", "1"),
        ("int", 2**31),
        ("int", -(2**31) - 1),
        ("long", 2**63),
        ("long", -(2**63) - 1),
        ("long", False),
        ("long", 10**400),
        ("double", "1"),
        ("double", True),
        ("double", 10**400),
        ("float", 1e300),
        ("string", b"x"),
        ("string", 1),
        ("string", None),
        ("string", "\ud800"),
        ("bytes", "A"),
        ({"type": "fixed", "name": "F", "size": 2}, "AA=="),
        (ENUM, "C"),
        (ENUM, []),
        (DATE, 1),
        (DATE, "2026-02-30"),
        (DATE, []),
        (INTS, "ab"),
        (INTS, {}),
        (INTS, [1, None]),
        (INTS, None),
        ({"type": "map", "values": "int"}, []),
        ({"type": "map", "values": "int"}, {1: 1}),
        ({"type": "map", "values": "int"}, {"a": "x"}),
        ({"type": "map", "values": "int"}, {"\ud800": 1}),
        (["null", "int"], "x"),
        (["null"], 1),
        (["int", "null"], True),
        (["null", "int", "string"], 1.5),
        (["int", "string"], None),
        (record("int") | {"name": "S"}, {}),
        (record("int") | {"name": "S"}, {"f": 1, "g": 2}),
        (record("int") | {"name": "S"}, {"g": 1}),
        (record("int") | {"name": "S"}, [1]),
        (record("int", default=1) | {"name": "S"}, {}),
        (["null", record("int", default=1) | {"name": "S"}, "string"], {}),
    ],
)
def test_what_is_not_of_the_type_is_not_written(type_: Any, value: Any):
    """E2: nothing is bent into the type, dropped or made up on the way out."""
    with pytest.raises(ContractMismatch):
        PlainCodec(record(type_)).encode({"f": value})


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_fitting_writer_writes_what_fits(data: st.DataObject):
    """V1: as if the value had first been brought into the fields of the schema, each of them nullable."""
    schema = nullable(data.draw(schemas()))
    type_ = parse(schema)
    careless = spoil(data, data.draw(plain_values(schema)))
    try:
        expected = Fastavro(schema).encode(fit(type_, careless))
    except Exception:  # fastavro raises many kinds
        with pytest.raises(Exception):  # noqa: B017, PT011 - and so does the writer; its caller gives it one
            compile_writer(type_, fitting=True)(careless)
    else:
        assert compile_writer(type_, fitting=True)(careless) == expected


def nullable(schema: Any) -> Any:
    """The schema with all fields of its records nullable, as a view has them."""
    match schema:
        case list():
            return [nullable(branch) for branch in schema]
        case {"type": "record", "fields": fields}:
            return schema | {
                "fields": [each | {"type": with_null(nullable(each["type"]))} for each in fields]
            }
        case {"items": items}:
            return schema | {"items": nullable(items)}
        case {"values": values}:
            return schema | {"values": nullable(values)}
        case _:
            return schema


def with_null(type_: Any) -> list[Any]:
    branches = type_ if isinstance(type_, list) else [type_]
    return branches if "null" in branches else ["null", *branches]


def spoil(data: st.DataObject, plain: Any) -> Any:
    """Data with unknown fields in its objects and some of the known ones gone.

    What is unknown is a value of another field, so that in a map it is what the map may hold.
    """
    match plain:
        case dict():
            kept = {key: spoil(data, value) for key, value in plain.items() if data.draw(st.booleans())}
            if plain and data.draw(st.booleans()):
                kept["unknown"] = next(iter(plain.values()))
            return kept
        case list():
            return [spoil(data, item) for item in plain]
        case _:
            return plain


@given(st.integers(-(2**63), 2**63 - 1))
@example(-(2**63))
@example(2**63 - 1)
def test_numbers_are_written_as_the_specification_says(number: int):
    """Avro 1.11: zigzag, seven bits a byte, the lowest first."""
    assert Slow(zigzag(number)).whole(parse("long")) == number
    assert compile_reader(parse("long"))(zigzag(number)) == number
    assert compile_writer(parse("long"))(number) == zigzag(number)


def test_no_text_of_a_schema_becomes_code():
    """The names and symbols of a schema are data, whatever they spell."""
    fields = [{"name": name, "type": "int"} for name in ("b", "p", "n", "return", "v1", "__import__", "len")]
    schema = {"type": "record", "name": "None", "fields": [*fields, {"name": "e", "type": ENUM}]}
    plain = {each["name"]: number for number, each in enumerate(fields)} | {"e": "B"}
    codec = PlainCodec(schema)
    assert codec.decode(codec.encode(plain)) == plain


def test_another_versions_bytes_are_read_as_strictly():
    """E7: fastavro resolves only what our reader of the writer's schema has found whole."""
    before = record("boolean") | {"fields": [{"name": "f", "type": "boolean"}, {"name": "g", "type": ENUM}]}
    codec = PlainCodec(record("boolean"))
    assert codec.decode(b"\x01\x02", before) == {"f": True}
    for body in (b"\x02\x02", b"\x01\x01", b"\x01\x02\x00", b"\x01"):
        with pytest.raises(ContractMismatch):
            codec.decode(body, before)
