"""What a cell becomes, by the contract's type and what a mapping says: strictly, and no value in a word."""

from __future__ import annotations

from functools import cache

import pytest

from producers.mapped.conversions import CannotConvert, Unfit, converter
from producers.mapped.forms import CellForm
from schemas import AvroType, Schemes
from schemas.avro_parse import parse

NUMBERS = {"thousands": ",", "decimal": "."}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
DAY = {"type": "int", "logicalType": "date"}
MOMENT = {"type": "long", "logicalType": "timestamp-millis"}
TEXTS = {"type": "array", "items": "string"}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}


@cache
def schemes() -> Schemes:
    return Schemes({})


def made(schema: object, cell: object, **form: object) -> object:
    type_: AvroType = parse(schema)
    return converter(CellForm.model_validate({"column": "x"} | form), type_, schemes())(cell)


@pytest.mark.parametrize(
    ("schema", "form", "cell", "value"),
    [
        ("string", {}, "Amina", "Amina"),
        ("string", {}, 7, "7"),
        (["null", "int"], {}, "-12", -12),
        ("long", {}, 12, 12),
        ("long", NUMBERS, "1,234,567", 1_234_567),
        ("double", {}, "1.5", 1.5),
        ("double", {"decimal": ",", "thousands": "."}, "1.234,5", 1234.5),
        (DECIMAL, NUMBERS, "-1,234.50", "-1234.50"),
        (DECIMAL, {}, "+007", "7"),
        ("boolean", {}, "TRUE", True),
        ("boolean", {"values": {"J": True, "N": False}}, "N", False),
        ("boolean", {}, True, True),
        (COLOUR, {}, "RED", "RED"),
        (COLOUR, {"values": {"1": "BLUE"}}, 1, "BLUE"),
        (["null", COLOUR], {"values": {"-": None}}, "-", None),
        (DAY, {}, "2026-06-01", "2026-06-01"),
        (DAY, {"date": "%d.%m.%Y"}, "1.6.2026", "2026-06-01"),
        (MOMENT, {"timestamp": "%Y%m%d%H%M", "zone": "UTC"}, "202606011230", "2026-06-01T12:30:00Z"),
        ({"type": "string", "logicalType": "partial-date"}, {"date": "%d/%m/%Y"}, "01/06/1990", "1990-06-01"),
        (TEXTS, {"split": "/"}, "a / b//", ["a", "b"]),
        ({"type": "array", "items": "int"}, {"split": ";"}, "1;2", [1, 2]),
        (TEXTS, {}, ["a"], ["a"]),
        ("string", {"scheme": "nino"}, "nc 00 00 17 a", "nino:NC000017A"),
    ],
)
def test_a_cell_becomes_what_the_contract_wants(
    schema: object, form: dict[str, object], cell: object, value: object
):
    """Text of CSV, or a value of JSON, which stays what it is where nothing is to be translated."""
    found = made(schema, cell, **form)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("schema", "form", "cell"),
    [
        ("int", {}, "1.0"),
        ("int", {}, "1e3"),
        ("int", {}, "١"),
        ("long", NUMBERS, "1,23"),
        ("long", NUMBERS, "1,2345"),
        ("double", {}, "1,5"),
        ("double", {}, "nan"),
        ("double", {"decimal": ","}, "1.5"),
        ("boolean", {}, "Yes indeed"),
        ("boolean", {"values": {"J": True}}, "Q"),
        (COLOUR, {"values": {"r": "RED"}}, 1.5),
        (DAY, {"date": "%d/%m/%Y"}, "31/02/2026"),
        (TEXTS, {}, "Garamond"),
        (TEXTS, {"split": "/"}, ["a"]),
        ("string", {"scheme": "nino"}, "QQ123456C!"),
    ],
)
def test_what_could_mean_something_else_is_no_value(schema: object, form: dict[str, object], cell: object):
    """1,5 is never 15; and the message says what was expected, not what stood there."""
    with pytest.raises(Unfit) as unfit:
        made(schema, cell, **form)
    assert str(cell) not in unfit.value.expected + unfit.value.mend
    assert unfit.value.mend


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ("string", NUMBERS),
        ("string", {"date": "%d/%m/%Y"}),
        (DAY, {"timestamp": "%d/%m/%Y %H:%M"}),
        ("string", {"split": "/"}),
        ("int", {"scheme": "nhs"}),
        ("string", {"scheme": "nothing"}),
        (COLOUR, {"values": {"g": "GREEN"}}),
    ],
)
def test_a_form_that_does_not_go_with_the_type_is_a_fault_of_the_mapping(
    schema: object, form: dict[str, object]
):
    """It is said before any row is read."""
    with pytest.raises(CannotConvert):
        made(schema, "x", **form)
