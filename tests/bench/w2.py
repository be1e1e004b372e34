"""W2, the full backbone: the synthetic departments under the repository's contracts and agreements, a process
a stage, growing along one axis at a time: citizens, agreements, identifiers a person.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from processors import ASSERTIONS_TOPIC, view_topic
from tests.bench.ground import POSTROOM, ROOT, Ground, prepared, say
from tests.bench.measure import Measured, NotDone, Program, run
from tests.bench.recovery_restore import restored
from tests.bench.w1.programs import INNER, STAGES
from tests.bench.w2_people import IDENTIFIERS, country, load, people
from tests.bench.w2_state import Left, changelog, left_by

COLUMNS = (
    "citizens",
    "agreements",
    "identifiers",
    "events",
    "events_per_s",
    "cpu_s_per_million",
    *STAGES,
    "claims",
    "claims_per_cpu_s",
    "pair_bytes",
    "persons_restore_s",
    "state_kib",
    "stores_kib",
    "inputs_kib",
    "topics_kib",
    "rss_mib",
    "others_cores",
    "note",
)
"""Stages in CPU seconds per million events; KiB a citizen: state as compacted, disks before compaction."""

CONTRACTS, AGREEMENTS = ROOT / "schemas", ROOT / "schemas" / "agreements"
PARTITIONS = 4
LIMIT_S = 3600.0
"""Two million events of 10⁵ citizens take more than a quarter of an hour where others work too."""
ONE_AGREEMENT = "council-leeds-housing"
PEOPLE = 2_000
EVENTS_EACH = 21
"""Of the synthetic departments' citizens, about."""
KIB = 1024
Row = dict[str, Any]


class Point(NamedTuple):
    """One run: so many citizens under so many agreements; of 0 identifiers are the departments' lives."""

    citizens: int
    agreements: int = 8
    identifiers: int = 0


POINTS = (
    Point(1_000, 8),
    Point(1_000, 1),
    Point(10_000, 8),
    *(Point(PEOPLE, 8, identifiers) for identifiers in IDENTIFIERS),
)
SCALE_POINTS = (
    Point(1_000, 100),
    Point(100_000, 8),
    Point(250_000, 8),  # as many as the synthetic ranges of test identifiers hold
)


def measure(events: int | None, only: str | None, points: Sequence[Point] = POINTS) -> list[Row]:
    """A row for each point.

    ``events`` caps the citizens at so many events, ``only`` names a number of citizens or `8 agreements`.
    """
    rows: list[Row] = []
    loaded = None
    with prepared(CONTRACTS, AGREEMENTS, PARTITIONS) as stack:
        for wanted in points:
            if only is not None and only not in (str(wanted.citizens), f"{wanted.agreements} agreements"):
                continue
            point = _capped(wanted, events)
            directory = agreements_of(stack.place, point.agreements)
            ground = Ground(stack.place, stack.environ | {"POSTROOM_AGREEMENTS": str(directory)}, stack.stack)
            if loaded == (population := (point.citizens, point.identifiers)):
                ground.wipe(keep=ground.inputs())
                ground.create()
            else:
                say(f"loading {point.citizens} citizens")
                load(ground, _events(point))
                loaded = population
            say(f"W2 {point}")
            rows.append(_row(point, ground))
    return rows


def _capped(point: Point, events: int | None) -> Point:
    return point._replace(citizens=min(point.citizens, events // EVENTS_EACH)) if events else point


def _events(point: Point) -> Iterator[dict[str, Any]]:
    return people(point.citizens, point.identifiers) if point.identifiers else country(point.citizens)


def _row(point: Point, ground: Ground) -> Row:
    head = {"citizens": point.citizens, "agreements": point.agreements}
    head |= {"identifiers": point.identifiers} if point.identifiers else {}
    commands = {stage: (*POSTROOM, "run", stage, "--instance", stage) for stage in STAGES}
    views = tuple(view_topic(name) for name in sorted(ground.agreements))
    program = Program("Postroom", commands, "postroom.intake", views, ASSERTIONS_TOPIC, inner=INNER)
    try:
        measured = run(program, ground, LIMIT_S)
    except NotDone as why:
        say(str(why))
        return {**head, "failed": True, "note": str(why).partition("\n")[0]}
    left = left_by(ground)
    restore = restored(ground, changelog("persons"))
    return {
        **head,
        **_speed(measured, left),
        **_space(point, left),
        "persons_restore_s": round(restore.cold_s, 2),
    }


def _speed(measured: Measured, left: Left) -> Row:
    events = measured.events
    persons = measured.cpu_s("persons")
    return {
        "events": events,
        "events_per_s": round(events / measured.seconds),
        "cpu_s_per_million": round(measured.cpu_s() / events * 1e6),
        **{stage: round(measured.cpu_s(stage) / events * 1e6) for stage in STAGES},
        "claims": left.claims,
        "claims_per_cpu_s": round(left.claims / persons) if persons else None,
        "rss_mib": round(max(sample.rss_mib for sample in measured.samples)),
        "view_writes": measured.writes,
        "others_cores": round(measured.others_cores, 1),
    }


def _space(point: Point, left: Left) -> Row:
    def each(size: int) -> float:
        return round(size / KIB / point.citizens, 2)

    return {
        "pairs": left.pairs,
        "pair_bytes": round(left.state_bytes["persons"] / left.pairs) if left.pairs else None,
        "state_kib": each(sum(left.state_bytes.values())),
        **{f"{stage}_state_kib": each(size) for stage, size in left.state_bytes.items()},
        "stores_kib": each(left.stores_bytes),
        "inputs_kib": each(left.inputs_bytes),
        "topics_kib": each(left.topics_bytes),
        "disclosures_kib": each(left.disclosures_bytes),
        "views_kib": each(left.views_bytes),
        **{f"{stage}_keys": round(count / point.citizens, 2) for stage, count in left.keys.items()},
    }


def agreements_of(place: Path, count: int) -> Path:
    """A directory of so many: one of the repository's, its first, or copies of these under other names."""
    directory = place / f"agreements-{count}"
    if directory.exists():
        return directory
    directory.mkdir()
    originals = sorted(AGREEMENTS.glob("*.yaml"))
    if count == 1:
        shutil.copy(AGREEMENTS / f"{ONE_AGREEMENT}.yaml", directory)
        return directory
    for number in range(count):
        original = originals[number % len(originals)]
        copy = "" if number < len(originals) else f"-c{number // len(originals):02d}"
        text = original.read_text().replace(
            f"agreement: {original.stem}\n", f"agreement: {original.stem}{copy}\n"
        )
        (directory / f"{original.stem}{copy}.yaml").write_text(text)
    return directory
