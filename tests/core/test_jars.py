"""Jars are fetched from whom the machine trusts, and are what the list says whoever sends them."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from connectors.jars import Jar, Program, fetch
from connectors.local_security import BROKER, LocalSecurity
from connectors.progress import Silent
from connectors.trouble import Trouble, Unreachable

CONTENT = b"what stands in a jar"
THERE = "maven/org/example/thing/1.0/thing-1.0.jar"


class Quiet(SimpleHTTPRequestHandler):
    """A file server that writes no log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The authority of an office whose mirror of Maven has one jar; nobody on this machine vouches for it."""
    security = LocalSecurity(tmp_path / "security")
    security.make()
    (tmp_path / THERE).parent.mkdir(parents=True)
    (tmp_path / THERE).write_bytes(CONTENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(security.key_store(BROKER))
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = tmp_path / "home"
        (home / ".config").mkdir(parents=True)
        mirror = f"https://127.0.0.1:{server.server_port}/maven"
        (home / ".config" / "jgo.conf").write_text(f"[repositories]\ncentral = {mirror}\n")
        monkeypatch.setenv("HOME", str(home))
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        yield security.ca_file
        server.shutdown()


def program(content: bytes) -> Program:
    """A program of the one jar, if it has this content."""
    sha256 = hashlib.sha256(content).hexdigest()
    return Program("thing", "A thing", "1.0", (Jar("org.example:thing:1.0", len(content), sha256),))


def test_whom_the_machine_trusts_is_trusted(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An office's own authority stands in the machine's store, where pip looks too."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    home = fetch(program(CONTENT), tmp_path, Silent())
    assert (home / "thing-1.0.jar").read_bytes() == CONTENT


@pytest.mark.usefixtures("authority")
def test_whom_it_does_not_trust_is_named_as_that_and_not_asked_again(tmp_path: Path) -> None:
    """What to do is to name the authority, not to look at the network."""
    with pytest.raises(Unreachable) as raised:
        fetch(program(CONTENT), tmp_path, Silent())
    assert "does not trust" in (raised.value.why or "")
    assert "REQUESTS_CA_BUNDLE" in (raised.value.mend or "")
    assert not list(tmp_path.glob("thing-*[!k]"))


def test_who_is_trusted_cannot_send_another_jar(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be started is told by its SHA-256."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with pytest.raises(Trouble, match="not the file that was tested"):
        fetch(program(b"another"), tmp_path, Silent())
