"""What a field means stays: its annotation and its contract's kind are as they were (E6, ADR 0078)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas import Reason, load_contracts, registered_version
from schemas.gate import incompatible
from schemas.meaning_kept import other_meanings
from tests.contracts_kit import NAME, field, optional, record, write

PATH, TYPE = "civil/name.v1.avsc", "uk.gov.civil.name.v1"
OPERATIONAL = {"operational": True}

Annotation = dict[str, Any]


def noted(annotation: Annotation | None, name: str = "note", **more: Any) -> dict[str, Any]:
    """A record with one field so annotated beside the usual ones."""
    return record(NAME, field(name, optional("string"), annotation, default=None, **more))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (OPERATIONAL, {"attribute": "name"}),
        ({"attribute": "name"}, OPERATIONAL),
        ({"attribute": "name"}, {"attribute": "birth"}),
        ({"attribute": "birth"}, {"attribute": "birth", "term": "effective"}),
        ({"term": "effective"}, {"term": "until"}),
        ({"identifier": "nhs", "role": "same-person"}, {"identifier": "nhs", "role": "superseded-by"}),
        ({"identifier": "nhs", "role": "same-person"}, {"identifier": "nino", "role": "same-person"}),
        ({"item": True}, OPERATIONAL),
        ({"prior": True}, OPERATIONAL),
    ],
)
def test_a_field_never_becomes_another_thing(was: Annotation, now: Annotation):
    """E4, E6: stored events are read again, and by the annotations of that day."""
    [(path, why)] = other_meanings(noted(now), noted(was))
    assert path == "note"
    assert why.startswith("it was {")
    assert " and became {" in why
    assert list(other_meanings(noted(was), noted(was))) == []


def test_a_field_keeps_its_meaning_under_a_new_name():
    """Avro reads it by its alias, so what was said of it is what it says."""
    renamed = noted({"attribute": "name"}, "remark", aliases=["note"])
    assert [path for path, _ in other_meanings(renamed, noted(OPERATIONAL))] == ["remark"]


def test_a_kind_stays():
    """A fact that becomes an annulment would take away what it said."""
    old, new = noted(OPERATIONAL), noted(OPERATIONAL)
    new["postroom"] = new["postroom"] | {"kind": "annulment"}
    assert list(other_meanings(new, old)) == [("", "its kind was fact and became annulment")]
    assert list(other_meanings(old | {"postroom": old["postroom"] | {"kind": "fact"}}, old)) == []


def test_who_when_and_how_long_may_change():
    """Owners, retention, words, which schemes may be named and new fields say nothing of old values."""
    any_of = {"identifier": "*", "role": "same-person", "schemes": ["nino"]}
    old = noted(any_of)
    new = noted(any_of | {"schemes": ["nino", "nhs"]}, doc="In other words.")
    new["fields"].append(field("more", optional("string"), {"attribute": "birth"}, default=None))
    new["postroom"] = new["postroom"] | {"owners": ["dvla", "dwp"], "retention": "P9Y"}
    assert list(other_meanings(new, old)) == []
    assert list(other_meanings(new, noted(None))) == [], (
        "no gate saw that version, so it told nobody anything"
    )


def test_the_gate_refuses_it_and_names_the_versions_together(tmp_path: Path):
    """E6: of the registry's versions as of the history's."""
    contract = load_contracts(write(tmp_path, {PATH: noted(OPERATIONAL)})).by_type[TYPE]
    held = [registered_version(f"{TYPE}-value", at, noted({"prior": True})) for at in (1, 2)]
    [problem] = incompatible(contract, held)
    assert (problem.field, problem.reason) == ("note", Reason.OTHER_MEANING)
    assert problem.why.endswith(f"see versions 1, 2 of {TYPE}-value in the registry")


def test_what_was_written_past_the_gate_says_nothing():
    """A registry's version may hold anything in place of an annotation; asking about it ends nothing."""
    foreign = noted(None) | {"postroom": "ours"}
    foreign["fields"] = [each | {"postroom": ["nonsense"]} for each in foreign["fields"]]
    assert list(other_meanings(noted(OPERATIONAL), foreign)) == []
