"""From a nasty set in which two answers differ to the few lines that make them differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.nasty.generate import NastySet


def shrunk(nasty_set: NastySet, differs: Callable[[NastySet], bool]) -> NastySet:
    """As few lines as removing can leave while `differs` holds: halves first, then line by line."""
    lines = nasty_set.lines
    step = max(1, len(lines) // 2)
    while True:
        lines, removed = _without(lines, step, lambda left: differs(replace(nasty_set, lines=tuple(left))))
        if step == 1 and not removed:
            return replace(nasty_set, lines=tuple(lines))
        step = max(1, step // 2)


def _without(
    lines: Sequence[bytes], step: int, differs: Callable[[Sequence[bytes]], bool]
) -> tuple[tuple[bytes, ...], bool]:
    kept, removed, start = tuple(lines), False, 0
    while start < len(kept):
        left = kept[:start] + kept[start + step :]
        if differs(left):
            kept, removed = left, True
        else:
            start += step
    return kept, removed


def case_text(nasty_set: NastySet, expected: object, found: object) -> str:
    """A set as the content of a case directory, with both answers."""
    return "\n".join(
        (
            f"# seed {nasty_set.seed}, contracts {nasty_set.contracts.name}, limits {nasty_set.limits}",
            "---- at.txt",
            nasty_set.at,
            "---- events.jsonl",
            *(line.decode("utf-8", "backslashreplace") for line in nasty_set.lines),
            "---- expected.json (the model)",
            json.dumps(expected, ensure_ascii=False, sort_keys=True),
            "---- found",
            json.dumps(found, ensure_ascii=False, sort_keys=True),
            "---- differences",
            *differences(expected, found),
        )
    )


def differences(expected: object, found: object, path: str = "") -> list[str]:
    """Where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in sorted(expected.keys() | found.keys())
            for line in differences(expected.get(key, "absent"), found.get(key, "absent"), f"{path}/{key}")
        ]
    if expected == found:
        return []
    return [f"{path}: expected {json.dumps(expected, default=str)}, found {json.dumps(found, default=str)}"]
