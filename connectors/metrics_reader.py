"""Reads `/metrics` of our own processes, as Prometheus would; for a machine that has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

TIMEOUT_S = 2.0


class Sample(NamedTuple):
    """One number that a process tells."""

    name: str
    labels: Mapping[str, str]
    value: float


def read_metrics(urls: Iterable[str]) -> tuple[list[Sample], list[str]]:
    """Read each process's numbers; return them together, and the addresses that did not answer."""
    import httpx
    from prometheus_client.parser import text_string_to_metric_families

    samples: list[Sample] = []
    silent = []
    for url in urls:
        try:
            answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False)
            answer.raise_for_status()
            families = list(text_string_to_metric_families(answer.text))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            silent.append(url)
            continue
        samples += [
            Sample(each.name, each.labels, float(each.value))
            for family in families
            for each in family.samples
        ]
    return samples, silent
