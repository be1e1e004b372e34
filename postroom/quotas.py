"""How much owners and subscribers may ask of each broker: the defaults, and the file that changes them.

One department's mistake (a loop that publishes, a reader that begins again and again) must not cost the
others their promptness (V7). Workers have no bound: theirs is the lag, which is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from postroom.access import OWNER, SUBSCRIBER, Role
from postroom.errors import UserError

MIB = 1024 * 1024
WORDS = {
    "produce_bytes_per_s": "producer_byte_rate",
    "consume_bytes_per_s": "consumer_byte_rate",
    "request_percent": "request_percentage",
}
"""Of the file, and of Kafka. A percentage is of one thread of a broker."""

DEFAULTS: Mapping[str, Mapping[str, float]] = {
    # 4 MiB/s are some 4,000 events a second, ten times what a department of the size of HMRC says.
    "owners": {"produce_bytes_per_s": 4 * MIB, "consume_bytes_per_s": MIB, "request_percent": 50},
    # A subscriber that begins anew reads a view of ten million citizens within an hour.
    "subscribers": {"produce_bytes_per_s": MIB, "consume_bytes_per_s": 8 * MIB, "request_percent": 50},
}
PREFIXES = {"owners": OWNER, "subscribers": SUBSCRIBER}
DEFAULT = "default"


def wanted_quotas(roles: Iterable[Role], file: Path | None) -> dict[str, dict[str, float]]:
    """Return the bounds of every owner's and subscriber's user, in Kafka's words."""
    users = [role.user for role in roles]
    chosen = _read(file, users) if file is not None else {}
    wanted = {}
    for group, prefix in PREFIXES.items():
        own = chosen.get(group, {})
        for user in users:
            if user.startswith(prefix):
                bounds = dict(DEFAULTS[group]) | own.get(DEFAULT, {}) | own.get(user.removeprefix(prefix), {})
                wanted[user] = {WORDS[word]: float(value) for word, value in bounds.items()}
    return wanted


def _read(file: Path, users: Iterable[str]) -> dict[str, dict[str, dict[str, float]]]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(
            "the quotas cannot be read", where=str(file), why=why, mend="POSTROOM_QUOTAS"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError("the quotas are not YAML", where=str(file), why=str(error)) from error
    return {group: _group(file, group, names, users) for group, names in _mapping(file, "", content).items()}


def _group(file: Path, group: str, content: Any, users: Iterable[str]) -> dict[str, dict[str, float]]:
    if group not in PREFIXES:
        raise _wrong(file, group, "owners or subscribers is wanted")
    known = {user.removeprefix(PREFIXES[group]) for user in users if user.startswith(PREFIXES[group])}
    found = {}
    for name, bounds in _mapping(file, group, content).items():
        place = f"{group}.{name}"
        if name not in {DEFAULT, *known}:
            raise _wrong(file, place, f"it is none of the {group}: {', '.join(sorted(known))}")
        found[name] = {
            word: _bound(file, f"{place}.{word}", word, value)
            for word, value in _mapping(file, place, bounds).items()
        }
    return found


def _bound(file: Path, place: str, word: str, value: Any) -> float:
    if word not in WORDS:
        raise _wrong(file, place, f"one of {', '.join(WORDS)} is wanted")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise _wrong(file, place, "a number above 0 is wanted")
    return float(value)


def _mapping(file: Path, place: str, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise _wrong(file, place, "names with what they may are wanted")
    return content


def _wrong(file: Path, place: str, why: str) -> UserError:
    return UserError("the quotas cannot be used", where=f"{file}: {place}" if place else str(file), why=why)
