"""The arithmetic for a country, from what `make bench` measured: partitions, disk, workers, restore.

    make bench BENCH="--part w2 --part recovery -o json" > figures.json
    python tests/bench/w2_nation.py figures.json

Measured figures are taken from the largest run under the repository's eight agreements and from the
restore; what is assumed stands in `Country`, each with its reason. Prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KIB_PER_TIB = 1 << 30
YEAR_S = 365 * 86_400
WEEK_S = 7 * 86_400
AGREEMENTS, STAGES = 8, 5
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Country:
    """What is assumed, not measured."""

    citizens: int = 70_000_000
    events_per_citizen_year: float = 50.0
    """A wage or benefit a month, and a few dozen else; the synthetic departments say 3.5."""
    peak: float = 10.0
    """The busiest hour beside the mean: payday, the end of a tax year."""
    busy: float = 0.5
    """Share of a core that a worker may use at the peak, so that it also catches up."""
    replicas: int = 3
    years_kept: float = 7.0
    """Of department topics and disclosures."""
    restore_s_max: float = 600.0
    """How long a task whose store is lost may take to come back."""
    changelog_slack: float = 2.0
    """A changelog between two compactions, beside its compacted size."""


def table(w2: Row, restore: Row, country: Country) -> list[tuple[str, str, str]]:
    """What, how much, and from which figures."""
    citizens, year = country.citizens, country.events_per_citizen_year
    per_s = citizens * year / YEAR_S
    peak = per_s * country.peak
    cores = peak * w2["cpu_s_per_million"] / 1e6 / country.busy
    events_each = w2["events"] / w2["citizens"]
    keys = {stage: w2[f"{stage}_keys"] * citizens for stage in ("identity", "persons", "record")}
    per_task = restore["records_per_s"] * country.restore_s_max
    partitions = max(math.ceil(keys["identity"] / per_task), math.ceil(keys["record"] / per_task), 1)
    between_kib = (w2["topics_kib"] - w2["disclosures_kib"] - w2["views_kib"]) / events_each
    between_tib = per_s * WEEK_S * between_kib * country.replicas / KIB_PER_TIB
    kept = year * country.years_kept / events_each
    log = country.replicas * citizens / KIB_PER_TIB
    claims_s = per_s * w2["claims"] / w2["events"]
    return [
        ("events a second, mean and peak", f"{per_s:.0f}, {peak:.0f}", "assumed"),
        ("cores at the peak", f"{cores:.1f}", "`cpu_s_per_million`"),
        (
            "claims a second at the peak, at most (as many an event as in W2)",
            f"{claims_s * country.peak:.0f}",
            "`claims` / `events`",
        ),
        (
            "persons: cores at the peak",
            f"{claims_s * country.peak / w2['claims_per_cpu_s']:.2f}",
            "`claims_per_cpu_s`",
        ),
        (
            "persons: hours of one core for the first load",
            f"{w2['claims'] / w2['citizens'] * citizens / w2['claims_per_cpu_s'] / 3600:.1f}",
            "`claims`, `claims_per_cpu_s`",
        ),
        (
            "persons: state, GiB",
            f"{w2['persons_state_kib'] * citizens / (1 << 20):.0f}",
            "`persons_state_kib`",
        ),
        (
            "persons: cold restore, hours",
            f"{keys['persons'] / restore['records_per_s'] / 3600:.1f}",
            "`persons_keys`, `records_per_s`",
        ),
        (
            f"partitions for a restore in {country.restore_s_max / 60:.0f} min",
            str(partitions),
            "`identity_keys`, `record_keys`, `records_per_s`",
        ),
        (
            "identity and record: keys a task",
            f"{max(keys['identity'], keys['record']) / partitions / 1e6:.1f} million",
            "the same",
        ),
        (
            "local stores, TiB, all workers together",
            f"{w2['stores_kib'] * citizens / KIB_PER_TIB:.1f}",
            "`stores_kib`",
        ),
        (
            "changelogs on brokers, TiB",
            f"{w2['state_kib'] * country.changelog_slack * log:.1f}",
            "`state_kib`, replicas, slack",
        ),
        (
            f"department topics of {country.years_kept:.0f} years, TiB",
            f"{w2['inputs_kib'] * kept * log:.1f}",
            "`inputs_kib`, `events`, replicas",
        ),
        (
            f"disclosures of {country.years_kept:.0f} years, TiB",
            f"{w2['disclosures_kib'] * kept * log:.1f}",
            "`disclosures_kib`, `events`, replicas",
        ),
        (
            "between stages, with changelogs before compaction, 7 days, TiB",
            f"{between_tib:.1f}",
            "`topics_kib` less disclosures and views, replicas",
        ),
        (
            "memory of the workers at the peak, GiB, caches apart",
            f"{math.ceil(cores) * w2['rss_mib'] / STAGES / 1024:.1f}",
            "`rss_mib`, a process a core",
        ),
        ("views before compaction, TiB", f"{w2['views_kib'] * log:.1f}", "`views_kib`, replicas"),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("figures", type=Path, help="what `make bench BENCH='... -o json'` wrote")
    parts = json.loads(parser.parse_args().figures.read_text())["parts"]
    runs = [row for row in parts["w2"] if row["agreements"] == AGREEMENTS and "identifiers" not in row]
    w2 = max((row for row in runs if not row.get("failed")), key=lambda row: row["citizens"])
    restore = next(row for row in parts["recovery"] if "empty store" in row["what"])
    print("| what | 70 million | from |\n| --- | --- | --- |")
    for line in table(w2, restore, Country()):
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
