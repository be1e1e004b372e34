"""From a nightly file to a signed webhook on a real Kafka, with every process killed on the way."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.files.journal import Journal, Standing
from connectors.trouble import Unreachable
from postroom.config import Settings
from schemas.times import LONDON
from tests.flow.spine import ROOT, installation
from tests.flow.webhook_processes import Webhooks, nhs

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

PEOPLE, CROWD = 24, 2_500
NUMBERS = [nhs(number) for number in range(PEOPLE)]
DEMOGRAPHICS, DECISION = "uk.gov.health.demographics.v1", "uk.gov.consent.decision.v1"
CARERS = ROOT / "docs" / "examples" / "files" / "carers" / "mapping.yaml"
FORMS = "Form;NHS number;Name;Decision;Only;Until;How;Received\n"
PDS = """\
contract: uk.gov.health.demographics.v1
source: urn:gov:nhs:pds
format: jsonl
id: row
time: {column: recorded}
fields:
  nhs_number: {column: nhs}
  name.given_names: {column: /name/given}
  name.family_name: {column: /name/family}
"""


class Drops:
    """Two departments' drops, and the process that watches them."""

    def __init__(self, webhooks: Webhooks) -> None:
        self.webhooks, self.own = webhooks, webhooks.own
        self.directory = self.own.place / "drops"
        self.own.environ["POSTROOM_DROPS"] = str(self.directory)
        for name in ("pds", "carers"):
            for place in ("incoming", "done", "refused", "quarantine"):
                (self.directory / name / place).mkdir(parents=True, mode=0o700)
        (self.directory / "pds" / "mapping.yaml").write_text(PDS)
        shutil.copy(CARERS, self.directory / "carers" / "mapping.yaml")

    def hand_in(self, drop: str, name: str, content: bytes) -> None:
        """As a department does: the file, and its checksum last."""
        incoming = self.directory / drop / "incoming"
        (incoming / name).write_bytes(content)
        checksum = hashlib.sha256(content).hexdigest()
        (incoming / f"{name}.sha256").write_text(f"{checksum}  {name}\n")

    def files(self) -> dict[str, Standing]:
        """How each file stands, by its name."""
        path = self.own.place / "state" / "files" / "journal.db"
        if not path.exists():
            return {}
        try:
            journal = Journal(path)
            try:
                return {each.name: each for each in journal.all()}
            finally:
                journal.close()
        except Unreachable:
            return {}  # the process holds it just now

    def is_published(self, name: str, drop: str) -> bool:
        return (self.directory / drop / "done" / name).exists()

    def published_rows(self, name: str) -> int:
        found = self.files().get(name)
        return 0 if found is None else found.published

    def events(self, type_: str) -> dict[str, set[bytes | None]]:
        """By id, every content that lies on a department's topic."""
        found: dict[str, set[bytes | None]] = defaultdict(set)
        for record in self.own.read(type_):
            found[dict(record.headers)["ce_id"].decode()].add(record.value)
        return found


@pytest.fixture(scope="module")
def drops(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Drops]:
    agreements = ROOT / "schemas" / "agreements"
    with installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        webhooks = Webhooks(own)
        made = Drops(webhooks)
        own.start("one", "faust")
        try:
            yield made
        finally:
            webhooks.close()


def known(numbers: list[str], at: datetime) -> bytes:
    """What the NHS knows, as JSON Lines."""
    return b"".join(
        json.dumps(
            {"nhs": number, "name": {"given": "Amina", "family": "Garamond"}, "recorded": at.isoformat()}
        ).encode()
        + b"\n"
        for number in numbers
    )


def forms(numbers: list[str], decision: str, at: datetime, more: str = "") -> bytes:
    """What people decided, in the CSV of the example."""
    when = at.astimezone(LONDON).strftime("%d/%m/%Y %H:%M")
    rows = (f"{decision}-{n};{n};Garamond, Amina;{decision};;;web;{when}\n" for n in numbers)
    return (FORMS + "".join(rows) + more).encode("cp1252")


def test_a_nightly_file_arrives_as_signed_webhooks_although_everything_is_killed(drops: Drops):
    """Kill -9 of the files' process in the middle of a file, of the worker, of the webhooks: every row is one
    event, every view arrives, a bad row is put aside; the next night's withdrawals take the views back (V2).
    """
    own, webhooks = drops.own, drops.webhooks
    before = datetime.now(UTC) - timedelta(hours=3)
    webhooks.start("files", "webhook", "receiver")
    crowd = [nhs(number) for number in range(1_000, 1_000 + CROWD)]
    drops.hand_in("pds", "pds.jsonl", known(NUMBERS + crowd, before))
    for share in (0, CROWD // 4, CROWD // 2):
        webhooks.until(lambda share=share: drops.published_rows("pds.jsonl") > share, "no row goes out")
        webhooks.kill("files")
        own.kill("one")
        webhooks.start("files")
    bad = "F-bad;123;Caslon, Tom;Y;;;web;01/02/2026 10:00\n"
    drops.hand_in("carers", "night-1.csv", forms(NUMBERS, "Y", before, bad))
    webhooks.until(lambda: len(webhooks.deliveries()) > 0, "nothing arrives")
    webhooks.kill("webhook", "files")
    webhooks.start("webhook", "files")
    webhooks.until(lambda: webhooks.holds(PEOPLE), "not every view arrived")
    webhooks.until(lambda: drops.is_published("pds.jsonl", "pds"), "the file was not put away")
    webhooks.until(lambda: drops.is_published("night-1.csv", "carers"), "the file was not put away")

    withdrawn = NUMBERS[: PEOPLE // 2]
    seen = len(webhooks.deliveries())
    drops.hand_in("carers", "night-2.csv", forms(withdrawn, "N", before + timedelta(hours=1)))
    webhooks.until(lambda: "night-2.csv" in drops.files(), "the second night's file is not taken")
    webhooks.kill("files", "webhook", "receiver")
    own.kill("one")
    webhooks.start("files", "webhook", "receiver")
    webhooks.until(lambda: webhooks.holds(PEOPLE - len(withdrawn)), "not every retraction arrived")
    assert len(webhooks.deliveries()) > seen
    webhooks.assert_what_the_topic_says()

    for type_, count in ((DEMOGRAPHICS, PEOPLE + CROWD), (DECISION, PEOPLE + len(withdrawn))):
        events = drops.events(type_)
        assert len(events) == count, "a row was lost, or is two events"
        assert {len(contents) for contents in events.values()} == {1}, "one event says two things"


def test_bad_rows_lie_in_quarantine_for_their_owner_only(drops: Drops):
    """With the header that lets them be handed in again, and their numbers."""
    kept, reasons = sorted((drops.directory / "carers" / "quarantine").iterdir())
    assert kept.read_bytes().splitlines()[1].startswith(b"F-bad;123")
    assert json.loads(reasons.read_text())["row"] == PEOPLE + 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kept, reasons)} == {0o600}


def test_the_same_file_under_another_name_says_nothing_new(drops: Drops):
    """It is put away, and no record comes to the topic."""
    before = drops.own.ends([DECISION])
    content = (drops.directory / "carers" / "done" / "night-1.csv").read_bytes()
    drops.hand_in("carers", "again.csv", content)
    drops.webhooks.until(lambda: drops.is_published("again.csv", "carers"), "it is not put away")
    assert drops.own.ends([DECISION]) == before


def test_a_newer_mapping_is_taken_up_while_it_runs_and_a_wrong_one_changes_nothing(drops: Drops):
    """The log says once what is wrong; the drop goes on as it was."""
    mapping, log = drops.directory / "carers" / "mapping.yaml", drops.own.place / "files.log"
    good = mapping.read_text()
    mapping.write_text(good.replace("fields:", "feilds:"))
    drops.webhooks.until(lambda: "rules-wait" in log.read_text(), "a wrong mapping is not noticed")
    count = log.read_text().count("rules-taken-up")
    mapping.write_text(good.replace("refuse_above_percent: 100", "refuse_above_percent: 10"))
    drops.webhooks.until(lambda: log.read_text().count("rules-taken-up") > count, "a right one is not taken")
    drops.hand_in("carers", "bad.csv", forms(["123"], "Y", datetime.now(UTC)))
    drops.webhooks.until((drops.directory / "carers" / "refused" / "bad.csv").exists, "not refused")
    assert drops.own.command("files", "status").returncode == 1
    done = drops.own.command("files", "forget", "carers", drops.files()["bad.csv"].sha256[:8])
    assert done.returncode == 0, done.stderr
    assert drops.own.command("files", "status").returncode == 0


def test_it_ends_with_0_and_its_log_names_nobody(drops: Drops):
    """SIGTERM; no number, name, or what a row says."""
    done = drops.own.command("files", "send")
    assert done.returncode == 3, "two processes would take one file twice"
    process = drops.webhooks.running.pop("files")
    process.terminate()
    assert process.wait(30) == 0, drops.own.said("files")
    log = (drops.own.place / "files.log").read_text()
    assert "files-published" in log  # a kill between putting a file away and saying so takes its line
    for text in (*NUMBERS, "Garamond", "Amina", "F-bad", "Caslon"):
        assert text not in log


def test_send_publishes_what_lies_there_and_ends(drops: Drops):
    """Exit 0, log lines of JSON where nobody sits before a terminal; exit 1 for what was left."""
    drops.hand_in("carers", "last.csv", forms(NUMBERS[-1:], "N", datetime.now(UTC) - timedelta(minutes=5)))
    done = drops.own.command("files", "send", "carers")
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
    assert "files-published" in {line["event"] for line in lines}
    drops.webhooks.until(lambda: drops.webhooks.holds(PEOPLE - PEOPLE // 2 - 1), "it did not arrive")
    (drops.directory / "carers" / "incoming" / "half.csv").write_bytes(b"Form")
    done = drops.own.command("files", "send")
    assert done.returncode == 1
    assert b"half.csv is not taken" in done.stderr
    assert drops.own.command("files", "send", "nobodys").returncode == 2
