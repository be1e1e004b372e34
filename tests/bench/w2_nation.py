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
Line = tuple[str, str, str]


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


class Nation:
    """The country's figures, of what the runs measured and what is assumed."""

    def __init__(self, w2: Row, restore: Row, country: Country) -> None:
        self.w2, self.restore, self.country = w2, restore, country
        self.citizens = country.citizens
        self.per_s = country.citizens * country.events_per_citizen_year / YEAR_S
        self.cores = self.per_s * country.peak * w2["cpu_s_per_million"] / 1e6 / country.busy
        self.events_each = w2["events"] / w2["citizens"]
        self.keys = {
            stage: w2[f"{stage}_keys"] * self.citizens for stage in ("identity", "persons", "record")
        }

    def table(self) -> list[Line]:
        """What, how much, and from which figures."""
        return [*self.work(), *self.persons(), *self.partitions(), *self.disks(), *self.memory_and_views()]

    def work(self) -> list[Line]:
        """Events, and the cores that they keep busy."""
        peak = self.per_s * self.country.peak
        return [
            ("events a second, mean and peak", f"{self.per_s:.0f}, {peak:.0f}", "assumed"),
            ("cores at the peak", f"{self.cores:.1f}", "`cpu_s_per_million`"),
        ]

    def persons(self) -> list[Line]:
        """The one partition: its rate, its state, its restore."""
        w2, each_cpu_s = self.w2, self.w2["claims_per_cpu_s"]
        peak = self.per_s * w2["claims"] / w2["events"] * self.country.peak
        first_load = w2["claims"] / w2["citizens"] * self.citizens / each_cpu_s / 3600
        gib = w2["persons_state_kib"] * self.citizens / (1 << 20)
        hours = self.keys["persons"] / self.restore["records_per_s"] / 3600
        return [
            (
                "claims a second at the peak, at most (as many an event as in W2)",
                f"{peak:.0f}",
                "`claims` / `events`",
            ),
            ("persons: cores at the peak", f"{peak / each_cpu_s:.2f}", "`claims_per_cpu_s`"),
            (
                "persons: hours of one core for the first load",
                f"{first_load:.1f}",
                "`claims`, `claims_per_cpu_s`",
            ),
            ("persons: state, GiB", f"{gib:.0f}", "`persons_state_kib`"),
            ("persons: cold restore, hours", f"{hours:.1f}", "`persons_keys`, `records_per_s`"),
        ]

    def partitions(self) -> list[Line]:
        """How many, so that none takes too long to come back."""
        restore_s_max = self.country.restore_s_max
        largest = max(self.keys["identity"], self.keys["record"])
        partitions = max(math.ceil(largest / (self.restore["records_per_s"] * restore_s_max)), 1)
        return [
            (
                f"partitions for a restore in {restore_s_max / 60:.0f} min",
                str(partitions),
                "`identity_keys`, `record_keys`, `records_per_s`",
            ),
            ("identity and record: keys a task", f"{largest / partitions / 1e6:.1f} million", "the same"),
        ]

    def disks(self) -> list[Line]:
        """What lies on workers and, by replicas, on brokers, in TiB."""
        w2, country = self.w2, self.country
        kept = country.events_per_citizen_year * country.years_kept / self.events_each
        years, log = f"{country.years_kept:.0f} years, TiB", self.log_tib()
        between_kib = (w2["topics_kib"] - w2["disclosures_kib"] - w2["views_kib"]) / self.events_each
        between = self.per_s * WEEK_S * between_kib * country.replicas / KIB_PER_TIB
        changelogs = w2["state_kib"] * country.changelog_slack * log
        stores = w2["stores_kib"] * self.citizens / KIB_PER_TIB
        return [
            ("local stores, TiB, all workers together", f"{stores:.1f}", "`stores_kib`"),
            ("changelogs on brokers, TiB", f"{changelogs:.1f}", "`state_kib`, replicas, slack"),
            (
                f"department topics of {years}",
                f"{w2['inputs_kib'] * kept * log:.1f}",
                "`inputs_kib`, `events`, replicas",
            ),
            (
                f"disclosures of {years}",
                f"{w2['disclosures_kib'] * kept * log:.1f}",
                "`disclosures_kib`, `events`, replicas",
            ),
            (
                "between stages, with changelogs before compaction, 7 days, TiB",
                f"{between:.1f}",
                "`topics_kib` less disclosures and views, replicas",
            ),
        ]

    def memory_and_views(self) -> list[Line]:
        """What is left."""
        gib = math.ceil(self.cores) * self.w2["rss_mib"] / STAGES / 1024
        views = self.w2["views_kib"] * self.log_tib()
        return [
            (
                "memory of the workers at the peak, GiB, caches apart",
                f"{gib:.1f}",
                "`rss_mib`, a process a core",
            ),
            ("views before compaction, TiB", f"{views:.1f}", "`views_kib`, replicas"),
        ]

    def log_tib(self) -> float:
        """What a KiB of every citizen takes on the brokers."""
        return self.country.replicas * self.citizens / KIB_PER_TIB


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("figures", type=Path, help="what `make bench BENCH='... -o json'` wrote")
    parts = json.loads(parser.parse_args().figures.read_text())["parts"]
    runs = [row for row in parts["w2"] if row["agreements"] == AGREEMENTS and "identifiers" not in row]
    w2 = max((row for row in runs if not row.get("failed")), key=lambda row: row["citizens"])
    restore = next(row for row in parts["recovery"] if "empty store" in row["what"])
    print("| what | 70 million | from |\n| --- | --- | --- |")
    for line in Nation(w2, restore, Country()).table():
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
