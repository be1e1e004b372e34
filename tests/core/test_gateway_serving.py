"""The server itself: TLS, clients' certificates, and requests that no library would send."""

import asyncio
import datetime
import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors import Misused
from connectors.doors.serving import Tls, check_transport, listen, server
from tests.gateway_kit import Rig, claimant, rig

STRUCTURED = {"content-type": "application/cloudevents+json"}


class Signed(NamedTuple):
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = directory, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        ca = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = self._builder(self.subject, self.key).add_extension(ca, critical=True)
        self.file = self._write(f"{name}-ca.pem", self.certificate.sign(self.key, hashes.SHA256()))

    def sign(self, name: str, san: x509.GeneralName, usage: Any, *, expired: bool = False) -> Signed:
        """Sign a certificate for a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key, expired=expired)
        builder = builder.add_extension(x509.SubjectAlternativeName([san]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = self._write(f"{self.name}-{name}.pem", builder.sign(self.key, hashes.SHA256()))
        file = self.directory / f"{self.name}-{name}.key"
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(*form))
        return Signed(certificate, file)

    def _builder(self, subject: x509.Name, key: Any, *, expired: bool = False) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        end = now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(end)
        )

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        file = self.directory / name
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return file


@contextmanager
def served(made: Rig, tls: Tls | None = None) -> Iterator[int]:
    """The gateway behind its real server; its port."""
    listening = listen("127.0.0.1", 0)
    serving = server(made.app, tls)
    thread = threading.Thread(target=lambda: asyncio.run(serving.serve(sockets=[listening])))
    thread.start()
    try:
        while not serving.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        serving.should_exit = True
        thread.join(20)


class Secure(NamedTuple):
    """A gateway with TLS that asks for clients' certificates."""

    made: Rig
    port: int
    authority: Authority
    stranger: Authority


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    directory = tmp_path_factory.mktemp("tls")
    authority, stranger = Authority(directory, "ours"), Authority(directory, "theirs")
    own = authority.sign("gateway", x509.IPAddress(ip_address("127.0.0.1")), ExtendedKeyUsageOID.SERVER_AUTH)
    made = rig(directory)
    with served(made, Tls(own.certificate, own.key, authority.file)) as port:
        yield Secure(made, port, authority, stranger)


def post(secure: Secure, certificate: Signed | None, event: str, **headers: str) -> httpx.Response:
    """Publish over TLS, with this certificate."""
    context = ssl.create_default_context(cafile=str(secure.authority.file))
    if certificate is not None:
        context.load_cert_chain(certificate.certificate, certificate.key)
    with httpx.Client(verify=context, trust_env=False) as client:
        url = f"https://127.0.0.1:{secure.port}/events"
        return client.post(url, content=json.dumps(claimant(event)), headers=STRUCTURED | headers)


def client_of(authority: Authority, name: str, **more: Any) -> Signed:
    return authority.sign(name, x509.DNSName(name), ExtendedKeyUsageOID.CLIENT_AUTH, **more)


def test_a_certificate_names_its_client(secure: Secure):
    """RFC 8705: the SAN that the file of clients binds, signed by the CA of clients."""
    assert post(secure, client_of(secure.authority, "cis.dwp.example"), "m-1").status_code == 202
    assert post(secure, client_of(secure.authority, "other.example"), "m-2").status_code == 401
    assert post(secure, None, "m-3").status_code == 401
    assert post(secure, None, "m-4", **secure.made.auth()).status_code == 202


@pytest.mark.parametrize("kind", ["of another authority", "expired", "of a server"])
def test_a_certificate_that_does_not_hold_ends_the_connection(secure: Secure, kind: str):
    """It is not taken for none, even with a good token beside it."""
    if kind == "of another authority":
        certificate = client_of(secure.stranger, "cis.dwp.example")
    elif kind == "expired":
        certificate = client_of(secure.authority, "cis.dwp.example", expired=True)
    else:
        name = x509.DNSName("cis.dwp.example")
        certificate = secure.authority.sign("server", name, ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(httpx.TransportError):
        post(secure, certificate, "m-5", **secure.made.auth())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_of_the_last_decade_is_not_spoken(secure: Secure):
    """TLS 1.2 at least."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secure.port), 5) as line, pytest.raises(ssl.SSLError):
        context.wrap_socket(line)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway.example"])  # noqa: S104 - refused
def test_tokens_do_not_travel_in_the_clear(host: str):
    """Beyond this machine the gateway has TLS, or somebody has said that a proxy has."""
    with pytest.raises(Misused, match="clear"):
        check_transport(host, None, behind_tls=False)
    check_transport(host, None, behind_tls=True)
    check_transport(host, Tls(Path("a"), Path("b"), None), behind_tls=False)
    check_transport("127.0.0.1", None, behind_tls=False)


# -- requests as bytes -----------------------------------------------------------------------------------

BODY = json.dumps(claimant("raw")).encode()
TYPE = b"content-type: application/cloudevents+json\r\n"
HEAD = b"POST /events HTTP/1.1\r\nhost: x\r\n" + TYPE

RAW: dict[str, tuple[bytes, set[int]]] = {
    "a bare line feed in a header": (HEAD + b"ce-note: a\nx: y\r\ncontent-length: 0\r\n\r\n", {400, 401}),
    "a null byte in a header": (HEAD + b"ce-note: a\x00b\r\ncontent-length: 0\r\n\r\n", {400}),
    "a folded header": (HEAD + b"AUTH\r\n folded\r\ncontent-length: 0\r\n\r\n", {400, 401}),
    "a space before the colon": (HEAD + b"ce-id : a\r\ncontent-length: 0\r\n\r\n", {400}),
    "two lengths": (HEAD + b"AUTH\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n" + BODY, {400}),
    "a length and chunks": (
        HEAD + b"AUTH\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {400},
    ),
    "a length that is negative": (HEAD + b"AUTH\r\ncontent-length: -1\r\n\r\n", {400}),
    "a length of letters": (HEAD + b"AUTH\r\ncontent-length: 1a\r\n\r\n", {400}),
    "a length beyond what is taken": (HEAD + b"AUTH\r\ncontent-length: 99999999999\r\n\r\n", {413}),
    "an encoding that is not known": (HEAD + b"AUTH\r\ntransfer-encoding: gzip\r\n\r\n", {400, 501}),
    "headers without end": (HEAD + b"x: " + b"a" * 200_000, {400, 431}),
    "a path with a line feed": (b"GET /contracts\n HTTP/1.1\r\nhost: x\r\n\r\n", {400}),
    "an address for a path": (b"GET http://evil/health/live HTTP/1.1\r\nhost: x\r\n\r\n", {400, 401}),
    "no host": (b"GET /health/live HTTP/1.1\r\n\r\n", {400}),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, int]]:
    made = rig(tmp_path_factory.mktemp("plain"))
    with served(made) as port:
        yield made, port


@pytest.mark.parametrize("name", RAW)
def test_a_request_that_is_none_goes_nowhere(plain: tuple[Rig, int], name: str):
    """No smuggling: what two readers could read differently is refused by the first."""
    made, port = plain
    request, statuses = RAW[name]
    authorization = b"authorization: " + made.auth()["authorization"].encode()
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        answer = b""
        with suppress(OSError):  # it may hang up before it has heard everything
            line.sendall(request.replace(b"AUTH", authorization))
            line.shutdown(socket.SHUT_WR)
            while part := line.recv(65_536):
                answer += part
    if name == "headers without end" and not answer:
        return
    assert answer.count(b"HTTP/1.1 ") == 1
    assert int(answer.split(b" ")[1]) in statuses
    assert not [sent for sent in made.sink.sent if b"raw" in dict(sent.headers)["ce_id"]]


def test_a_websocket_is_closed_without_an_answer(plain: tuple[Rig, int]):
    """There is none here, and no way round the door."""
    _, port = plain
    upgrade = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
    upgrade["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    answer = httpx.get(f"http://127.0.0.1:{port}/events", headers=upgrade, trust_env=False)
    assert answer.status_code == 401


def test_a_renewed_certificate_is_taken_up_and_half_of_one_is_not(tmp_path: Path):
    """Nobody restarts a gateway for a renewed certificate; a key that is not its own changes nothing."""
    authority = Authority(tmp_path, "ours")
    address = x509.IPAddress(ip_address("127.0.0.1"))
    first, second, third = (
        authority.sign(name, address, ExtendedKeyUsageOID.SERVER_AUTH)
        for name in ("first", "second", "third")
    )
    in_use = Signed(tmp_path / "use.pem", tmp_path / "use.key")

    def put(certificate: Path, key: Path) -> None:
        shutil.copy(certificate, in_use.certificate)
        shutil.copy(key, in_use.key)

    def until_served(wanted: Path) -> None:
        der = ssl.PEM_cert_to_DER_cert(wanted.read_text())
        deadline = time.monotonic() + 60
        while ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port))) != der:
            assert time.monotonic() < deadline, "the renewed certificate was not taken up"
            time.sleep(0.2)

    put(*first[:2])
    with served(rig(tmp_path), Tls(in_use.certificate, in_use.key, None)) as port:
        until_served(first.certificate)
        with structlog.testing.capture_logs() as said:
            put(second.certificate, third.key)
            deadline = time.monotonic() + 60
            while not any(each["event"] == "certificate-not-taken-up" for each in said):
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            until_served(first.certificate)
            put(third.certificate, third.key)
            until_served(third.certificate)
        assert said[-1]["event"] == "certificate-taken-up"
