"""A process of ours whose signals are looked at: what its metrics say, and whether it is ready."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable

import httpx
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

from postroom.first_series import Series
from postroom.metrics_page import name_of
from tests.flow.spine import Installation

PATIENCE_S = 120
Scraped = dict[str, list[tuple[dict[str, str], float]]]


class Watched:
    """A process whose signals are looked at; what it ever showed is kept, to be searched for people."""

    def __init__(self, own: Installation, log: str) -> None:
        self.own, self.log = own, own.place / log
        self.pages: list[str] = []

    def url(self, life: int = 1) -> str:
        """Where its signals are, in the so many-th life that the log tells of."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            text = self.log.read_text() if self.log.exists() else ""
            found = re.findall(r'"url": "(http://[0-9.:]+)"', text)
            if len(found) >= life:
                return str(found[life - 1])
            time.sleep(0.02)
        raise AssertionError(text)

    def scrape(self, url: str) -> Scraped:
        """All samples, by name."""
        page = httpx.get(f"{url}/metrics", trust_env=False, timeout=20).text
        self.pages.append(page)
        found: Scraped = defaultdict(list)
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                found[sample.name].append((dict(sample.labels), sample.value))
        return found

    def until(self, url: str, wanted: Callable[[Scraped], bool]) -> Scraped:
        """Scrape until it shows what is waited for."""
        end = time.monotonic() + PATIENCE_S
        while not wanted(scraped := self.scrape(url)):
            assert time.monotonic() < end, f"never so:\n{self.pages[-1]}\n{self.log.read_text()[-2000:]}"
            time.sleep(0.2)
        return scraped


def total(scraped: Scraped, name: str, **labels: str) -> float:
    """The sum over all series with these labels."""
    return sum(value for found, value in scraped.get(name, ()) if labels.items() <= found.items())


def not_told(scraped: Scraped, series: Series) -> list[tuple[str, tuple[str, ...]]]:
    """What a process should tell from its beginning and does not."""
    missing = []
    for metric, labels in series.items():
        name = name_of(metric) + ("_count" if isinstance(metric, Histogram) else "")
        there = {tuple(found[label] for label in metric._labelnames) for found, _ in scraped.get(name, ())}
        missing += [(name, values) for values in labels if values not in there]
    return missing


def ready(url: str) -> int:
    """What it answers to whether it is ready."""
    return httpx.get(f"{url}/health/ready", trust_env=False, timeout=20).status_code
