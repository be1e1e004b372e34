"""New contracts and agreements are taken up by running workers, without a restart (V9, V1)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.topics import wanted_topics
from tests.flow.spine import PARTITIONS, ROOT, Installation, event, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(600)]

SHELLS = ("faust", "plain")
WITHIN_S = 60
"""What is promised, from the moment that all that the rules need is there."""

PATIENCE_S = 180
"""What a crowded machine may need for all else."""

NHS, OTHER_NHS = "9912003888", "9434765919"
MOBILITY = """\
  mobility:
    category: health
    description: Whether the person needs help on stairs.
    sensitivity: special-category
    items: false
    trust: [nhs]
"""
OUTREACH = {
    "type": "record",
    "name": "Outreach",
    "namespace": "uk.gov.health",
    "doc": "What a visit found.",
    "postroom": {"owners": ["nhs"], "retention": "P10Y"},
    "fields": [
        {"name": "nhs_number", "type": "string", "postroom": {"identifier": "nhs", "role": "subject"}},
        {"name": "stairs", "type": "string", "postroom": {"attribute": "mobility"}},
    ],
}
VISITORS = """\
agreement: nhs-visitors
version: 1
subscriber: nhs
purpose: home-visits
basis: vital_interests
gateway: Care Act 2014 s.42
valid: {from: 2025-01-01, until: 2028-12-31}
subject: nhs
scope: everyone
attributes:
  - {attribute: mobility}
delete_within: P1D
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The demo's contracts and agreements, to be changed; one agreement names what nobody states yet."""
    copied = tmp_path / "rules"
    shutil.copytree(ROOT / "schemas", copied, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    with (copied / "attributes.yaml").open("a") as attributes:
        attributes.write(MOBILITY)
    safeguarding = copied / "agreements" / "nhs-safeguarding.yaml"
    text = safeguarding.read_text()
    safeguarding.write_text(text.replace("attributes:\n", "attributes:\n  - {attribute: mobility}\n", 1))
    return copied


@pytest.mark.parametrize("shell", SHELLS)
def test_running_workers_take_up_a_contract_and_an_agreement(
    request: pytest.FixtureRequest, stack_settings: Settings, rules: Path, shell: str
) -> None:
    """A contract that cannot be used changes nothing; mended and registered, its events reach views within
    the minute; so does a new agreement reach everyone.
    """
    contract = rules / "health" / "outreach.v1.avsc"
    with installation(request, stack_settings, rules, rules / "agreements") as own:
        for name in ("one", "two"):
            own.start(name, shell)
        own.publish([registered(NHS, now_ms() - 1000)])
        until(lambda: bool(seen(own, "nhs-safeguarding", NHS)), own)

        contract.write_text(json.dumps(OUTREACH | {"postroom": {"owners": ["nhs"]}}))
        until(lambda: all(said(own, name, "rules-wait") for name in own.workers), own)
        contract.write_text(json.dumps(OUTREACH))
        until(lambda: all(len(said(own, name, "rules-wait")) > 1 for name in own.workers), own)
        contract.rename(contract.with_suffix(".away"))  # publishers read the directory too
        own.publish([registered(OTHER_NHS, now_ms() - 1000)])
        until(lambda: bool(seen(own, "nhs-safeguarding", OTHER_NHS)), own)
        contract.with_suffix(".away").rename(contract)

        own.prepare()  # registers it, and makes its topic
        reread(own)
        told = {"nhs_number": NHS, "stairs": "none"}
        own.publish([event("v1", "urn:gov:nhs:visits", "uk.gov.health.outreach.v1", now_ms() - 1000, told)])
        needed_s = until(lambda: seen(own, "nhs-safeguarding", NHS).get("mobility") == "none", own, WITHIN_S)
        print(f"{shell}: a contract is taken up after {needed_s:.0f} s")

        (rules / "agreements" / "nhs-visitors.yaml").write_text(VISITORS)
        own.prepare()
        reread(own)
        needed_s = until(lambda: seen(own, "nhs-visitors", NHS) == {"mobility": "none"}, own, WITHIN_S)
        print(f"{shell}: an agreement is taken up after {needed_s:.0f} s")

        took = lambda: min(len(said(own, name, "rules-taken-up")) for name in own.workers)  # noqa: E731 - used once
        until(lambda: took() >= 2, own, WITHIN_S)  # one worker shows it, the other may come later
        assert own.exits == []
        for name in own.workers:
            reasons = [(line["what"], line["why"]) for line in said(own, name, "rules-wait")]
            assert len(reasons) == len(set(reasons)), "each reason is said once"
            assert "Amina" not in own.said(name, 10_000)
        assert set(own.stop().values()) == {0}


def until(true: Callable[[], bool], own: Installation, within_s: float = PATIENCE_S) -> float:
    """Wait for it while no worker ends; return the seconds."""
    started = time.monotonic()
    while not true():
        ended = {name: worker.poll() for name, (worker, _) in own.workers.items()}
        logs = "\n".join(f"== {name}\n{own.said(name)}" for name in own.workers)
        assert set(ended.values()) == {None}, f"{ended}\n{logs}"
        assert time.monotonic() - started < within_s, f"not within {within_s} s\n{logs}"
        time.sleep(0.5)
    return time.monotonic() - started


def seen(own: Installation, agreement: str, nhs: str) -> dict[str, Any]:
    """What the agreement's subscriber has of a person now."""
    found: dict[str, Any] = {}
    for record in own.view_records().get(agreement, ()):
        if record.key == f"nhs:{nhs}":
            found = record.value or {}
    return found


def said(own: Installation, worker: str, what: str) -> list[dict[str, Any]]:
    """The lines of a worker's log that say this."""
    lines = own.said(worker, 10_000).splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == what]


def reread(own: Installation) -> None:
    """Let the test know what the installation has by now."""
    own.contracts, own.agreements = load_rules_files(own.settings.contracts_dir, own.settings.agreements_dir)
    wanted = wanted_topics(own.contracts, own.agreements.values(), PARTITIONS)
    own.topics = {topic.name: topic.partitions for topic in wanted}
