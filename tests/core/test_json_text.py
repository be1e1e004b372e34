"""JSON text in which every object says each of its keys once (E3)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import KeyTwice, json_path, json_value

KEYS = st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_text_that_says_each_key_once_is_read_as_ever(value: Any, ascii_only: bool, indent: int | None):
    """However it is spaced and escaped, whatever its numbers: the value is the same as without the look."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(errors="surrogatepass")
    try:
        expected = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert json_value(text) == expected


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), VALUES, st.data(), st.booleans())
def test_a_key_twice_is_found_wherever_it_stands(
    said: dict[str, Any], again: Any, data: st.DataObject, ascii_only: bool
):
    """The second time at any place, with the same value or another, in whatever surrounds the object."""
    key = data.draw(st.sampled_from(sorted(said)))
    members = [*said.items()]
    members.insert(data.draw(st.integers(0, len(members))), (key, again))
    written = ",".join(f"{_text(name, ascii_only)}:{_text(value, ascii_only)}" for name, value in members)
    for around, path in (("{%s}", ()), ('[0, {"x": {%s}}]', (1, "x"))):
        text = around.replace("%s", written).encode(errors="surrogatepass")
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        with pytest.raises(KeyTwice) as twice:
            json_value(text)
        assert twice.value.paths[0] == (*path, key)


def _text(value: object, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b'{"a":1,"a":1}', ("a",)),
        (b'{"a":"","\\u0061":""}', ("a",)),
        (b'{"a b":1,"ab":2,"a b":3}', ("a b",)),
        (b'{"a":18446744073709551616,"a":1e300}', ("a",)),
        (b'{"":{"":[{}, {"b":{},"b":{}}]}}', ("", "", 1, "b")),
        (b'{"a":{"b":1,"b":2},"a":3}', ("a", "b")),
    ],
)
def test_keys_are_compared_as_they_are_meant(text: bytes, path: tuple[str | int, ...]):
    """Not as they are written: an escape is the character, a space in a key belongs to it."""
    with pytest.raises(KeyTwice) as twice:
        json_value(text)
    assert twice.value.paths[0] == path


@pytest.mark.parametrize("text", [b'{"a b":1,"ab":2}', b'{"a":{"a":{"a":1}}}', b'[{"a":1},{"a":1}]'])
def test_keys_of_other_objects_and_keys_that_are_alike_are_others(text: bytes):
    """Only the same key of the same object stands twice."""
    assert json_value(text) == json.loads(text)


def test_a_path_shows_no_key_that_can_be_data():
    """A map's keys are data, and a map stands in an event's data at the earliest."""
    assert json_path(("data", "names", "Smith")) == "$.data.names.*"
    assert json_path(("data", "names", 3, "x")) == "$.data.names[3].*"
    assert json_path(("data", "QQ 12 34 56 C")) == "$.data.*"
    assert json_path(("data", "x" * 65)) == "$.data.*"
    assert json_path((0, "a"), names_shown_to=1) == "$[0].*"
