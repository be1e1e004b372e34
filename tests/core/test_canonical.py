"""RFC 8785 by both of our ways: the quick one must be the reference where it is taken (R2)."""

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from processors.canonical_json import _reference_form, canonical_json
from schemas.avro_parse import parse
from schemas.avro_type import sorts_to_canonical_json
from tests.avro_strategies import plain_values, schemas

SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
LEAVES = st.none() | st.booleans() | SAFE | st.text() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(PLAIN)
def test_the_form_is_that_of_the_reference_implementation(value):
    """R2: names sorted by UTF-16 units, numbers as ECMAScript writes them."""
    assert canonical_json(value) == rfc8785.dumps(value)
    assert _reference_form(value) == rfc8785.dumps(value)


def test_an_integer_without_a_form_keeps_its_digits_and_changes_nothing_else():
    """Beyond 2^53 the RFC has no form; what stands beside such an integer keeps its own."""
    value = {"n": 9007199254740993, "x": 1e21, "\U0001f600": 1, "\ufb01": 2}
    assert canonical_json(value) == '{"n":9007199254740993,"x":1e+21,"\U0001f600":1,"\ufb01":2}'.encode()
    assert canonical_json([9007199254740993, 1e21]) == b"[9007199254740993,1e+21]"


@given(st.data())
def test_a_schema_tells_where_sorted_json_is_the_form_already(data: st.DataObject):
    """R2: then nobody needs to look into the data of such a contract, and the form is the same."""
    schema = data.draw(schemas())
    if sorts_to_canonical_json(parse(schema)):
        plain = data.draw(plain_values(schema))
        assert msgspec.json.encode(plain, order="sorted") == _reference_form(plain)


@pytest.mark.parametrize("type_", ["float", "double", {"type": "map", "values": "int"}])
@pytest.mark.parametrize("within", [0, 1, 2, 3])
def test_numbers_with_a_fraction_and_keys_that_are_data_need_a_look(type_: object, within: int):
    """R2: `1.0` is written `1`, and keys are sorted by UTF-16 units; however deep they lie."""
    record = {"type": "record", "name": "R", "fields": [{"name": "f", "type": type_}]}
    schema = [type_, {"type": "array", "items": type_}, ["null", type_], record][within]
    assert not sorts_to_canonical_json(parse(schema))
