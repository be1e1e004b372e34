"""People are told what is shared of them: once, at their own address, within GOV.UK Notify's limits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.notify.deletions import Deletions
from connectors.notify.facts import CONSENT_CHANGED, SHARED, notice_of, read_entry
from connectors.notify.journal import DUE, REFUSED, SENT, UNKNOWN, UNREACHED
from connectors.notify.letterbox import Outcome
from connectors.notify.pace import Pace, until_midnight_s
from connectors.trouble import Trouble
from tests.notify_kit import CARERS, HOUSING, WITHDRAWN, NotifyRig, entry
from tests.standins.govuk_notify_stand_in import API_KEY, TEMPLATES, GovukNotifyStandIn


@pytest.fixture
def stand_in() -> Iterator[GovukNotifyStandIn]:
    made = GovukNotifyStandIn()
    yield made
    made.close()


@pytest.fixture
def rig(tmp_path: Path, stand_in: GovukNotifyStandIn) -> Iterator[NotifyRig]:
    made = NotifyRig(tmp_path, stand_in)
    yield made
    made.end()


def test_a_reference_is_the_facts_and_says_nobody(rig: NotifyRig):
    """The same whenever the same fact is read, another for every other fact."""
    first, again = (notice_of(read_entry(entry("p-1", 1, ["name"])), frozenset()) for _ in range(2))
    other = notice_of(read_entry(entry("p-1", 2, ["name"])), frozenset())
    assert first is not None
    assert other is not None
    assert first == again
    assert first.reference != other.reference
    assert "p-1" not in first.reference


def test_each_fact_is_told_once_to_the_address_of_the_notifiers_own_view(rig: NotifyRig, stand_in: Any):
    """Subscriber, purpose, agreement and moment are in the message, and nothing that was shared."""
    rig.knows("p-1")
    rig.log.records += [entry("p-1", 1, ["name"]), entry("p-1", 2, ["name"])]
    rig.work()
    rig.log.records.append(entry("p-1", 3, (), WITHDRAWN, kind="retraction"))
    rig.work()
    assert rig.told() == [("p-1@example.com", SHARED), ("p-1@example.com", CONSENT_CHANGED)]
    assert stand_in.messages[0]["personalisation"] == {
        "subscriber": "council-york",
        "purpose": "carers-support",
        "agreement": CARERS,
        "time": "2026-11-27T10:00:00.000Z",
    }


def test_what_was_there_before_the_first_start_is_told_to_nobody(tmp_path: Path, stand_in: Any):
    """It is learnt all the same: what is shown already is no news afterwards, and addresses are known."""
    rig = NotifyRig(tmp_path, stand_in, tells_from=2)
    rig.knows("p-1")
    rig.log.records.append(entry("p-1", 1, ["name"]))
    rig.work()
    assert rig.told() == []
    rig.log.records += [entry("p-1", 2, ["name"]), entry("p-1", 3, ["name", "address"])]
    rig.work()
    assert rig.told() == [("p-1@example.com", SHARED)]
    rig.end()


def test_another_log_under_the_same_name_is_not_told_again(rig: NotifyRig):
    """A topic that was made anew holds what was told; an operator decides."""
    with pytest.raises(Trouble, match="not the one that was read"):
        rig.journal.begin("log-2", [0], [0])


def test_an_agreement_that_is_not_in_the_file_is_not_told_of(tmp_path: Path, stand_in: Any):
    """`agreements` narrows; the notifier's own is never told of."""
    rig = NotifyRig(tmp_path, stand_in, purposes={CARERS: "carers-support"})
    rig.knows("p-1")
    rig.log.records.append(entry("p-1", 1, ["name"], agreement=HOUSING))
    rig.work()
    assert rig.told() == []
    rig.end()


# -- addresses -------------------------------------------------------------------------------------------


def test_an_address_that_was_taken_back_is_not_written_to(rig: NotifyRig):
    """Nor one that never came; after a day the notice is given up, and an operator sees it without a name."""
    rig.knows("p-1")
    rig.log.records.append(entry("p-1", 1, ["name"]))
    del rig.addresses["n-p-1"]
    rig.log.records.append(entry("p-2", 1, ["name"]))
    rig.work(26)
    assert rig.told() == []
    assert rig.journal.counts()[UNREACHED] == 2
    assert {(each.state, each.why) for each in rig.journal.failed()} == {(UNREACHED, "no-address")}
    assert "p-1" not in repr(rig.journal.failed())
    rig.addresses["n-p-1"] = "p-1@example.com"
    assert rig.journal.retry(rig.now_s()) == 2
    rig.work()
    assert rig.told() == [("p-1@example.com", SHARED)]


def test_an_address_that_comes_later_is_waited_for(rig: NotifyRig):
    """The notifier's view may come after the fact."""
    rig.log.records.append(entry("p-1", 1, ["name"]))
    rig.work()
    rig.knows("p-1")
    rig.work()
    assert rig.told() == [("p-1@example.com", SHARED)]


def test_the_address_is_asked_for_at_the_last_moment(rig: NotifyRig, monkeypatch: pytest.MonkeyPatch):
    """Also when it was looked up before GOV.UK Notify was asked whether it has the message."""
    rig.knows("p-1")
    rig.log.records.append(entry("p-1", 1, ["name"]))
    rig.stand_in.fault = lambda given: (500, "Exception", "Internal server error") if given else None
    rig.rounds.round()
    assert rig.journal.counts()[UNKNOWN] == 1
    rig.stand_in.fault = lambda _: None
    del rig.addresses["n-p-1"]
    rig.work()
    assert rig.told() == []


def test_no_address_is_on_disk_or_in_a_log(rig: NotifyRig, tmp_path: Path, caplog: Any, capsys: Any):
    """GOV.UK Notify's errors repeat the address; neither the client's log nor ours does."""
    caplog.set_level(logging.DEBUG)
    rig.knows("p-1", "no-address-at-all")
    rig.knows("p-2", "somebody@example.com")
    rig.log.records += [entry("p-1", 1, ["name"]), entry("p-2", 1, ["name"])]
    rig.work()
    said = "".join(capsys.readouterr()) + caplog.text
    held = b"".join(each.read_bytes() for each in (tmp_path / "state").iterdir())
    assert "notice-refused" in said
    for text in ("no-address-at-all", "somebody@example.com", API_KEY[-36:]):
        assert text not in said
        assert text.encode() not in held
    assert (tmp_path / "state" / "journal.db").stat().st_mode & 0o077 == 0


# -- answers ---------------------------------------------------------------------------------------------


def test_a_wrong_address_is_refused_for_good_and_seen(rig: NotifyRig):
    """400 ValidationError: never again, and what comes after it goes on."""
    rig.knows("p-1", "nowhere")
    rig.knows("p-2")
    rig.log.records += [entry("p-1", 1, ["name"]), entry("p-2", 1, ["name"])]
    rig.work()
    assert rig.told() == [("p-2@example.com", SHARED)]
    assert [(each.state, each.why) for each in rig.journal.failed()] == [(REFUSED, "ValidationError")]
    assert rig.stand_in.asked.count("POST /v2/notifications/email") == 2


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ((400, "BadRequestError", "Template not found"), Outcome.MISCONFIGURED),
        ((404, "NoResultFound", "No result found"), Outcome.MISCONFIGURED),
        ((403, "AuthError", "Invalid token: API key not found"), Outcome.NOT_LET_IN),
        ((429, "RateLimitError", "Exceeded rate limit"), Outcome.RATE_LIMITED),
        ((500, "Exception", "Internal server error"), Outcome.UNKNOWN),
        ((503, "Exception", "Unavailable"), Outcome.UNKNOWN),
        ((302, "", ""), Outcome.UNKNOWN),
    ],
)
def test_what_is_not_the_persons_fault_is_tried_again(
    rig: NotifyRig, fault: tuple[int, str, str], outcome: Outcome
):
    """Later and later, and told once when it is mended."""
    rig.knows("p-1")
    rig.log.records.append(entry("p-1", 1, ["name"]))
    rig.stand_in.fault = lambda given: fault if given else None
    rig.work(3)
    tries = rig.stand_in.asked.count("POST /v2/notifications/email")
    assert 2 <= tries <= 200
    assert rig.letterbox.send("a@example.com", TEMPLATES[0], "x", {}).outcome is outcome
    assert rig.told() == []
    rig.stand_in.fault = lambda _: None
    rig.work(3)
    assert rig.told() == [("p-1@example.com", SHARED)]


def test_a_lost_answer_is_asked_after_and_nobody_is_told_twice(rig: NotifyRig):
    """GOV.UK Notify took it and answered 500: it is found by its reference."""
    rig.knows("p-1")
    rig.log.records.append(entry("p-1", 1, ["name"]))
    rig.stand_in.lost = True
    rig.work(0.1)
    rig.stand_in.lost = False
    rig.work(2)
    assert rig.told() == [("p-1@example.com", SHARED)]
    assert rig.journal.counts()[SENT] == 1
    assert any(asked.startswith("GET /v2/notifications?reference=postroom-") for asked in rig.stand_in.asked)


def test_a_kill_within_an_attempt_tells_once(rig: NotifyRig):
    """Before it and after it: the next life asks first."""

    class Killed(BaseException):
        pass

    for number, when in enumerate((1, 2)):
        rig.knows(f"p-{number}")
        rig.log.records.append(entry(f"p-{number}", 1, ["name"]))
        touches = 0

        def touch(when: int = when) -> None:
            nonlocal touches
            touches += 1
            if touches == when:
                raise Killed

        rig.touch = touch
        with pytest.raises(Killed):
            rig.rounds.round()
        rig.touch = lambda: None
        rig.end()
        rig.begin()
        rig.work(1)
    assert rig.told() == [("p-0@example.com", SHARED), ("p-1@example.com", SHARED)]


def test_a_later_fact_is_not_told_before_an_earlier_one(rig: NotifyRig):
    """While the first waits, so does what follows for that person; others are told."""
    rig.knows("p-1")
    rig.knows("p-2")
    rig.log.records += [entry("p-1", 1, ["name"]), entry("p-1", 2, (), WITHDRAWN, kind="retraction")]
    rig.log.records.append(entry("p-2", 1, ["name"]))
    failing = True
    rig.stand_in.fault = lambda given: (
        (500, "Exception", "x") if failing and given.get("email_address") == "p-1@example.com" else None
    )
    rig.work()
    assert rig.told() == [("p-2@example.com", SHARED)]
    failing = False
    rig.work(2)
    assert rig.told()[1:] == [("p-1@example.com", SHARED), ("p-1@example.com", CONSENT_CHANGED)]


def test_an_entry_that_is_none_ends_it_before_anything_behind_it_is_taken(rig: NotifyRig):
    """Only our workers write there; its place is named and nothing of it."""
    rig.log.records += [b'{"person": "NC999999C"}', entry("p-1", 1, ["name"])]
    with pytest.raises(Trouble) as caught:
        rig.rounds.round()
    assert "offset 0" in str(caught.value)
    assert "NC999999C" not in str(caught.value)
    assert rig.journal.counts()[DUE] == 0


# -- limits ----------------------------------------------------------------------------------------------


@given(st.integers(1, 3_000), st.lists(st.floats(0, 5), min_size=1, max_size=400))
def test_no_minute_has_more_messages_than_allowed(per_minute: int, pauses_s: list[float]):
    """On a rolling basis, however they come."""
    now_s = 0.0
    pace = Pace(per_minute, 10_000_000, lambda: now_s)
    sent: list[float] = []
    for pause_s in pauses_s:
        now_s += pause_s
        while pace.wait_s(0, 1_790_000_000.0) == 0 and len(sent) < 5_000:
            pace.spend()
            sent.append(now_s)
    for number, at_s in enumerate(sent):
        within = [each for each in sent[number:] if each < at_s + 60]
        assert len(within) <= max(per_minute, 1) + 1e-9


def test_messages_go_as_fast_as_allowed(rig: NotifyRig):
    """3,000 a minute is what it is: fifty a second are let through."""
    now_s = 0.0
    pace = Pace(3_000, 250_000, lambda: now_s)
    sent = 0
    for _ in range(1200):
        while pace.wait_s(0, 0.0) == 0:
            pace.spend()
            sent += 1
        now_s += 0.1
    assert sent >= 0.95 * 3_000 * 2


def test_the_days_limit_is_kept_over_restarts_and_ends_at_midnight(tmp_path: Path, stand_in: Any):
    """In London. What may have been sent counts too."""
    rig = NotifyRig(tmp_path, stand_in, per_day=2)
    for number in range(5):
        rig.knows(f"p-{number}")
        rig.log.records.append(entry(f"p-{number}", 1, ["name"]))
    rig.rounds.round()
    rig.end()
    rig.begin()
    rig.work(1)
    assert len(rig.told()) == 2
    rig.later_s += until_midnight_s(rig.now_s()) + 1
    rig.work(1)
    assert len(rig.told()) == 4
    rig.end()


def test_a_full_day_at_govuk_notify_is_waited_for(rig: NotifyRig, stand_in: GovukNotifyStandIn):
    """429 TooManyRequestsError: nothing more until midnight."""
    stand_in.per_day = 1
    for number in range(3):
        rig.knows(f"p-{number}")
        rig.log.records.append(entry(f"p-{number}", 1, ["name"]))
    rig.rounds.round()
    asked = len(stand_in.asked)
    rig.work(1)
    assert len(stand_in.asked) == asked
    stand_in.per_day = 250_000
    rig.later_s += until_midnight_s(rig.now_s()) + 1
    rig.work(1)
    assert len(rig.told()) == 3


# -- what the notifier owes ------------------------------------------------------------------------------


class Owed:
    """A topic of obligations, read from its beginning."""

    def __init__(self, *values: bytes) -> None:
        self.values = [*values]

    def go_to_beginning(self) -> None:
        """It is there already."""

    def poll(self, records_max: int, wait_ms: int) -> list[SimpleNamespace]:
        found, self.values = self.values[:records_max], []
        return [SimpleNamespace(value=value) for value in found]


def test_what_is_owed_is_acknowledged_once_the_view_was_read_to_its_end(rig: NotifyRig):
    """V4: in that order; and after a restart, which reads all of it again, only what was not."""
    events: list[str] = []
    addresses: Any = SimpleNamespace(catch_up=lambda: events.append("caught up"))
    owed = [b'{"obligation": "o-1", "agreement": "x", "key": "n-p-1"}', b'{"obligation": "o-2"}']
    first: Any = Owed(*owed)
    assert Deletions(first, rig.journal, addresses, events.append).settle() == 2
    assert events == ["caught up", "o-1", "o-2"]
    again: Any = Owed(*owed, b'{"obligation": "o-3"}')
    assert Deletions(again, rig.journal, addresses, events.append).settle() == 1
    assert events[3:] == ["caught up", "o-3"]


def test_what_the_broker_did_not_take_is_acknowledged_again(rig: NotifyRig):
    """Nothing is taken for said before it was."""

    def away(_: str) -> None:
        raise Trouble("Kafka does not take an acknowledgement")

    addresses: Any = SimpleNamespace(catch_up=lambda: None)
    owed: Any = Owed(b'{"obligation": "o-1"}')
    with pytest.raises(Trouble):
        Deletions(owed, rig.journal, addresses, away).settle()
    assert not rig.journal.is_acknowledged("o-1")
    damaged: Any = Owed(b"NC999999C")
    with pytest.raises(Trouble) as caught:
        Deletions(damaged, rig.journal, addresses, away).settle()
    assert "NC999999C" not in str(caught.value)
