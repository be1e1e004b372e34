"""Alerts on a real Prometheus over the real stack: a fault, the page that it brings, and no other page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from postroom.config import Settings
from postroom.metrics_page import PROCESSES, declared
from tests.alerts.expressions import exposed
from tests.alerts.promtool import tool
from tests.alerts.test_dashboards import BOARDS, expressions
from tests.flow.alarms import Alarms, nothing
from tests.flow.spine import ROOT, installation

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

PATIENCE_S = 120
RUN = ("Every process", "postroom run", "gateway", "canary")
"""The processes that are run here, as the catalogue's headings name them."""
SELDOM = {
    "postroom_certificate_end_timestamp_seconds",  # there is no TLS here
    "postroom_disputes_open",
    "postroom_gateway_refusals_total",
    "postroom_dead_letters_closed",
    "postroom_obligations_overdue",
}
"""What is counted only once it happens, and does not happen here."""
RETRACTED = "postroom_withdrawal_to_retraction_seconds"
PROMPTLY = f'{RETRACTED}_bucket{{le="1.0"}}'
FAULTS = (
    "worker killed",
    "stages stutter",
    "events break the contract",
    "registry hangs",
    "canary objected to",
    "webhook's topic taken away",
)


@pytest.fixture(scope="module")
def alarms(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Alarms]:
    """A worker, a gateway, a canary and a webhook, watched by Prometheus and Alertmanager."""
    for program in ("prometheus", "prometheus-alertmanager"):
        tool(program)
    with (
        installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as own,
        Alarms(own).watched() as made,
    ):
        yield made


def test_nobody_is_woken_while_all_is_well(alarms: Alarms):
    """Every target is scraped, every stage is ready, and no page fires."""
    tower = alarms.tower
    tower.until(lambda: len(tower.query("up == 1")) == len(alarms.ports), "all scraped", PATIENCE_S, nothing)
    ready = "postroom:stage_ready:processes == 1"
    tower.until(lambda: len(tower.query(ready)) == 5, "all stages ready", PATIENCE_S, nothing)
    tower.until(lambda: not tower.firing(), "no page at the beginning", PATIENCE_S, nothing)
    assert not tower.pages()


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=FAULTS)
def test_a_fault_wakes_somebody_once_and_for_the_right_reason(alarms: Alarms, number: int):
    """V6, V7: injected, told by its alert and by no other page; mended, it ends.

    It begins when the one before is over: what that one explained, as the canary's silence behind a dead
    stage, ends after it, and would be told as if it were of this one.
    """
    fault, tower = alarms.faults()[number], alarms.tower
    lasting = {each.alert for each in alarms.faults()[:number] if each.lasting}
    tower.until(lambda: tower.firing() <= lasting, f"{fault.name}: nothing of before", PATIENCE_S, nothing)
    before = len(tower.told)
    fault.inject()
    tower.until(lambda: fault.alert in tower.pages(before), f"{fault.name}: told", PATIENCE_S, fault.go_on)
    fault.mend()
    if not fault.lasting:  # below is waited until that is over
        tower.until(lambda: fault.alert not in tower.firing(), f"{fault.name}: over", PATIENCE_S, nothing)
    assert tower.pages(before) == {fault.alert}, tower.told[before:]


def test_after_all_faults_everything_is_well_again(alarms: Alarms):
    """Each alert clears, and whoever was woken is told so; but no page ends that tells the truth.

    Retractions may really be late on a machine that has too much to do, and that is no fault of an alert.
    """
    tower = alarms.tower
    tower.until(lambda: tower.firing() <= true_still(alarms), "all pages over", 2 * PATIENCE_S, nothing)
    told = lambda: {each.name for each in tower.told if each.status == "resolved"}  # noqa: E731 - used twice
    over = {fault.alert for fault in alarms.faults()}
    tower.until(lambda: over - true_still(alarms) <= told(), "all told as over", PATIENCE_S, nothing)


def true_still(alarms: Alarms) -> set[str]:
    """The pages that may rightly be there although every fault is mended."""
    late = alarms.tower.query(f"sum(increase({RETRACTED}_count[1m])) - sum(increase({PROMPTLY}[1m])) > 0")
    return {"PostroomRetractionsLate"} if late else set()


def test_every_text_was_filled_in_and_names_nobody(alarms: Alarms):
    """Templates expand, and no label or text of a notification holds an identifier."""
    assert alarms.tower.told
    for each in alarms.tower.told:
        text = " ".join([*each.texts.values(), *each.labels.values()])
        assert "<no value>" not in text
        assert "error expanding" not in text
        assert not re.search(r"nhs:|canary:|Garamond|\bp-[0-9a-f]{8}", text)
        assert each.texts["runbook"] == f"docs/runbooks/{each.name}.md"
        assert (ROOT / each.texts["runbook"]).is_file()


def test_what_is_scraped_is_what_the_catalogue_says(alarms: Alarms):
    """No series and no label that the catalogue does not have: rules and boards are checked against it."""
    known = exposed()
    created = {name for name in alarms.tower.series() if name.endswith("_created")}
    for name, labels in alarms.tower.series().items():
        if name.startswith("postroom_") and name not in created:
            assert labels <= known[name], name


def test_boards_show_what_a_running_system_exposes(alarms: Alarms):
    """What boards and rules use was scraped, with its labels; but for what happens seldom."""
    seen = alarms.tower.series()
    named = " ".join(expr for board in BOARDS for expr in expressions(board))
    run = [module for title, module in PROCESSES if any(word in title for word in RUN)]
    theirs = tuple(metric.name for module in run for metric in declared(module))
    used = {name for name in exposed() if name.startswith(theirs) and re.search(rf"\b{name}\b", named)}
    assert len(used) > 40
    assert used - seen.keys() <= SELDOM
    for name, labels in exposed().items():
        assert name not in seen or not name.startswith("postroom_") or labels <= seen[name], name
