"""GOV.UK services on a real Kafka, each against its stand-in: what comes in becomes a view, what goes out
goes out once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.ports import free_port
from postroom.config import Settings
from processors import DISCLOSURES_TOPIC
from schemas import format_instant
from tests.flow.spine import (
    COMMAND,
    ROOT,
    Installation,
    decided,
    event,
    installation,
    now_ms,
    registered,
)
from tests.notify_kit import FILE as NOTICES
from tests.onelogin_kit import CLIENT_ID, CLIENTS, DRIVER, SUBJECT, file_text
from tests.pay_kit import ACCOUNT, FILE, SECRET, write_services
from tests.standins.govuk_notify_stand_in import API_KEY, TEMPLATES, GovukNotifyStandIn
from tests.standins.govuk_one_login_stand_in import GovukOneLoginStandIn
from tests.standins.govuk_pay_stand_in import GovukPayStandIn, message_body, over_http

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

PATIENCE_S = 120
ARREARS, REMINDERS = "council-leeds-arrears", "gds-licence-reminders"
AGREEMENTS = {
    ARREARS: f"""\
# Leeds' arrears team sees whether what was owed was paid, so that nobody who has paid is written to.
# A test's own agreement.
agreement: {ARREARS}
version: 1
subscriber: council-leeds
purpose: council-tax-collection
basis: public_task
gateway: Local Government Finance Act 1992
valid: {{from: 2025-01-01, until: 2028-12-31}}
subject: ctax
scope: everyone
attributes:
  - {{attribute: payment}}
delete_within: P1D
""",
    REMINDERS: f"""\
# The licensing service reminds drivers: whoever has a One Login account linked is known by it.
# A test's own agreement.
agreement: {REMINDERS}
version: 1
subscriber: gds
purpose: licence-reminders
basis: public_task
gateway: Road Traffic Act 1988 s.97
valid: {{from: 2025-01-01, until: 2028-12-31}}
subject: onelogin
scope: everyone
attributes:
  - {{attribute: licence, fields: [status]}}
delete_within: P1D
""",
}


class Govuk:
    """An installation and the processes of GOV.UK services beside it."""

    def __init__(self, own: Installation) -> None:
        self.own = own
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.pay_port = free_port()
        self.onelogin_port = free_port()
        self.one_login = GovukOneLoginStandIn()
        (own.place / "clients.yaml").write_text(CLIENTS)
        (own.place / "onelogin.yaml").write_text(file_text(self.one_login))
        self.notify = GovukNotifyStandIn(keep=own.place / "sent.jsonl")
        text = NOTICES.replace("URL", self.notify.url).replace("unknown_wait_s: 60", "unknown_wait_s: 2")
        (own.place / "notify.yaml").write_text(text)
        (own.place / "notify.key").write_text(API_KEY)
        (own.place / "notify.key").chmod(0o600)
        own.environ |= {
            "POSTROOM_NOTIFY": str(own.place / "notify.yaml"),
            "POSTROOM_PAY": str(write_services(own.place, FILE)),
            "POSTROOM_PAY_PORT": str(self.pay_port),
            "POSTROOM_ONELOGIN": str(own.place / "onelogin.yaml"),
            "POSTROOM_ONELOGIN_PORT": str(self.onelogin_port),
            "POSTROOM_GATEWAY_CLIENTS": str(own.place / "clients.yaml"),
        }

    def start(self, *words: str) -> None:
        """Start `postroom WORDS`; it is known by the first word."""
        with (self.own.place / f"{words[0]}.log").open("ab") as log:
            self.running[words[0]] = subprocess.Popen(
                [*COMMAND, *words], env=self.own.environment(), cwd=self.own.place, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """End it as a failing machine would."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def end(self, name: str) -> int:
        """End it with SIGTERM; return its exit code."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(30)

    def close(self) -> None:
        for name in [*self.running]:
            self.kill(name)
        self.one_login.close()
        self.notify.close()

    def log(self, name: str) -> str:
        return (self.own.place / f"{name}.log").read_text()

    def until(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait for something, while workers are started again as a supervisor does."""
        deadline = time.monotonic() + PATIENCE_S
        while not wanted():
            self.own.tend()
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} ended by itself\n{self.log(name)[-3000:]}"
            logs = "\n".join(f"== {name}\n{self.log(name)[-2000:]}" for name in (*self.running, "one"))
            assert time.monotonic() < deadline, f"{what}\n{logs}"
            time.sleep(0.2)

    def is_ready(self, port: int) -> bool:
        """Whether a door answers that it is."""
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def views(self, agreement: str) -> dict[str, Any]:
        """What a subscriber holds, by key."""
        return {record.key: record.value for record in self.own.view_records()[agreement]}


@pytest.fixture(scope="module")
def govuk(request: pytest.FixtureRequest, stack_settings: Settings, tmp_path_factory: Any) -> Iterator[Govuk]:
    agreements: Path = tmp_path_factory.mktemp("govuk") / "agreements"
    shutil.copytree(ROOT / "schemas" / "agreements", agreements)
    for name, text in AGREEMENTS.items():
        (agreements / f"{name}.yaml").write_text(text)
    with installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        made = Govuk(own)
        own.start("one", "faust")
        try:
            yield made
        finally:
            made.close()


# -- GOV.UK Pay ------------------------------------------------------------------------------------------


def test_a_payment_becomes_a_view_although_the_door_is_killed(govuk: Govuk):
    """Signed messages of GOV.UK Pay, in the wrong order and with kill -9 of the door between them, sent again
    as GOV.UK Pay does: the payer's view comes to the latest milestone, each write is disclosed once.
    """
    base = f"http://127.0.0.1:{govuk.pay_port}"
    sender = GovukPayStandIn(over_http(base), SECRET)
    metadata = {"council_tax_account": ACCOUNT}
    began_ms = now_ms() - 60_000
    for number, event_type in (
        (3, "card_payment_settled"),
        (1, "card_payment_succeeded"),
        (2, "card_payment_captured"),
    ):
        created = format_instant(began_ms + number * 1000)
        sender.queue(
            "/pay/leeds-council-tax", message_body(f"flow-{number}", created, event_type, metadata=metadata)
        )
    for message in sender.waiting():
        govuk.start("pay", "run")
        govuk.until(lambda: govuk.is_ready(govuk.pay_port), "the door is not ready")
        govuk.until(lambda message=message: sender.attempt(message), "the message is not taken")
        govuk.kill("pay")
        assert not sender.attempt(sender.queue(message.path, message.body)), "nobody is there"
    govuk.start("pay", "run")
    govuk.until(lambda: govuk.is_ready(govuk.pay_port), "the door is not ready")
    for message in sender.waiting():  # those that nobody was there for: the same messages again
        govuk.until(lambda message=message: sender.attempt(message), "the message is not taken")

    key = f"ctax:{ACCOUNT}"
    settled = {"service": "leeds-council-tax", "status": "SETTLED", "amount_pence": 5000, "refunded_pence": 0}
    item = {"item": "hu20sqlact5260q2nanm0q8u93", "value": settled}
    govuk.until(lambda: (govuk.views(ARREARS).get(key) or {}).get("payment") == [item], "no view of it")
    writes = [each for each in govuk.own.view_records()[ARREARS] if each.key == key]
    told = [each.value["payment"][0]["value"]["status"] for each in writes]
    milestones = [
        "SUCCEEDED",
        "CAPTURED",
        "SETTLED",
    ]  # how many of them a view shows depends on whose turn comes
    assert told == sorted(set(told), key=milestones.index), "written once, and never back to an earlier one"
    disclosed = [each["sequence"] for each in govuk.own.documents(DISCLOSURES_TOPIC) if each["key"] == key]
    assert sorted(disclosed) == [int(each.headers["postroom_sequence"]) for each in writes]


def test_a_message_that_is_not_signed_or_not_understood_is_no_event(govuk: Govuk):
    """401 and 422, nothing on the topic, and nothing of it in the log; SIGTERM ends the door with 0."""
    topic = "uk.gov.payments.card-payment.v1"
    before = govuk.own.ends([topic])
    path = f"http://127.0.0.1:{govuk.pay_port}/pay/leeds-council-tax"
    body = message_body("bad-1", format_instant(now_ms()), metadata={"council_tax_account": "NC999999C"})
    unsigned = httpx.post(path, content=body, headers={"pay-signature": "0" * 64})
    sender = GovukPayStandIn(over_http(path), SECRET)
    refused = sender.queue("", body)
    assert not sender.attempt(refused)
    assert (unsigned.status_code, refused.attempts) == (401, [422])
    assert govuk.own.ends([topic]) == before
    assert govuk.end("pay") == 0
    log = govuk.log("pay")
    reasons = {json.loads(line).get("reason") for line in log.splitlines() if line.startswith("{")}
    assert {"bad-signature", "identifier-invalid"} <= reasons
    assert not [text for text in ("NC999999C", ACCOUNT, SECRET, "Sherlock", "Baker Street") if text in log]


def test_the_file_of_payment_services_is_checked(govuk: Govuk):
    """`pay check` lists them, or says what is wrong with exit 2."""
    done = govuk.own.command("pay", "check", "-o", "json")
    assert (done.returncode, len(json.loads(done.stdout))) == (0, 2)
    wrong = govuk.own.place / "wrong.yaml"
    wrong.write_text(FILE.replace("council-leeds", "hmrc"))
    for words in (("pay", "check"), ("pay", "run")):
        done = govuk.own.command(*words, POSTROOM_PAY=str(wrong))
        assert done.returncode == 2
        assert b"services.leeds-council-tax.owner" in done.stderr


# -- GOV.UK One Login ------------------------------------------------------------------------------------


LICENCE = {"type": "FULL", "status": "VALID", "categories": ["B"], "penalty_points": 0}


def licence(driver: str) -> bytes:
    """DVLA says what somebody may drive, as a line."""
    data = {
        "driver_number": driver,
        "licence": LICENCE,
        "valid_from": "2025-03-01",
        "issue_number": "01",
    }
    return event("licence-1", "urn:gov:dvla:drivers", "uk.gov.driving.licence.v1", now_ms(), data)


def test_a_sign_in_joins_an_account_to_a_record_although_the_door_is_killed(govuk: Govuk):
    """DVLA knows a driver by number and nobody knows the account; the tokens of a sign-in link them, with
    kill -9 of the door between two attempts, and the view appears under the account. A token that is too
    weak links nothing, and a used one nothing else.
    """
    own = govuk.own
    own.publish([licence(DRIVER)])
    token = own.command("gateway", "token", "gds-one-login").stdout.decode().strip()
    url = f"http://127.0.0.1:{govuk.onelogin_port}/onelogin/driving-licence"

    def ask(nonce: str, identifier: str = DRIVER, **sign_in: Any) -> int | None:
        tokens = govuk.one_login.sign_in(CLIENT_ID, nonce, **sign_in)
        body = tokens | {"nonce": nonce, "identifier": identifier}
        try:
            answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {token}"}, timeout=15)
        except httpx.HTTPError:
            return None
        return answer.status_code

    govuk.start("onelogin", "run")
    govuk.until(lambda: govuk.is_ready(govuk.onelogin_port), "the door is not ready")
    assert ask("nonce-of-a-weak-one", vot="Cl") == 401
    assert ask("nonce-of-an-unproved-one", confidence="P1") == 401
    tokens = govuk.one_login.sign_in(CLIENT_ID, "nonce-of-the-flow-test")
    body = tokens | {"nonce": "nonce-of-the-flow-test", "identifier": DRIVER}
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.post(url, json=body, headers=headers, timeout=15).status_code == 202
    govuk.kill("onelogin")
    govuk.start("onelogin", "run")
    govuk.until(lambda: govuk.is_ready(govuk.onelogin_port), "the door is not ready again")
    assert httpx.post(url, json=body, headers=headers, timeout=15).status_code == 202, "it was not sure"
    other = body | {"identifier": "MORGA657054SM9KL"}
    assert httpx.post(url, json=other, headers=headers, timeout=15).status_code == 409

    key = f"onelogin:{SUBJECT}"
    govuk.until(lambda: key in govuk.views(REMINDERS), "the account has no view")
    found = [each for each in own.view_records()[REMINDERS] if each.key == key]
    assert [each.value for each in found] == [{"licence": {"status": LICENCE["status"]}}], "written once"
    done = own.command("identity", "show", f"driver:{DRIVER}", "-o", "json")
    assert SUBJECT in done.stdout.decode()

    assert own.command("onelogin", "check").returncode == 0
    assert govuk.end("onelogin") == 0
    log = govuk.log("onelogin")
    assert "too-weak" in log
    for text in (SUBJECT, DRIVER, "nonce-of", "Featherstone", token, CLIENT_ID):
        assert text not in log, text


# -- GOV.UK Notify ---------------------------------------------------------------------------------------

NHS, ACCOUNT_OF_HERS = "9990000018", "urn:fdc:gov.uk:2022:an-account-of-the-flow-test"
ADDRESS = "amina.garamond@example.com"


def reachable() -> list[bytes]:
    """GDS says where somebody can be written to, and whose account that is."""
    source, at_ms = "urn:gov:gds:one-login", now_ms()
    contact = {"account": ACCOUNT_OF_HERS, "email_address": ADDRESS}
    link = {"account": ACCOUNT_OF_HERS, "holder_of": f"nhs:{NHS}", "level_of_confidence": "P2"}
    return [
        event("contact-1", source, "uk.gov.identity.contact-details.v1", at_ms, contact),
        event("link-of-hers", source, "uk.gov.identity.account-link.v1", at_ms, link),
    ]


def test_a_withdrawal_is_told_once_although_the_notifier_is_killed(govuk: Govuk):
    """A person consents and is told that something is shared, withdraws and is told that it took effect: one
    message each to her own address, with kill -9 of the notifier again and again; and nothing of her is in
    its log or its journal.
    """
    own = govuk.own
    own.publish([registered(NHS, now_ms()), *reachable()])
    govuk.until(lambda: any(govuk.views("citizen-notices").values()), "the notifier has no address")
    govuk.start("notify", "run")
    govuk.until(lambda: "notices-begin" in govuk.log("notify"), "the notifier does not begin")
    assert govuk.notify.messages == [], "what was there before is told to nobody"

    def told() -> list[tuple[str, str]]:
        return [(each["email_address"], each["template_id"]) for each in govuk.notify.messages]

    for state, count in (("GRANTED", 1), ("WITHDRAWN", 2)):
        own.publish([decided(NHS, state, now_ms())])
        for pause_s in (0.5, 2.0, 4.0):
            time.sleep(pause_s)
            govuk.kill("notify")
            govuk.start("notify", "run")
        govuk.until(lambda count=count: len(told()) >= count, f"nobody was told of {state}")
    time.sleep(5)
    assert told() == [(ADDRESS, TEMPLATES[0]), (ADDRESS, TEMPLATES[1])]
    assert govuk.notify.messages[1]["personalisation"]["purpose"] == "carers-support"

    source = "urn:gov:consent-service:web"
    objection = {"subject": f"nhs:{NHS}", "subscriber": "notifier", "purpose": "*", "state": "OBJECTED"}
    own.publish([event("objection-1", source, "uk.gov.consent.objection.v1", now_ms(), objection)])
    govuk.until(lambda: not any(govuk.views("citizen-notices").values()), "the address was not taken back")
    own.publish([decided(NHS, "GRANTED", now_ms()).replace(b"granted-", b"granted-again-")])
    govuk.until(lambda: _owes(own) == 0, "the notifier does not say that it has deleted")
    time.sleep(5)
    assert len(told()) == 2, "who has objected is not written to"

    done = own.command("notify", "status", "-o", "json")
    assert done.returncode == 0, done.stderr.decode()
    states = {row["state"]: row["notices"] for row in json.loads(done.stdout)}
    assert (states["sent"], states["due"], states["unknown"]) == (2, 1, 0), "it waits for an address"
    assert govuk.end("notify") == 0
    log = govuk.log("notify")
    held = b"".join(each.read_bytes() for each in (own.settings.state_dir / "notify").iterdir())
    for text in (ADDRESS, NHS, ACCOUNT_OF_HERS, "Garamond", API_KEY[-36:]):
        assert text not in log, text
        assert text.encode() not in held, text


def _owes(own: Installation) -> int | None:
    """How many deletions the notifier owes of those that there ever were; None while there were none."""
    if not own.read("obligations.notifier"):
        return None
    done = own.command("obligations", "list", "-o", "json")
    return sum(1 for each in json.loads(done.stdout) if each["subscriber"] == "notifier")
