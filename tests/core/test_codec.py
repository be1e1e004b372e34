"""Plain JSON to Avro and back (E2, E3)."""

import copy
import io
import json

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ContractMismatch, PlainCodec, frame, unframe
from schemas.avro_parse import parse
from schemas.avro_type import bare_schema
from tests.avro_strategies import plain_values, schemas
from tests.codec_kit import DATE, DECIMAL, MILLIS, one, record


def problems(codec: PlainCodec, data: object) -> tuple[tuple[str, str], ...]:
    with pytest.raises(ContractMismatch) as caught:
        codec.check(data)
    return caught.value.problems


def test_a_null_is_told_whether_the_field_may_be_left_out():
    """E3: null and a missing field are two things, and "expected text" alone tells nobody which is meant."""
    fields = [{"name": "must", "type": "string"}, {"name": "may", "type": "string", "default": ""}]
    codec = PlainCodec({"type": "record", "name": "R", "fields": fields})
    assert problems(codec, {"must": None, "may": None}) == (
        ("$.must", "text, not null"),
        ("$.may", "text, not null; the field may be left out"),
    )
    assert problems(codec, {"must": 7}) == (("$.must", "text, which stands in quotes"),)
    assert problems(codec, {"must": []}) == (("$.must", "text"),)


@settings(max_examples=150)
@given(st.data())
def test_encoding_and_decoding_are_inverse(data: st.DataObject):
    """E2, E3: the same event as JSON and as Avro has the same plain data."""
    schema = data.draw(schemas())
    codec = PlainCodec(schema)
    plain = data.draw(plain_values(schema))
    before = json.dumps(plain, sort_keys=True)
    assert codec.check(plain) == plain
    assert json.dumps(codec.decode(codec.encode(plain)), sort_keys=True) == before
    assert json.dumps(plain, sort_keys=True) == before  # what was given is not changed


@settings(max_examples=100)
@given(st.data())
def test_anybody_with_the_schema_reads_the_same_bytes(data: st.DataObject):
    """E2: plain Avro binary; fastavro without our code writes the same value to the same bytes."""
    schema = data.draw(schemas(wide_unions=False))
    codec = PlainCodec(schema)
    plain = data.draw(plain_values(schema))
    body = codec.encode(plain)
    parsed = fastavro.parse_schema(copy.deepcopy(bare_schema(parse(schema))))
    raw = fastavro.schemaless_reader(io.BytesIO(body), parsed, None)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, raw)
    assert codec.decode(out.getvalue()) == plain


@settings(max_examples=200)
@given(st.data())
def test_damage_is_a_mismatch_and_nothing_else(data: st.DataObject):
    """E7 `contract-mismatch`: whatever the bytes, no other error escapes (it would take a batch with it)."""
    schema = data.draw(schemas())
    codec = PlainCodec(schema)
    body = bytearray(codec.encode(data.draw(plain_values(schema))))
    for place in data.draw(st.lists(st.integers(0, max(0, len(body) - 1)), max_size=4)):
        if body:
            body[place] = data.draw(st.integers(0, 255))
    damaged = bytes(body[: data.draw(st.integers(0, len(body)))]) + data.draw(st.binary(max_size=3))
    try:
        plain = codec.decode(damaged)
    except ContractMismatch:
        return
    assert codec.check(plain) == plain  # what is let through is plain data of the contract


def test_truncated_and_trailing_bytes_are_damage():
    """E7: all of the value and nothing after it."""
    codec = PlainCodec(record({"name": "a", "type": "string"}, {"name": "b", "type": "string"}))
    good = codec.encode({"a": "x", "b": "y"})
    for body in (*(good[:length] for length in range(len(good))), good + b"\x00"):
        with pytest.raises(ContractMismatch):
            codec.decode(body)


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("int", b"\x80\x80\x80\x80\x10"),  # 2**31
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x02"),
        ("string", b"\x02\xff"),
        ("string", b"\x01"),
        ("double", b"\x00\x00\x00\x00\x00\x00\xf8\x7f"),  # not a number
        ("float", b"\x00\x00\x80\x7f"),  # infinity
        (DATE, b"\xfe\xff\xff\xff\x0f"),  # a day after the year 9999
        ({"type": "string", "logicalType": "uuid"}, b"\x02a"),
        ({"type": "string", "logicalType": "partial-date"}, b"\x02a"),
        ({"type": "int", "logicalType": "time-millis"}, b"\x01"),
        (DECIMAL, b"\x08\x7f\xff\xff\xff"),  # ten digits
        (["null", "string"], b"\x04"),
    ],
)
def test_raw_data_that_has_no_plain_form_is_a_mismatch(type_: object, body: bytes):
    """E3: what JSON could not say may not come in through Avro."""
    with pytest.raises(ContractMismatch):
        one(type_).decode(body)


@pytest.mark.parametrize(
    "length",
    [
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\x7f",
        b"\xfd\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
@pytest.mark.parametrize(
    "type_", ["string", "bytes", {"type": "array", "items": "int"}, {"type": "map", "values": "int"}]
)
def test_a_hostile_length_costs_no_memory(type_: object, length: bytes):
    """E7: a length in eight bytes may not reserve what the value (at most 1 MiB) does not hold."""
    with pytest.raises(ContractMismatch):
        one(type_).decode(length + b"\x00" * 100)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("boolean", [True, False], [0, 1, "true", None]),
        ("int", [0, 2**31 - 1, -(2**31)], [True, 1.0, "1", 2**31, -(2**31) - 1, None]),
        ("long", [2**63 - 1, -(2**63)], [2**63, 1.5, False]),
        ("double", [1.5], [True, "1", float("nan"), float("inf"), 10**400]),
        ("float", [1.5], [1e300, True, 10**400, float("-inf")]),
        ("string", ["", "é", "😀"], [1, None, "\ud800", b"x"]),
        ("bytes", ["", "AP8="], ["A", "AP8", "AP-_", "é", 1, "AP8=\n"]),
        ({"type": "fixed", "name": "F", "size": 2}, ["AP8="], ["", "AA==", "AAAA"]),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, ["A"], ["C", "a", 0, None, []]),
        (
            DATE,
            ["2024-02-29", "0001-01-01", "9999-12-31"],
            [
                "2025-02-29",
                "2025-2-01",
                "20250201",
                "2025-W01-1",
                "2025-02-01T00:00:00Z",
                1,
                "0000-01-01",
                " 2025-01-01",
                "",
            ],
        ),
        (
            MILLIS,
            ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00.001Z"],
            ["2026-06-01", "2026-06-01T12:00:00", 1, ""],
        ),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            ["2026-06-01T12:00:00.000001Z"],
            ["2026-06-01"],
        ),
        (
            {"type": "int", "logicalType": "time-millis"},
            ["23:59:59", "00:00:00.001"],
            ["24:00:00", "1:00:00", "12:00", "12:00:00.0001", 1],
        ),
        ({"type": "long", "logicalType": "time-micros"}, ["23:59:59.000001"], ["12:00:00.0000001"]),
        (
            {"type": "string", "logicalType": "uuid"},
            ["00000000-0000-4000-8000-00000000000A"],
            ["0", "{00000000-0000-4000-8000-000000000000}", 1],
        ),
        (
            {"type": "string", "logicalType": "partial-date"},
            ["1986", "1986-05", "1986-05-31"],
            ["86", "1986-13", "1986-02-30", "", "1986-05-31T00:00:00Z", 1986],
        ),
        (
            DECIMAL,
            ["0.00", "-999.99", "12.50"],
            ["1000.00", "1.005", "1e2", "01.00", ".50", "1.", "--1", "+1.00", 1.5, "", "٣.00"],
        ),
        ({"type": "array", "items": "int"}, [[], [1, 2]], [{}, "x", None, [1, "2"]]),
        ({"type": "map", "values": "int"}, [{}, {"a": 1}], [[], {"a": "1"}, {"\ud800": 1}]),
        (["null", "string"], [None, "x"], [1, []]),
        (["null", "int", "string"], [None, 1, "x"], [True, 1.5]),
    ],
)
def test_the_types_of_json_are_strict(type_: object, good: list, bad: list):
    """E3: each type takes what it means, in its one form, and nothing that merely looks like it."""
    codec = one(type_)
    for value in good:
        assert codec.check({"f": value}) == {"f": value}
        assert codec.decode(codec.encode({"f": value})) == {"f": value}
    for value in bad:
        assert all(path.startswith("$.f") for path, _ in problems(codec, {"f": value}))


@pytest.mark.parametrize(
    ("type_", "value", "canonical"),
    [
        ("double", 5, 5.0),
        ("float", 0.1, 0.10000000149011612),
        (MILLIS, "2026-06-01T13:00:00.0009+01:00", "2026-06-01T12:00:00Z"),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            "2026-06-01t13:00:00.1+01:00",
            "2026-06-01T12:00:00.100Z",
        ),
        ({"type": "int", "logicalType": "time-millis"}, "12:00:00.1", "12:00:00.100"),
        (DECIMAL, "12.5", "12.50"),
        (DECIMAL, "-0", "0.00"),
        ([DATE, "string"], "2026-06-01", "2026-06-01"),
        (["double", "long"], 5, 5.0),
        (["long", "double"], 5, 5),
        (["null", DATE, "long"], "2026-06-01", "2026-06-01"),
        (["null", DATE, "long"], 5, 5),
        (["int", "long"], 2**31, 2**31),
        (["float", "double"], 0.5, 0.5),
        (["float", "double"], 0.1, 0.1),
        (["float", "double"], 1e300, 1e300),
        (["long", {"type": "int", "logicalType": "time-millis"}], "12:00:00", "12:00:00"),
    ],
)
def test_a_value_is_kept_in_its_one_form(type_: object, value: object, canonical: object):
    """E3: JSON and Avro of the same event end in the same data, type for type."""
    codec = one(type_)
    plain = codec.check({"f": value})
    assert json.dumps(plain) == json.dumps({"f": canonical})
    assert json.dumps(codec.decode(codec.encode(plain))) == json.dumps(plain)


@pytest.mark.parametrize(
    ("type_", "branch", "value", "plain"),
    [
        (["null", DATE, "long"], 1, 5, "1970-01-06"),
        (["null", DATE, "long"], 2, 5, 5),
        (["int", "long"], 0, 5, 5),
        (["int", "long"], 1, 5, 5),
        (["float", "double"], 1, 0.1, 0.1),
        ([MILLIS, "int"], 0, 0, "1970-01-01T00:00:00Z"),
        ([MILLIS, "int"], 1, 0, 0),
    ],
)
def test_numbers_beside_wider_ones_are_told_apart_by_their_branch(
    type_: list, branch: int, value: float, plain: object
):
    """E2, E3: a publisher's own library says which branch it means, and a day is not a number."""
    kind = type_[branch]
    inner = io.BytesIO()
    fastavro.schemaless_writer(inner, fastavro.parse_schema(copy.deepcopy(kind)), value)
    body = bytes([2 * branch]) + inner.getvalue()
    codec = one(type_)
    assert json.dumps(codec.decode(body)) == json.dumps({"f": plain})
    assert codec.check({"f": plain}) == {"f": plain}


def test_a_default_of_a_number_beside_a_wider_one_is_filled_in():
    """E3: from JSON, and from an older writer that does not know the field."""
    codec = one([DATE, "long"], default=5)
    assert codec.check({}) == {"f": "1970-01-06"}
    assert codec.decode(b"", record()) == {"f": "1970-01-06"}
    for first, default, plain in (
        (record({"name": "g", "type": "string"}, name="In"), {"g": "x"}, {"g": "x"}),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "A", "A"),
    ):
        wide = one([first, "long"], default=default)
        assert wide.check({}) == wide.decode(b"", record()) == {"f": plain}
    nested = one(record({"name": "g", "type": ["int", "long"]}, name="In"), default={"g": 7})
    assert nested.check({}) == {"f": {"g": 7}}
    assert nested.decode(b"", record()) == {"f": {"g": 7}}


@pytest.mark.parametrize(
    ("text", "body"),
    [("0.00", b"\x02\x00"), ("1.27", b"\x02\x7f"), ("1.28", b"\x04\x00\x80"), ("-0.01", b"\x02\xff")],
)
def test_a_decimal_is_a_twos_complement_number_of_as_few_bytes_as_it_needs(text: str, body: bytes):
    """Avro 1.11 "Decimal"."""
    assert one(DECIMAL).encode({"f": text}) == body


NESTED = record(
    {"name": "nino", "type": "string"},
    {
        "name": "address",
        "type": record(
            {"name": "lines", "type": {"type": "array", "items": "string"}},
            {"name": "postcode", "type": "string"},
            {"name": "tags", "type": {"type": "map", "values": "int"}, "default": {}},
            name="A",
        ),
    },
    {"name": "since", "type": ["null", DATE], "default": None},
)


def test_every_problem_is_collected_with_its_place_and_without_its_value():
    """E3; §8: a bad line is named with its reason; values are personal data."""
    found = problems(
        PlainCodec(NESTED),
        {
            "nino": 7,
            "address": {"lines": ["a", 4], "tags": {"Ann Lee": "x"}, "zip": 1},
            "since": "2026-02-30",
            "AB123456C": 1,
        },
    )
    assert [path for path, _ in found] == [
        "$.nino",
        "$.address.lines[1]",
        "$.address.postcode",
        "$.address.tags.*",
        "$.address.zip",
        "$.since",
        "$.?",
    ]
    assert not any(secret in str(found) for secret in ("Ann", "2026-02-30", "AB123456C"))


@pytest.mark.parametrize("data", [None, [], "x", 1, True])
def test_data_that_is_no_object_is_a_mismatch(data: object):
    """E3: the data of an event is an object."""
    assert problems(PlainCodec(NESTED), data) == (("$", "an object"),)


@pytest.mark.parametrize("plain", [{}, {"f": "x"}, {"f": 1, "g": 2}, {"f": None}])
def test_what_was_not_checked_is_not_written(plain: dict):
    """E2: no field is dropped or made up on the way out."""
    with pytest.raises(ContractMismatch):
        one("int").encode(plain)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=20))
def test_framing_is_the_confluent_wire_format(schema_id: int, body: bytes):
    """E2: byte 0, four bytes big-endian, the body."""
    framed = frame(schema_id, body)
    assert framed == b"\x00" + schema_id.to_bytes(4, "big") + body
    assert unframe(framed) == (schema_id, body)


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01x", b"{}"])
def test_what_is_not_framed_is_refused(value: bytes):
    """E2, E7 `undecodable`."""
    with pytest.raises(ValueError, match="wire format"):
        unframe(value)
