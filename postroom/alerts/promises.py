"""`deploy/slo.yaml` as it is written: promises, figures and watches, with problems by field."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from postroom.alerts.durations import PLACEHOLDER, seconds
from postroom.errors import UserError
from schemas.written import Written, read_into
from schemas.yaml_lines import YamlInvalid, line_of, load

AlertName = Annotated[str, Field(pattern=r"^Postroom[A-Z][A-Za-z]+$")]
Duration = Annotated[str, Field(pattern=r"^\d+[smhd]$")]
Severity = Literal["page", "ticket"]


class _Strict(Written):
    model_config = ConfigDict(frozen=True)


class Alerting(_Strict):
    """What promises and watches have in common: an alert and its words."""

    alert: AlertName
    summary: str
    description: str
    explains: tuple[AlertName, ...] = ()
    """The alerts that need not be told while this one is firing, because it is why they fire."""


class Within(_Strict):
    """Good is what a histogram counts up to a bound, which must be one of its own."""

    metric: str
    within_s: float


class Ratio(_Strict):
    """Bad and total are counters."""

    bad: str
    total: str


class Promise(Alerting):
    """A service level objective: by what it is measured, and how much may be bad."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z-]+$")]
    rule: str
    says: str
    objective: Annotated[float, Field(gt=0.9, lt=1)]
    histogram: Within | None = None
    ratio: Ratio | None = None
    time: str | None = None
    """An expression that is 1 while it is bad and 0 while it is not."""
    floor: int = 0
    """How many bad ones a window must hold before anybody is told: one of three is no trend."""
    floor_time: Duration | None = None
    """The same for a share of time: how long it must have been bad, also when nothing older is known."""
    pages: bool = True

    @model_validator(mode="after")
    def _measured_once(self) -> Promise:
        given = [each for each in (self.histogram, self.ratio, self.time) if each is not None]
        if len(given) != 1:
            raise ValueError("exactly one of histogram, ratio, time is wanted")
        if self.floor if self.time is not None else self.floor_time is not None:
            raise ValueError("a share of time has a floor_time, anything else a floor")
        return self


class Record(_Strict):
    """A figure that is computed once and used often."""

    record: Annotated[str, Field(pattern=r"^postroom:[a-z_]+:[a-z0-9_]+$")]
    expr: str
    each: dict[str, tuple[str, ...]] = Field(default={}, max_length=1)


class Watch(Alerting):
    """An alert on something other than a promise's budget."""

    severity: Severity
    expr: str
    wait: Annotated[str, Field(alias="for")]

    @field_validator("wait")
    @classmethod
    def _scales(cls, wait: str) -> str:
        found = PLACEHOLDER.fullmatch(wait)
        if found is None or found[2]:
            raise ValueError("a duration that scales is wanted, such as $5m")
        return wait


class Promises(_Strict):
    """The whole file."""

    period: Duration
    runbooks: str
    notify: dict[Severity, str]
    promises: tuple[Promise, ...]
    records: tuple[Record, ...]
    watches: tuple[Watch, ...]

    @property
    def alerting(self) -> tuple[Alerting, ...]:
        """Everything that becomes alerts."""
        return (*self.promises, *self.watches)

    def follows(self, cause: Alerting) -> int:
        """How many alerts in a row explain the next, at most, from this one on; 0 if it explains none."""
        by_name = {each.alert: each for each in self.alerting}
        return max((1 + self.follows(by_name[name]) for name in cause.explains), default=0)

    @model_validator(mode="after")
    def _names_are_known_and_once(self) -> Promises:
        names = [each.alert for each in self.alerting]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"declared twice: {', '.join(sorted(twice))}")
        for each in self.alerting:
            if unknown := set(each.explains) - set(names) | {each.alert} & set(each.explains):
                raise ValueError(f"{each.alert} cannot explain {', '.join(sorted(unknown))}")
        try:
            TopologicalSorter({each.alert: each.explains for each in self.alerting}).prepare()
        except CycleError as circle:
            raise ValueError(f"{circle.args[1][0]} explains itself by way of what it explains") from None
        if seconds(self.period) < seconds("7d"):
            raise ValueError("a budget over less than a week is gone with one bad evening")
        return self


def load_promises(path: Path) -> Promises:
    """Read and check the file; UserError names the field and what is wrong with it."""
    try:
        written, lines = load(path.read_text(encoding="utf-8"))
    except (OSError, YamlInvalid, UnicodeDecodeError) as error:
        raise UserError("the promises cannot be read", where=str(path), why=str(error)) from error
    promises, faults = read_into(Promises, written)
    if promises is None:
        told = sorted((line_of(lines, place), ".".join(map(str, place)), why) for place, why in faults)
        raise UserError(
            "the promises are not as they must be",
            where=str(path),
            why="\n".join(f"line {line}: {place or 'the file'}: {why}" for line, place, why in told),
            mend="docs/alerts.md says what each field means",
        )
    return promises
