"""An agreement as it is written: the keys of C5, their forms and defaults, and where each one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from . import yaml_lines
from .times import beginning, parse_duration

Fault = tuple[tuple[str | int, ...], str]
"""(place in the file, problem)."""


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
Word = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9-]*\z", max_length=200)]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, regex_engine="rust-regex")


class ValidFile(_Written):
    """From the start of the first day to the end of the last."""

    from_: Moment = Field(alias="from")
    until: Moment


class WhereRow(_Written):
    """An attribute, perhaps a field of it, and the values that are in scope."""

    attribute: str
    field: str | None = None
    in_: list[str | int | float | bool] = Field(alias="in", min_length=1)


class WhereFile(_Written):
    """A scope by golden value."""

    where: WhereRow


class GrantFile(_Written):
    """An attribute, perhaps narrowed to some fields."""

    attribute: str
    fields: list[str] | None = Field(default=None, min_length=1)


class AgreementFile(_Written):
    """The keys of an agreement file."""

    agreement: Word
    version: int = Field(ge=1)
    subscriber: Annotated[str, Field(pattern=r"\A[a-z][a-z0-9-]{1,30}\z")]
    purpose: Word
    basis: Literal[
        "consent",
        "contract",
        "legal_obligation",
        "vital_interests",
        "public_task",
        "legitimate_interests",
        "recognised_legitimate_interest",
    ]
    gateway: str | None = None
    valid: ValidFile
    subject: str
    pairwise_group: Word | None = None
    scope: Literal["everyone", "enrolled", "deceased"] | WhereFile
    attributes: list[GrantFile] = Field(min_length=1)
    honours_objection: bool = True
    sees_restricted: bool = False
    after_death: Literal["stop", "continue"] = "stop"
    delete_within: Annotated[str, AfterValidator(_duration)]

    @field_validator("scope", mode="before")
    @classmethod
    def _scope(cls, value: object) -> object:
        """One clear message instead of one for each of the four forms."""
        if isinstance(value, str) and value not in ("everyone", "enrolled", "deceased"):
            raise ValueError("expected everyone, enrolled, deceased or {where: …}")
        return WhereFile.model_validate(value) if isinstance(value, dict) else value


def read_file(path: Path) -> tuple[AgreementFile | None, yaml_lines.Lines, list[Fault]]:
    """An agreement file's content, the line of every place, and the faults of form; OSError, YamlInvalid."""
    data, lines = yaml_lines.load(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        return None, lines, [((), "an agreement is a mapping: agreement, version, subscriber, …")]
    try:
        return AgreementFile.model_validate(data), lines, []
    except ValidationError as invalid:
        return (
            None,
            lines,
            [(error["loc"], problem_words(error["type"], error["msg"])) for error in invalid.errors()],
        )


def problem_words(kind: str, message: str) -> str:
    """What pydantic found, in words for who wrote the file."""
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "there is no such key"
        case "model_type" | "model_attributes_type":
            return "expected keys with their values, {key: value, …}"
        case "string_pattern_mismatch":
            return "expected lower case letters, digits and hyphens, a letter first: council-leeds"
        case _:
            return message.removeprefix("Value error, ")
