"""What is wrong with a file that a person wrote, in our words, whoever reads it (§8)."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import connectors
from producers.mapped.forms import MappingForm
from schemas.agreement_file import AgreementFile
from schemas.written import Written, matching, read_into, without_faulty

SECRET = "s3cr3t-of-somebody"
LIBRARYS_ENGLISH = (
    "Input should",
    "Value error",
    "Field required",
    "validation",
    "Extra inputs",
    "permitted",
)
WRITTEN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)


class Inner(Written):
    """Below another."""

    name: str
    symbols: list[str | int] = []


class Outer(Written):
    """With one key for each kind of mistake."""

    word: Annotated[str, matching("[a-z]+", "a word in lower case: leeds")] = Field(examples=["leeds"])
    size: int = Field(1, ge=1, le=9)
    share: float = Field(0.5, gt=0, lt=1)
    kind: Literal["apple", "pear"] = "pear"
    flag: bool = False
    short: str = Field("ab", min_length=2, max_length=3)
    entries: list[Inner] = Field([], max_length=1)
    by_name: dict[str, Inner] = {}
    first: int | None = None
    second: int | None = None

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """Two keys that exclude each other."""
        if {"first", "second"} <= written.keys():
            yield "give one of first and second"


def files_models() -> list[type[BaseModel]]:
    """Every model that `connectors` reads a file into, and those of agreements and mappings."""
    for each in pkgutil.walk_packages(connectors.__path__, "connectors."):
        importlib.import_module(each.name)
    found, queue = set[type[BaseModel]](), [Written]
    while queue:
        model = queue.pop()
        found.add(model)
        queue += model.__subclasses__()
    return sorted((each for each in found if each.__name__ == "_File"), key=lambda each: each.__module__)


FILES = [AgreementFile, MappingForm, *files_models()]


@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        ({}, ("word",), "is missing; write it as `word: leeds`"),
        ({"word": 7}, ("word",), "expected text (in quotes where it looks like something else)"),
        ({"word": "A"}, ("word",), "expected a word in lower case: leeds"),
        ({"size": "x"}, ("size",), "expected a whole number (without quotes)"),
        ({"size": 0}, ("size",), "expected 1 or more"),
        ({"size": 10}, ("size",), "expected 9 or less"),
        ({"share": "x"}, ("share",), "expected a number (without quotes)"),
        ({"share": 0}, ("share",), "expected more than 0.0"),
        ({"share": 1}, ("share",), "expected less than 1.0"),
        ({"kind": "aple"}, ("kind",), "expected apple or pear; did you mean apple?"),
        ({"flag": "perhaps"}, ("flag",), "expected true or false"),
        ({"short": "a"}, ("short",), "expected 2 or more characters"),
        ({"short": "abcd"}, ("short",), "expected 3 or fewer characters"),
        ({"entries": {}}, ("entries",), "expected a list ([one, another])"),
        ({"entries": [{"name": "a"}] * 2}, ("entries",), "expected 1 or fewer entries"),
        ({"entries": ["a"]}, ("entries", 0), "expected keys with their values, {key: value, …}"),
        ({"by_name": {"a": {}}}, ("by_name", "a", "name"), "is missing"),
        (
            {"by_name": {"a": {"name": "a", "symbls": []}}},
            ("by_name", "a", "symbls"),
            "did you mean symbols?",
        ),
        (
            {"by_name": {"a": {"name": "a", "symbols": [[]]}}},
            ("by_name", "a", "symbols", 0),
            "expected text or a whole number",
        ),
        ({"first": 1, "second": 2}, (), "give one of first and second"),
    ],
)
def test_each_kind_of_mistake_is_said_with_what_was_expected(
    written: dict[str, object], place: tuple[str | int, ...], problem: str
):
    """Once, where it stands, and never at the branch of a union, which nobody has written."""
    sound = {"word": "leeds"} if written else {}
    model, faults = read_into(Outer, sound | written)
    assert model is None
    assert [where for where, _ in faults] == [place]
    assert faults[0][1].endswith(problem)


def test_what_keys_say_against_each_other_is_found_beside_what_is_wrong_with_one():
    """Otherwise it would come to light in a second round."""
    _, faults = read_into(Outer, {"word": 7, "first": "x", "second": 2})
    assert {place for place, _ in faults} == {("word",), ("first",), ()}


def test_entries_without_a_fault_are_left_to_be_judged():
    """And what is wrong outside any entry stays wrong."""
    written = {"word": "a", "by_name": {"good": {"name": "x"}, "bad": {}}, "wrod": 1}
    _, faults = read_into(Outer, written)
    left = {"word": "a", "by_name": {"good": {"name": "x"}}}
    assert without_faulty(written, faults) == left
    assert without_faulty([1], faults) == [1]


def test_the_files_of_all_connectors_are_among_those_tried():
    """A new one is found by itself: clients, webhooks, notices, One Login, payments."""
    assert len({each.__module__ for each in FILES}) >= 7


@pytest.mark.parametrize("model", FILES, ids=lambda each: each.__module__)
@given(data=st.data())
def test_no_file_is_answered_in_a_librarys_english_or_with_what_stands_in_it(
    model: type[BaseModel], data: st.DataObject
):
    """Whatever is written under the keys that there are, and under those of the entries."""
    keys = [field.alias or name for name, field in model.model_fields.items()]
    written = data.draw(st.dictionaries(st.sampled_from([*keys, "x"]), WRITTEN, max_size=4))
    for _, problem in read_into(model, written)[1]:
        assert not [each for each in (*LIBRARYS_ENGLISH, SECRET, "does not fit") if each in problem]
