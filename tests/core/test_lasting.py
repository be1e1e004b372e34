"""Commands that go on: what is away is waited for from the start, what is wrong ends them (DESIGN §8)."""

from __future__ import annotations

import threading

import pytest

from connectors import Misused, Trouble, Unreachable
from connectors.trouble import NotLetIn
from postroom import lasting
from postroom.errors import Exit, UserError
from postroom.lasting import Progress, keep_on

AWAY = Unreachable("PostgreSQL is unreachable", where="there", mend="wait")


class Life:
    """A work that fares as a script says: an error, `None` for an end as wished, `under way` and then one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: Exception | tuple[Exception] | None) -> None:
        self.script = list(script)
        self.stop, self.progress = threading.Event(), Progress()
        self.log: list[dict[str, object]] = []
        self.waited_for: list[list[str]] = []
        monkeypatch.setattr(
            lasting, "say", lambda event, *_, **fields: self.log.append({"event": event} | fields)
        )
        monkeypatch.setattr(lasting, "PAUSE_S_MIN", 0.001)
        monkeypatch.setattr(lasting, "PAUSE_S_MAX", 0.002)

    def work(self) -> None:
        """One attempt."""
        self.waited_for.append(self.progress.waiting_for())
        found = self.script.pop(0)
        if found is None:
            self.stop.set()
        elif isinstance(found, tuple):
            self.progress.under_way()
            raise found[0]
        else:
            raise found

    def run(self) -> None:
        """To its end."""
        keep_on(self.work, self.stop, "outbox", self.progress)


def test_what_is_away_at_the_start_is_waited_for_and_said_once(monkeypatch: pytest.MonkeyPatch):
    """However often it is tried; something else that is away is said too, and readiness names it."""
    registry = UserError("Kafka is unreachable", code=Exit.UNREACHABLE)
    life = Life(monkeypatch, AWAY, AWAY, AWAY, registry, registry, None)
    life.run()
    assert [line["what"] for line in life.log] == ["PostgreSQL is unreachable", "Kafka is unreachable"]
    assert life.log[0] == {
        "event": "outbox-waits",
        "what": "PostgreSQL is unreachable",
        "where": "there",
        "why": "",
        "mend": "wait",
    }
    assert life.waited_for == [
        ["its beginning"],
        *[["PostgreSQL is unreachable"]] * 3,
        *[["Kafka is unreachable"]] * 2,
    ]


def test_an_outage_after_it_was_under_way_is_another_one(monkeypatch: pytest.MonkeyPatch):
    """So the log has each outage once."""
    life = Life(monkeypatch, AWAY, (AWAY,), AWAY, (AWAY,), None)
    life.run()
    assert len(life.log) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        Misused("PostgreSQL does not let this user in"),
        UserError("nobody owns no contract"),
        Trouble("a record of the view's topic is not a view"),
        NotLetIn("Kafka's certificate is not believed"),
        ValueError("a defect"),
    ],
)
def test_what_is_wrong_ends_it_at_once(monkeypatch: pytest.MonkeyPatch, wrong: Exception):
    """A setting that is wrong stays wrong however long one waits."""
    life = Life(monkeypatch, AWAY, wrong)
    with pytest.raises(type(wrong), match=wrong.args[0]):
        life.run()


def test_a_kafka_that_has_let_us_in_before_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    """Its certificate may just be changing."""
    life = Life(monkeypatch, (AWAY,), NotLetIn("Kafka's certificate is not believed"), None)
    life.run()
    assert life.waited_for[-1] == ["Kafka's certificate is not believed"]
