"""What a process tells of certificates, its disk and its clock, and how a line says what is wrong."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from connectors import Stack
from connectors.certificate_ends import end_at, ends_in, https_server
from connectors.kafka_access import KafkaAccess
from connectors.kafka_line import line_problem
from connectors.local_security import LocalSecurity
from connectors.signals import CERTIFICATE_END, CLOCK_AHEAD, DISK_FREE, Signals
from connectors.trouble import Unreachable
from postroom import own_state
from postroom.config import load_settings
from tests.flow.ended_certificate import ended

BROKER = "postroom.broker"


@pytest.fixture
def security(tmp_path: Path) -> LocalSecurity:
    """A CA and what it has signed."""
    made = LocalSecurity(tmp_path / "security")
    made.make()
    return made


@contextmanager
def listening(security: LocalSecurity, key_store: Path, asks: bool = False) -> Iterator[str]:
    """A TLS listener with this certificate that says nothing; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key_store)
    if asks:
        context.load_verify_locations(security.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    with suppress(OSError), context.wrap_socket(line, server_side=True) as tls:
                        tls.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def by_password(security: LocalSecurity, server: str) -> KafkaAccess:
    """How a user would come."""
    return security.access(server, "postroom.worker", "hush")


def test_a_broker_whose_certificate_has_ended_is_told_from_a_strange_one(
    security: LocalSecurity, tmp_path: Path
):
    """The broker's keeper must renew it; naming another CA would mend nothing."""
    with listening(security, ended(security, BROKER, tmp_path / "old.pem")) as server:
        problem = line_problem(by_password(security, server))
    assert problem is not None
    assert (problem.what, problem.where) == ("Kafka's certificate has ended", server)
    assert "renew" in problem.mend
    stranger = LocalSecurity(tmp_path / "stranger")
    stranger.make()
    with listening(stranger, stranger.key_store(BROKER)) as server:
        problem = line_problem(by_password(security, server))
    assert problem is not None
    assert problem.what == "Kafka's certificate is not believed"
    assert "POSTROOM_KAFKA_CA_FILE" in problem.mend


def test_our_own_certificate_that_has_ended_is_named(security: LocalSecurity, tmp_path: Path):
    """The broker refuses it without a reason; that it has ended, and which file it is, can be seen here."""
    security.issue("postroom.worker")
    old = ended(security, "postroom.worker", tmp_path / "old-client.pem")
    with listening(security, security.key_store(BROKER), asks=True) as server:
        access = replace(security.internal(server), cert_file=old, key_file=old)
        problem = line_problem(access)
    assert problem is not None
    assert (problem.what, problem.where) == ("our certificate for Kafka has ended", str(old))
    assert "POSTROOM_KAFKA_CERT_FILE" in problem.mend


def test_the_end_of_what_is_presented_is_seen_though_it_is_not_believed(
    security: LocalSecurity, tmp_path: Path
):
    """One that has ended must be seen too, or the figure would vanish when it matters."""
    old = ended(security, BROKER, tmp_path / "old.pem")
    (wanted,) = ends_in(old)
    with listening(security, old) as server:
        found = end_at(server)
    assert found is not None
    assert (found.where, found.subject, found.ends_ms) == (server, f"CN={BROKER}", wanted.ends_ms)
    assert found.ends_ms < time.time() * 1000
    assert end_at("127.0.0.1:1") is None


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://registry.example", "registry.example:443"),
        ("https://[2001:db8::1]:8443/apis", "[2001:db8::1]:8443"),
        ("http://registry.example", None),
    ],
)
def test_only_an_https_address_presents_a_certificate(url: str, server: str | None):
    """Of an open line there is nothing to tell."""
    assert https_server(url) == server


def test_the_gauges_tell_certificates_disk_and_clock(
    security: LocalSecurity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The soonest end of each; what does not answer keeps what was last seen."""
    settings = load_settings({"POSTROOM_STATE": str(tmp_path / "not" / "yet")}, tmp_path)
    with listening(security, security.key_store(BROKER)) as server:
        stack = Stack(by_password(security, server), "http://127.0.0.1:1", local=True)
        own_state.tell_certificates(settings, stack)
    for name, file in (("kafka-listener", security.key_store(BROKER)), ("kafka-ca", security.ca_file)):
        assert CERTIFICATE_END.labels(name)._value.get() == ends_in(file)[0].ends_ms / 1000
    before = CERTIFICATE_END.labels("kafka-listener")._value.get()
    own_state.tell_certificates(settings, stack)  # it answers no more
    assert CERTIFICATE_END.labels("kafka-listener")._value.get() == before

    own_state.tell_disk(settings)
    (sample,) = [each for family in DISK_FREE.collect() for each in family.samples]
    assert sample.labels == {"disk": "state"}
    assert sample.value > 0

    monkeypatch.setattr(own_state.Registry, "clock_ms", lambda _: int((time.time() - 7) * 1000))
    own_state.tell_clock(stack)
    assert CLOCK_AHEAD.labels("registry")._value.get() == pytest.approx(6.5, abs=1)
    monkeypatch.setattr(own_state.Registry, "clock_ms", _away)
    own_state.tell_clock(stack)
    assert CLOCK_AHEAD.labels("registry")._value.get() == pytest.approx(6.5, abs=1)


def _away(_: object) -> int:
    raise Unreachable("the registry is unreachable")


def test_why_a_system_does_not_answer_is_said_once_and_that_it_does_again():
    """Clients say only that they try; whoever reads the log needs the reason, and needs it once."""
    with structlog.testing.capture_logs() as said:
        signals = Signals("worker", "127.0.0.1", 0, list)
        try:
            for problem in (None, "no such user", "no such user", None, None):
                signals._note("kafka", problem)
        finally:
            signals.close()
    assert [(each["event"], each.get("why")) for each in said] == [
        ("system-away", "no such user"),
        ("system-answers", None),
    ]
