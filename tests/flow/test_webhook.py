"""From a department's event to a signed webhook on a real Kafka, with both ends killed on the way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from postroom.config import Settings
from tests.flow.spine import ROOT, decided, installation, now_ms, registered
from tests.flow.webhook_processes import AGREEMENT, KEY, PATIENCE_S, Webhooks, nhs

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

PEOPLE = 24


@pytest.fixture(scope="module")
def webhooks(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Webhooks]:
    agreements = ROOT / "schemas" / "agreements"
    with installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        made = Webhooks(own)
        own.start("one", "faust")
        try:
            yield made
        finally:
            made.close()


NUMBERS = [nhs(number) for number in range(PEOPLE)]


def test_views_and_withdrawals_arrive_although_both_ends_are_killed(webhooks: Webhooks):
    """Events become signed webhooks; kill -9 of the sender, of the receiver, of both; every view of the topic
    and every retraction arrives, in order of each key, a repetition with the same id and the same bytes (V2).
    """
    own = webhooks.own
    webhooks.start("webhook", "receiver")
    own.publish([registered(number, now_ms()) for number in NUMBERS])
    own.publish([decided(number, "GRANTED", now_ms()) for number in NUMBERS])
    for names in (("webhook",), ("receiver",), ("webhook", "receiver")):
        seen = len(webhooks.deliveries())
        webhooks.until(
            lambda seen=seen: len(webhooks.deliveries()) > min(seen, PEOPLE - 1), "nothing arrives"
        )
        webhooks.kill(*names)
        time.sleep(0.5)
        webhooks.start(*names)
    webhooks.until(lambda: webhooks.holds(PEOPLE), "not every view arrived")

    withdrawn = NUMBERS[: PEOPLE // 2]
    seen = len(webhooks.deliveries())  # before: all of it may have arrived by the time publishing returns
    own.publish([decided(number, "WITHDRAWN", now_ms()) for number in withdrawn])
    webhooks.until(lambda: len(webhooks.deliveries()) > seen, "no retraction arrives")
    webhooks.kill("webhook", "receiver")
    webhooks.start("webhook", "receiver")
    webhooks.until(lambda: webhooks.holds(PEOPLE - len(withdrawn)), "not every retraction arrived")

    webhooks.assert_what_the_topic_says()


def test_what_ends_while_an_endpoint_is_parked_is_retracted_when_it_is_released(webhooks: Webhooks):
    """An operator parks, a citizen withdraws, the process is killed; the release delivers the retraction."""
    own = webhooks.own
    assert own.command("webhook", "status").returncode == 0
    assert own.command("webhook", "park", "york").returncode == 0
    done = own.command("webhook", "status", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)[0]["state"]) == (1, "parked")
    held = json.loads(done.stdout)[0]["held"]
    assert held == PEOPLE // 2
    time.sleep(2)  # it looks every second
    before = own.ends([f"view.{AGREEMENT}"])
    count = len(webhooks.deliveries())
    own.publish([decided(NUMBERS[-1], "WITHDRAWN", now_ms())])
    assert own.wait_moved([f"view.{AGREEMENT}"], before, PATIENCE_S)
    time.sleep(2)
    assert len(webhooks.deliveries()) == count, "parked is parked"
    webhooks.kill("webhook")
    webhooks.start("webhook")
    assert own.command("webhook", "release", "york").returncode == 0
    webhooks.until(lambda: webhooks.holds(held - 1), "the retraction did not arrive after the release")
    assert own.command("webhook", "release", "nobody").returncode == 2


def test_a_newer_file_is_taken_up_while_it_runs(webhooks: Webhooks):
    """A wrong one changes nothing and is said; a right one replaces the courier, and a key is rotated."""
    own, log = webhooks.own, webhooks.own.place / "webhook.log"
    good = webhooks.file.read_text()
    webhooks.file.write_text(good.replace("council-york\n", "council-leeds\n"))
    webhooks.until(lambda: "webhooks-wrong" in log.read_text(), "a wrong file is not noticed")
    taken = log.read_text().count("webhooks-taken-up")
    key = own.place / "new.key"
    made = own.command("webhook", "key")
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as handle:
        handle.write(made.stdout)
    webhooks.file.write_text(good.replace("keys: [", "keys: [{file: new.key}, "))
    webhooks.until(lambda: log.read_text().count("webhooks-taken-up") > taken, "a right file is not taken up")
    count = len(webhooks.deliveries())
    own.publish([decided(NUMBERS[-2], "WITHDRAWN", now_ms())])
    webhooks.until(lambda: len(webhooks.deliveries()) > count, "nothing arrives under the new file")
    done = own.command("webhook", "list", "-o", "json")
    assert [row["state"] for row in json.loads(done.stdout)] == ["active"]


def test_it_ends_with_0_and_its_log_names_nobody(webhooks: Webhooks):
    """SIGTERM, and no identifier, name, key of a view or secret in what it said."""
    process = webhooks.running.pop("webhook")
    process.terminate()
    assert process.wait(30) == 0, webhooks.own.said("webhook")
    log = (webhooks.own.place / "webhook.log").read_text()
    assert "webhook-permitted" in log
    for text in (*NUMBERS, "Garamond", "Amina", KEY, *webhooks.by_key()):
        assert text not in log


def test_a_receiver_inside_is_refused_where_no_network_is_opened(webhooks: Webhooks):
    """The same file on an installation that opens nothing: exit 2, and the field is named."""
    done = webhooks.own.command("webhook", "check", POSTROOM_WEBHOOK_NETWORKS="")
    assert done.returncode == 2
    assert b"endpoints.york.url" in done.stderr
    assert webhooks.own.command("webhook", "check").returncode == 0
    assert webhooks.own.command("webhook", "check", "--ask").returncode == 0
    webhooks.kill("receiver")
    assert webhooks.own.command("webhook", "check", "--ask").returncode == 1
