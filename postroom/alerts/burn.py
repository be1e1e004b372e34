"""Rules of one promise: how fast its budget burns, over several windows at once.

The Site Reliability Workbook's way (chapter 5, "Multiwindow, Multi-Burn-Rate Alerts"): the long window says
that it matters, the short one that it is still so, and each pair has a factor that says which share of the
budget is gone by then. Windows keep their nominal names when a test shortens them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from postroom.alerts.durations import Clock, seconds
from postroom.alerts.promises import Promise, Promises, Severity
from postroom.errors import UserError

Rule = dict[str, Any]


class Pair(NamedTuple):
    """When to tell: the factor is how many times faster than allowed the budget burns."""

    severity: Severity
    long: str
    short: str
    factor: float
    share: str
    wait: str


PAIRS = (
    Pair("page", "1h", "5m", 14.4, "2 % of the budget in an hour", "2m"),
    Pair("page", "6h", "30m", 6, "5 % of the budget in six hours", "2m"),
    Pair("ticket", "1d", "2h", 3, "10 % of the budget in a day", "15m"),
    Pair("ticket", "3d", "6h", 1, "10 % of the budget in three days", "1h"),
)
"""Factors are for a period of four weeks; the shares say what has burned when the alert comes."""

STEPS = 240
"""Into so many a long window is cut when its bad seconds are counted: an hour into 15 seconds."""
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def recording_rules(promise: Promise, period: str, clock: Clock) -> Iterator[Rule]:
    """Yield error ratios over each window, bad ones over each long window, and what is left of the budget."""
    labels = {"promise": promise.name}
    if promise.time is not None:
        yield {"record": "postroom:promise_bad:bool", "expr": promise.time, "labels": labels}
    yield {
        "record": "postroom:objective:ratio",
        "expr": f"vector({promise.objective:g})",
        "labels": labels | {"alert": promise.alert},
    }
    for window in (*WINDOWS, period):
        expr = _ratio(promise, clock.duration(window))
        name = "period" if window == period else window
        yield {"record": f"postroom:errors:ratio_rate{name}", "expr": expr, "labels": labels}
    if _floor(promise, clock):
        for window in [pair.long for pair in PAIRS if promise.pages or pair.severity == "ticket"]:
            expr = _increase(promise, window, clock)
            yield {"record": f"postroom:errors:increase{window}", "expr": expr, "labels": labels}
    yield {
        "record": "postroom:budget_left:ratio",
        "expr": f'1 - postroom:errors:ratio_rateperiod{{promise="{promise.name}"}} / {_allowed(promise)}',
        "labels": labels,
    }


def alerts(promise: Promise, promises: Promises, clock: Clock) -> Iterator[Rule]:
    """Yield the alert, once for each severity; UserError when the objective leaves no room for a pair."""
    for severity in ("page", "ticket"):
        pairs = [pair for pair in PAIRS if pair.severity == severity]
        if severity == "page" and not promise.pages:
            continue  # nobody is woken for it
        for pair in pairs:
            if pair.factor * (1 - promise.objective) >= 1:
                raise UserError(
                    f"{promise.name}: the budget of {promise.objective:g} cannot burn {pair.factor:g} times "
                    "too fast",
                    mend="choose a stricter objective, or `pages: false` and a watch of its own",
                )
        yield {
            "alert": promise.alert,
            "expr": "\nor\n".join(_condition(promise, pair, clock) for pair in pairs),
            "for": clock.duration(pairs[0].wait),
            "labels": {"severity": severity, "promise": promise.name},
            "annotations": {
                "summary": promise.summary,
                "description": f"{promise.description} Promised ({promise.rule}): {promise.says}. Told when "
                f"{' or '.join(pair.share for pair in pairs)} is gone.",
                "runbook": f"{promises.runbooks}/{promise.alert}.md",
            },
        }


def _condition(promise: Promise, pair: Pair, clock: Clock) -> str:
    chosen = f'{{promise="{promise.name}"}}'
    threshold = f"{pair.factor:g} * {_allowed(promise)}"
    parts = [
        f"postroom:errors:ratio_rate{window}{chosen} > {threshold}" for window in (pair.long, pair.short)
    ]
    if floor := _floor(promise, clock):
        parts.append(f"postroom:errors:increase{pair.long}{chosen} >= {floor}")
    return "(\n  " + "\n  and\n  ".join(parts) + "\n)"


def _floor(promise: Promise, clock: Clock) -> str:
    """How many bad ones, or how many bad seconds, a long window must hold."""
    if promise.floor_time is not None:
        return clock.number(promise.floor_time)
    return str(promise.floor) if promise.floor else ""


def _increase(promise: Promise, window: str, clock: Clock) -> str:
    if promise.time is None:
        return _bad(promise, "increase", clock.duration(window))
    # In steps of our own, so that seconds do not depend on how often Prometheus evaluates.
    bad = f'postroom:promise_bad:bool{{promise="{promise.name}"}}'
    step = f"{seconds(window) // STEPS}s"
    return f"sum_over_time({bad}[{clock.duration(window)}:{clock.duration(step)}]) * {clock.number(step)}"


def _allowed(promise: Promise) -> str:
    return f"{round(1 - promise.objective, 9):g}"


def _ratio(promise: Promise, window: str) -> str:
    if promise.time is not None:
        return f'avg_over_time(postroom:promise_bad:bool{{promise="{promise.name}"}}[{window}])'
    return f"({_bad(promise, 'rate', window)}) / ({_total(promise, 'rate', window)})"


def _bad(promise: Promise, function: str, window: str) -> str:
    if promise.histogram is not None:
        good = f'{promise.histogram.metric}_bucket{{le="{promise.histogram.within_s!r}"}}'
        return f"{_total(promise, function, window)} - sum({function}({good}[{window}]))"
    assert promise.ratio is not None  # noqa: S101 - the model has exactly one, and time is not counted
    # A counter that has never counted is not there, and nothing is not 0.
    return f"sum({function}({promise.ratio.bad}[{window}])) or vector(0)"


def _total(promise: Promise, function: str, window: str) -> str:
    if promise.histogram is not None:
        return f"sum({function}({promise.histogram.metric}_count[{window}]))"
    assert promise.ratio is not None  # noqa: S101 - as above
    return f"sum({function}({promise.ratio.total}[{window}]))"
