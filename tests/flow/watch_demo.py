"""`make watch-demo`: a real stack, a real Prometheus, faults, and who would be woken; it ends by itself.

With `PICTURES=directory` it keeps pictures of Prometheus's own pages, taken with Chromium.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from connectors.trouble import Trouble
from postroom.config import load_settings
from tests.alerts.promtool import PACKAGES
from tests.flow.alarms import SCALE, Alarms, Fault, nothing
from tests.flow.spine import ROOT, installed

PROGRAMS = ("prometheus", "prometheus-alertmanager")
WITHIN_S = 180
QUIET_S = 15
"""So that there is something to see before the first fault."""
GRAPHS = {
    "stages": "postroom:stage_ready:processes",
    "withdrawals": 'postroom:errors:ratio_rate5m{promise="retractions-prompt"}',
}


def main() -> int:
    """Tell the story, return the exit code."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        say(f"{', '.join(missing)} not found: apt-get install {PACKAGES}")
        return 3
    say("starting Kafka, a registry, a worker, a gateway, a canary, Prometheus and Alertmanager (a minute)")
    try:
        cache = load_settings(dict(os.environ), Path.cwd()).cache_dir
        with (
            installed(cache, ROOT / "schemas", ROOT / "schemas/agreements") as own,
            Alarms(own).watched() as alarms,
        ):
            return tell(alarms)
    except Trouble as trouble:
        say(str(trouble))
        return 3


def tell(alarms: Alarms) -> int:
    """Go through the faults one by one."""
    tower, began = alarms.tower, time.monotonic()
    say(f"Prometheus is at {tower.http.base_url}; its alerts' time runs {SCALE} times faster than in earnest")
    tower.until(
        lambda: len(tower.query(f"{GRAPHS['stages']} == 1")) == 5, "all stages ready", WITHIN_S, nothing
    )
    time.sleep(QUIET_S)
    for number, fault in enumerate(alarms.faults(), 1):
        say(f"\n{number}. {fault.name}")
        woken = one(alarms, fault)
        if woken != {fault.alert}:
            say(f"   this is not as it should be: {sorted(woken)}")
            return 1
    for fault in alarms.faults():
        over(alarms, fault)
    pictures = os.environ.get("PICTURES")
    if pictures:
        minutes = int((time.monotonic() - began) // 60) + 1
        take_graphs(str(tower.http.base_url), Path(pictures), f"{minutes}m")
    say("\nAll faults were told, each by its own page, and each is over. docs/runbooks says what to do then.")
    return 0


def one(alarms: Alarms, fault: Fault) -> set[str]:
    """Inject, wait until somebody is woken, mend, wait until it is over; return who was woken for what."""
    tower = alarms.tower
    before, began = len(tower.told), time.monotonic()
    fault.inject()
    tower.until(lambda: fault.alert in tower.pages(before), f"{fault.alert} told", WITHIN_S, fault.go_on)
    page = next(each for each in tower.told[before:] if each.name == fault.alert)
    say(f"   page after {time.monotonic() - began:.0f} s: {page.name}: {page.texts['summary']}")
    say(f"   {page.texts['runbook']}")
    held_back = tower.firing() - tower.pages()
    if held_back:
        say(f"   held back, because it follows from that: {', '.join(sorted(held_back))}")
    pictures = os.environ.get("PICTURES")
    if pictures and fault.alert == "PostroomStageDown":
        take_alerts(str(tower.http.base_url), Path(pictures))
    fault.mend()
    if not fault.lasting:
        over(alarms, fault)
    return tower.pages(before)


def over(alarms: Alarms, fault: Fault) -> None:
    """Wait until a fault that was mended is no longer told."""
    tower, mended = alarms.tower, time.monotonic()
    tower.until(lambda: fault.alert not in tower.firing(), f"{fault.alert} over", WITHIN_S, nothing)
    say(f"   {fault.alert} is over, {time.monotonic() - mended:.0f} s after this was waited for")


def take_graphs(address: str, where: Path, of_the_last: str) -> None:
    """Keep pictures of Prometheus's own graphs, from the beginning of the story on."""
    for name, expr in GRAPHS.items():
        asked = {"g0.expr": expr, "g0.tab": "0", "g0.range_input": of_the_last}
        take(f"{address}/classic/graph?{urlencode(asked)}", where / f"prometheus-{name}.png", 920)


def take_alerts(address: str, where: Path) -> None:
    """Keep a picture of Prometheus's list of what fires and what is about to, what is quiet folded away."""
    fold = "document.querySelectorAll('tr.alert-success').forEach(row => row.style.display = 'none')"
    take(f"{address}/classic/alerts", where / "prometheus-alerts.png", 700, fold)


def take(page: str, file: Path, height: int, before: str = "0") -> None:
    """Keep a picture of a page, once a script was run in it."""
    from tests.chromium import browser

    file.parent.mkdir(parents=True, exist_ok=True)
    with browser() as tab:
        tab.size(1120, height)
        tab.open(page)
        assert not any("not loaded" in trouble or "404" in trouble for trouble in tab.troubles), tab.troubles
        tab.run("new Promise(done => setTimeout(done, 4000))")  # it draws what it has asked for
        tab.run(before)
        tab.run("new Promise(done => setTimeout(done, 500))")
        file.write_bytes(tab.picture())
    say(f"   picture: {file}")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
