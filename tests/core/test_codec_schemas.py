"""Which schemas the codec takes, and how it reads what another version of one wrote (E2, E6)."""

import pytest

from schemas import ContractMismatch, PlainCodec, SchemaInvalid
from tests.codec_kit import DATE, DECIMAL, one, record


@pytest.mark.parametrize(
    ("type_", "default", "plain"),
    [
        (DATE, 1, "1970-01-02"),
        (["null", "string"], None, None),
        (["string", "null"], "x", "x"),
        ("bytes", "\u00ff", "/w=="),
        (DECIMAL, "\u0001", "0.01"),
        ({"type": "fixed", "name": "F", "size": 1}, "\u0000", "AA=="),
        ({"type": "array", "items": DATE}, [0], ["1970-01-01"]),
        ({"type": "map", "values": "int"}, {"a": 1}, {"a": 1}),
        ("double", 1, 1.0),
        (
            record({"name": "d", "type": DATE}, {"name": "e", "type": "int", "default": 7}, name="I"),
            {"d": 0},
            {"d": "1970-01-01", "e": 7},
        ),
    ],
)
def test_a_missing_field_takes_its_default(type_: object, default: object, plain: object):
    """E3, for JSON; and for Avro written before the field existed; one reader's default is not another's."""
    codec = one(type_, default=default)
    before = record()
    for _ in range(2):
        assert codec.check({}) == {"f": plain}
        read = codec.decode(b"", before)
        assert read == {"f": plain}
        if isinstance(read["f"], list):
            read["f"].append("spoilt")
            codec.check({})["f"].append("spoilt")
        assert codec.decode(codec.encode(codec.check({}))) == {"f": plain}


def test_another_version_of_the_contract_is_read_as_this_one():
    """E2: the writer's schema may be an earlier or a later version; a reader's type is what counts."""
    first = record({"name": "a", "type": "int"}, {"name": "gone", "type": "string"})
    second = record({"name": "new", "type": ["null", DATE], "default": None}, {"name": "a", "type": "int"})
    body = PlainCodec(first).encode({"a": 1, "gone": "x"})
    codec = PlainCodec(second)
    assert codec.decode(body, first) == {"new": None, "a": 1}
    assert codec.decode(codec.encode({"new": "2026-06-01", "a": 1}), second) == {"new": "2026-06-01", "a": 1}
    assert codec.decode(codec.encode({"new": None, "a": 1}), second | {"doc": "other words"}) == {
        "new": None,
        "a": 1,
    }


@pytest.mark.parametrize(
    "writer",
    [
        record({"name": "a", "type": "int"}, name="Other"),
        record({"name": "a", "type": "string"}),
        record({"name": "b", "type": "int"}),
        {"type": "string"},
        {"type": "nonsense"},
        {},
        record({"name": "a", "type": {"type": "array", "items": "null"}}),
    ],
)
def test_a_foreign_writer_is_a_mismatch(writer: dict):
    """E7: another type's schema, or none at all, is not this contract; the second time too."""
    codec = PlainCodec(record({"name": "a", "type": "int"}))
    for _ in range(2):
        with pytest.raises(ContractMismatch):
            codec.decode(b"\x02", writer)


def test_writers_that_are_never_seen_again_are_forgotten():
    """A registry's cache gives the same objects again; a caller that does not must not fill the memory."""
    codec = one("int")
    body = codec.encode({"f": 1})
    for number in range(700):
        assert codec.decode(body, record({"name": "f", "type": "int"}) | {"doc": str(number)}) == {"f": 1}
    assert len(codec._writers) <= 256


def test_an_alias_stands_in_the_namespace_of_its_type():
    """Avro 1.11 "Aliases": a bare alias is in the namespace around it, a dotted one is full."""
    old, new = record(name="Old"), record(name="New")
    body = PlainCodec(old | {"namespace": "x"}).encode({})
    for namespace, alias, readable in (("x", "Old", True), ("y", "x.Old", True), ("y", "Old", False)):
        codec = PlainCodec(new | {"namespace": namespace, "aliases": [alias]})
        if readable:
            assert codec.decode(body, old | {"namespace": "x"}) == {}
        else:
            with pytest.raises(ContractMismatch):
                codec.decode(body, old | {"namespace": "x"})


def test_types_are_found_by_name_and_namespace():
    """Avro 1.11 "Names": a reference is resolved in the namespace around it, a dotted name is full."""
    inner = {
        "type": "record",
        "name": "A",
        "namespace": "x.y",
        "fields": [
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["S"]}},
            {"name": "f", "type": "E"},
        ],
    }
    codec = PlainCodec(
        {
            "type": "record",
            "name": "R",
            "namespace": "p.q",
            "fields": [
                {"name": "a", "type": inner},
                {"name": "b", "type": ["null", "x.y.A"], "default": None},
            ],
        }
    )
    plain = {"a": {"e": "S", "f": "S"}, "b": {"e": "S", "f": "S"}}
    assert codec.decode(codec.encode(plain)) == plain
    with pytest.raises(SchemaInvalid, match=r"p\.q\.E"):
        PlainCodec(
            {
                "type": "record",
                "name": "R",
                "namespace": "p.q",
                "fields": [{"name": "a", "type": inner}, {"name": "b", "type": "E"}],
            }
        )


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ("string", "record"),
        (record({"name": "a", "type": "R"}), "recursive"),
        (record({"name": "a", "type": {"type": "array", "items": "null"}}), "byte"),
        (record({"name": "a", "type": {"type": "array", "items": record(name="E")}}), "byte"),
        (record({"name": "a", "type": ["null", ["string"]]}), "union"),
        (record({"name": "a", "type": ["string", "string"]}), "different"),
        (record({"name": "a", "type": []}), "different"),
        (record({"name": "a", "type": "Nowhere"}), "not defined"),
        (record({"name": "a", "type": "int"}, {"name": "a", "type": "int"}), "twice"),
        (record({"name": "a b", "type": "int"}), "name"),
        (record({"name": "a"}), "type"),
        (record({"name": "a", "type": "int", "default": "x"}), "default"),
        (record({"name": "a", "type": ["null", "int"], "default": 1}), "default"),
        (record({"name": "a", "type": "int", "default": True}), "default"),
        (record({"name": "a", "type": "long", "default": False}), "default"),
        (record({"name": "a", "type": "int", "default": 2**31}), "default"),
        (record({"name": "a", "type": {"type": "long", "logicalType": "date"}}), "plain-JSON"),
        (
            record({"name": "a", "type": {"type": "long", "logicalType": "local-timestamp-millis"}}),
            "plain-JSON",
        ),
        (
            record(
                {"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}}
            ),
            "decimal",
        ),
        (record({"name": "a", "type": {"type": "fixed", "name": "F", "size": 0}}), "size"),
        (
            record(
                {
                    "name": "a",
                    "type": {
                        "type": "fixed",
                        "name": "F",
                        "size": 1,
                        "logicalType": "decimal",
                        "precision": 3,
                    },
                }
            ),
            "fit",
        ),
        (record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["A", "A"]}}), "symbols"),
        (
            record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}}),
            "default",
        ),
        (
            record({"name": "a", "type": {"type": "string", "logicalType": "partial-date"}, "default": "x"}),
            "default",
        ),
    ],
)
def test_a_schema_that_is_not_taken_says_why(schema: object, word: str):
    """E6: what cannot be handled safely is refused before anything is published with it."""
    with pytest.raises(SchemaInvalid, match=word):
        PlainCodec(schema)
