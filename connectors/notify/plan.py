"""What is told to whom and by which template: the file of POSTROOM_NOTIFY, read strictly.

The notifier is a subscriber like any other: it gets people's e-mail address by an agreement of its own, which
says on what basis. The API key is never in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from connectors.notify.facts import KINDS
from connectors.private_line import is_private_line
from connectors.settings_file import read_settings, refuse_faults
from connectors.trouble import Trouble
from schemas import Agreement
from schemas.written import Written, matching

WHAT = "the file of notices"
EXAMPLE = "docs/examples/notify.yaml"
MEND = f"{EXAMPLE} is one that is right"
GOVUK = "https://api.notifications.service.gov.uk"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
API_KEY = re.compile(rf".+-{_UUID}-{_UUID}", re.IGNORECASE)
"""`{key_name}-{iss-uuid}-{secret-key-uuid}` (docs.notifications.service.gov.uk, "Authorisation header")."""
PER_MINUTE, PER_DAY = 3_000, 250_000

Read = Callable[[Path], bytes]
"""Reads a file that only the service may read; Trouble."""


class _Notice(Written):
    template: Annotated[str, matching(_UUID, "a template's id as GOV.UK Notify shows it, a UUID")]


class _File(Written):
    agreement: str
    attribute: str = "email_address"
    api_key: Path
    base_url: str = GOVUK
    notices: dict[Literal["shared", "consent-changed"], _Notice] = Field(min_length=1)
    agreements: list[str] | None = Field(None, min_length=1)
    per_minute: int = Field(PER_MINUTE, ge=1, le=PER_MINUTE)
    per_day: int = Field(PER_DAY, ge=1, le=10_000_000)
    timeout_ms: int = Field(30_000, ge=100, le=120_000)
    contact_within_s: int = Field(86_400, ge=0, le=604_800)
    unknown_wait_s: float = Field(60.0, ge=0, le=3_600)
    pause_s_max: float = Field(600.0, ge=0.01, le=86_400)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is set, in the types of its use."""

    agreement: str
    subscriber: str
    """Whom the agreement makes of us."""
    attribute: str
    api_key: str = field(repr=False)
    base_url: str
    templates: Mapping[str, str]
    purposes: Mapping[str, str]
    """Of the agreements that are told of, by name: what each is for."""
    per_minute: int
    per_day: int
    timeout_s: float
    contact_within_s: int
    """How long a notice waits for an address before it is given up."""
    unknown_wait_s: float
    """How long GOV.UK Notify may take until a message that it has taken is found by its reference."""
    pause_s_max: float


def load_plan(path: Path, agreements: Mapping[str, Agreement], read: Read) -> Plan:
    """Read the file; Misused says all that is wrong with it under these agreements."""
    parsed = read_settings(
        path,
        _File,
        WHAT,
        f"POSTROOM_NOTIFY; {EXAMPLE} is one",
        MEND,
        lambda sound: _faults(sound, agreements),
    )
    key, faults = _api_key(parsed, path.parent, read)
    refuse_faults(path, WHAT, faults, MEND)
    told = agreements.keys() - {parsed.agreement} if parsed.agreements is None else parsed.agreements
    return Plan(
        agreement=parsed.agreement,
        subscriber=agreements[parsed.agreement].subscriber,
        attribute=parsed.attribute,
        api_key=key,
        base_url=parsed.base_url.rstrip("/"),
        templates={kind: each.template for kind, each in parsed.notices.items()},
        purposes={name: agreements[name].purpose for name in told},
        per_minute=parsed.per_minute,
        per_day=parsed.per_day,
        timeout_s=parsed.timeout_ms / 1000,
        contact_within_s=parsed.contact_within_s,
        unknown_wait_s=parsed.unknown_wait_s,
        pause_s_max=parsed.pause_s_max,
    )


def _faults(parsed: _File, agreements: Mapping[str, Agreement]) -> Iterator[str]:
    own = agreements.get(parsed.agreement)
    if own is None:
        yield f"agreement: there is no agreement {parsed.agreement}"
    elif parsed.attribute not in {each.attribute for each in own.attributes}:
        yield f"attribute: {parsed.agreement} does not grant {parsed.attribute}"
    for name in parsed.agreements or ():
        if name not in agreements or name == parsed.agreement:
            yield f"agreements: there is no agreement {name} to tell of"
    if not is_private_line(parsed.base_url) or "://" not in parsed.base_url:
        yield "base_url: addresses of people go out over https only"
    assert set(parsed.notices) <= set(KINDS)  # noqa: S101 - both are written by us


def _api_key(parsed: _File, beside: Path, read: Read) -> tuple[str, list[str]]:
    try:
        key = read(beside / parsed.api_key).decode().strip()
    except Trouble as trouble:
        return "", [f"api_key: {trouble}"]
    except UnicodeDecodeError:
        return "", ["api_key: it is not UTF-8"]
    return key, [] if API_KEY.fullmatch(key) else ["api_key: it has not the form of GOV.UK Notify's keys"]
