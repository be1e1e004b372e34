"""A department's contract, agreements that grant its name, and `postroom contract test` on its events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import run
from postroom.settings import settings
from tests.contracts_kit import DATE, NAME, SUBJECT, field, optional, record, write

TYPE = "uk.gov.libraries.reading-card.v1"
PATH = "libraries/reading-card.v1.avsc"
AT = "2026-06-01T12:00:00Z"
CARD = record(
    SUBJECT,
    field("nhs", optional("string"), {"identifier": "nhs", "role": "same-person"}, default=None),
    NAME,
    field("issued_on", DATE, {"term": "effective"}),
)
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "card-1",
    "source": "urn:gov:dwp:cards",
    "type": TYPE,
    "time": "2026-05-30T10:00:00Z",
    "data": {"nino": "NC 12 34 56 C", "name": "Ada", "issued_on": "2026-05-29"},
}
GRANT = {
    "version": 1,
    "subscriber": "council-leeds",
    "purpose": "reading",
    "gateway": None,
    "valid": {"from": "2026-01-01", "until": "2027-12-31"},
    "subject": "pairwise",
    "pairwise_group": None,
    "attributes": [{"attribute": "name"}],
    "honours_objection": True,
    "sees_restricted": False,
    "after_death": "stop",
    "delete_within": "P1D",
}


def agreement(directory: Path, name: str, **more: Any) -> None:
    """Write an agreement like the others but for what is given."""
    directory.mkdir(parents=True, exist_ok=True)
    said = {"agreement": name, "scope": "everyone"} | GRANT | more
    (directory / f"{name}.yaml").write_text(json.dumps(said), encoding="utf-8")  # JSON is YAML


def ground(place: Path) -> Path:
    """The contract, under two agreements that grant its name; the contracts' directory."""
    agreement(place / "agreements", "leeds-power", basis="public_task", gateway="Libraries Act, s 7")
    agreement(place / "agreements", "leeds-asks", basis="consent")
    return write(place / "contracts", {PATH: CARD})


Try = Callable[..., tuple[int, dict[str, Any], str]]


def trying(capsys: pytest.CaptureFixture[str], directory: Path) -> Try:
    """The command, to be run on lines of an events file."""

    def run_on(lines: list[bytes | str | dict[str, Any]], *more: str) -> tuple[int, dict[str, Any], str]:
        file = directory.parent / "events.jsonl"
        written = [json.dumps(each) if isinstance(each, dict) else each for each in lines]
        file.write_bytes(b"".join((w if isinstance(w, bytes) else w.encode()) + b"\n" for w in written))
        return command(capsys, directory, TYPE, str(file), "--at", AT, *more)

    return run_on


def command(
    capsys: pytest.CaptureFixture[str], directory: Path, *arguments: str
) -> tuple[int, dict[str, Any], str]:
    """Run it; its exit code, its document and its words."""
    settings.cache_clear()
    where = ["--contracts", str(directory), "--agreements", str(directory.parent / "agreements")]
    code = run(["contract", "test", *where, *arguments, "-o", "json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


def changed(**more: Any) -> dict[str, Any]:
    """The event with other attributes."""
    return EVENT | more


def data(**more: Any) -> dict[str, Any]:
    """The event with other data."""
    return EVENT | {"data": EVENT["data"] | more}
