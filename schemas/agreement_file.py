"""An agreement as it is written: the keys of C5, their forms and defaults, and where each one stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, field_validator

from . import yaml_lines
from .times import beginning, parse_duration
from .written import Fault, Place, ShortName, Written, matching, read_into

PAIRWISE = "pairwise"


def _moment(text: str) -> str:
    try:
        beginning(text)
    except ValueError:
        raise ValueError("expected a date YYYY-MM-DD or an RFC 3339 timestamp") from None
    return text


def _duration(text: str) -> str:
    try:
        parse_duration(text)
    except ValueError:
        raise ValueError("expected an ISO 8601 duration such as P1D") from None
    return text


Moment = Annotated[str, AfterValidator(_moment)]
Word = Annotated[
    str,
    matching(
        "[a-z][a-z0-9-]{0,199}", "lower case letters, digits and hyphens, a letter first: housing-support"
    ),
]


class _Form(Written):
    model_config = ConfigDict(strict=True, frozen=True)


class ValidFile(_Form):
    """From the start of the first day to the end of the last."""

    from_: Moment = Field(alias="from", examples=["2026-01-01"])
    until: Moment = Field(examples=["2027-12-31"])


class WhereRow(_Form):
    """An attribute, perhaps a field of it, and the values that are in scope."""

    attribute: str
    field: str | None = None
    in_: list[str | int | float | bool] = Field(alias="in", min_length=1)


class WhereFile(_Form):
    """A scope by golden value."""

    where: WhereRow


class GrantFile(_Form):
    """An attribute, perhaps narrowed to some fields."""

    attribute: str
    fields: list[str] | None = Field(default=None, min_length=1)


class AgreementFile(_Form):
    """The keys of an agreement file."""

    agreement: Word = Field(examples=["leeds-housing"])
    version: int = Field(ge=1, examples=[1])
    subscriber: ShortName = Field(examples=["council-leeds"])
    purpose: Word = Field(examples=["housing-support"])
    basis: Literal[
        "consent",
        "contract",
        "legal_obligation",
        "vital_interests",
        "public_task",
        "legitimate_interests",
        "recognised_legitimate_interest",
    ] = Field(examples=["consent"])
    gateway: str | None = None
    valid: ValidFile = Field(examples=["{from: 2026-01-01, until: 2027-12-31}"])
    subject: str = Field(examples=[PAIRWISE])
    pairwise_group: Word | None = None
    scope: Literal["everyone", "enrolled", "deceased"] | WhereFile = Field(examples=["everyone"])
    attributes: list[GrantFile] = Field(min_length=1, examples=["[{attribute: address}]"])
    honours_objection: bool = True
    sees_restricted: bool = False
    after_death: Literal["stop", "continue"] = "stop"
    delete_within: Annotated[str, AfterValidator(_duration)] = Field(examples=["P1D"])

    @field_validator("scope", mode="before")
    @classmethod
    def _scope(cls, value: object) -> object:
        """One clear message instead of one for each of the four forms."""
        if isinstance(value, dict):
            return WhereFile.model_validate(value)
        if value not in ("everyone", "enrolled", "deceased"):
            raise ValueError("expected everyone, enrolled, deceased or {where: …}")
        return value


class Reading(NamedTuple):
    """An agreement file: its content as far as it has its form, the line of every place, and the faults.

    In `content` a stand-in that is no fault by itself is in the place of what has not the right form; so it
    is an agreement only where there are no faults.
    """

    content: AgreementFile | None
    lines: yaml_lines.Lines
    faults: list[Fault]


def read_file(path: Path) -> Reading:
    """Read it; OSError, YamlInvalid."""
    data, lines = yaml_lines.load(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        return Reading(None, lines, [((), "an agreement is a mapping: agreement, version, subscriber, …")])
    content, faults = read_into(AgreementFile, data)
    if faults:
        content, _ = read_into(AgreementFile, _with_stand_ins(data, [place for place, _ in faults]))
    return Reading(content, lines, faults)


_NOBODY = "nobody"
_STAND_INS: Mapping[str, object] = {
    "agreement": _NOBODY,
    "version": 1,
    "subscriber": _NOBODY,
    "purpose": _NOBODY,
    "basis": "contract",  # which needs neither a power nor that a scope is consented to
    "gateway": None,
    "valid": {"from": "2000-01-01", "until": "2000-01-01"},
    "subject": PAIRWISE,
    "pairwise_group": None,
    "scope": "everyone",
    "attributes": [{"attribute": _NOBODY}],
    "honours_objection": True,
    "sees_restricted": False,
    "after_death": "continue",
    "delete_within": "P1D",
}


def _with_stand_ins(data: Mapping[str, object], places: list[Place]) -> dict[str, object]:
    """The file with nothing in it that has not its form, and nothing that would be a fault for that alone."""
    faulty = {str(place[0]) for place in places if place}
    known = {key: value for key, value in data.items() if key in _STAND_INS}
    made = known | {key: _STAND_INS[key] for key in faulty & _STAND_INS.keys()}
    if "attributes" in faulty:
        made["attributes"] = _grants(data.get("attributes"), places)
        if made.get("basis") == "consent":  # whether a scope is consented to rests on the attributes
            made["basis"] = "contract"
    return made


def _grants(written: object, places: list[Place]) -> object:
    if not isinstance(written, list) or not written:
        return _STAND_INS["attributes"]
    faulty = {place[1] for place in places if place[:1] == ("attributes",) and len(place) > 1}
    return [_grant(each) if index in faulty else each for index, each in enumerate(written)]


def _grant(written: object) -> dict[str, str]:
    named = written.get("attribute") if isinstance(written, dict) else None
    return {"attribute": named if isinstance(named, str) else _NOBODY}
