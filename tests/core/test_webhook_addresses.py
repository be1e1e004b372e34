"""Nothing is sent inside: every hostile address and name, at the moment of connecting, redirects included."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from connectors.webhook.addresses import METADATA, read_networks, refusal
from connectors.webhook.answers import Answer, Outcome
from connectors.webhook.line import Line, trusted
from tests.core.test_gateway_serving import Authority, Signed
from tests.webhook_kit import Receiver

LOOPBACK = read_networks("127.0.0.0/8,::1/128")

_HOSTILE = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 127.0.0.1 127.255.0.9 169.254.0.1 169.254.169.254
169.254.170.2 168.63.129.16 100.100.100.200 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1
192.168.0.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ::
::1 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
::ffff:a9fe:a9fe ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::10.1.2.3
64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1::8.8.8.8 2002:7f00:1:: 2002:a00:1:: 2002:a9fe:a9fe::
2001::1 2001:0:7f00:1:: 2001:db8::1 2001:10::1 100::1 3fff::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254
fe80::1 fe80::1%1 fec0::1 ff02::1 ff05::1 2a00:1450::5efe:10.0.0.1 2a00:1450::200:5efe:127.0.0.1 4000::1
"""
HOSTILE = _HOSTILE.split()

_PUBLIC = """
1.1.1.1 8.8.8.8 9.9.9.9 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.1.1 172.15.0.1
172.32.0.1 192.167.1.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
2606:4700:4700::1111 2a00:1450:4009::200e 2002:808:808::
"""
PUBLIC = _PUBLIC.split()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_address_is_refused(text):
    """Private, loopback, link-local, metadata, reserved, and each in every IPv6 spelling that carries it."""
    assert refusal(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_not_refused(text):
    """The neighbours of what is refused, and the translations of what is public."""
    assert refusal(ip_address(text)) is None


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_spelling(address):
    """Mapped, NAT64 and 6to4 forms of an IPv4 address are refused whenever it is, and only then."""
    plain = refusal(address)
    low = int(address)
    mapped = refusal(ip_address(int(ip_address("::ffff:0:0")) + low))
    nat64 = refusal(ip_address(int(ip_address("64:ff9b::")) + low))
    sixtofour = refusal(ip_address((0x2002 << 112) + (low << 80)))
    assert {bool(found) for found in (mapped, nat64, sixtofour)} == {bool(plain)}
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert plain


@given(st.ip_addresses(v=6))
def test_what_python_knows_to_be_private_is_refused(address):
    """Our table is held against the standard library's; but 6to4, which some releases call private as a
    whole, is judged by the address inside.
    """
    if address.sixtofour is None and (not address.is_global or address.is_multicast):
        assert refusal(address)


def test_an_installation_opens_networks_by_name_and_never_metadata():
    """What is allowed is allowed, mapped too, and nothing beside it; credentials of a cloud never."""
    allowed = read_networks("10.1.0.0/16, fd12::/16 ,169.254.0.0/16")
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "169.254.1.1"):
        assert refusal(ip_address(text), allowed) is None
    for text in ("10.2.0.1", "fd13::1", "127.0.0.1", "64:ff9b::10.1.2.3"):
        assert refusal(ip_address(text), allowed)
    everything = read_networks("0.0.0.0/0,::/0")
    assert all(refusal(address, everything) for address in METADATA)
    assert ip_network("10.1.0.0/16") in allowed


# -- at the moment of connecting -----------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    try:
        yield made
    finally:
        made.close()


def ask(url: str, allowed=(), resolving=None, method: str = "POST", timeout_s: float = 5.0) -> Answer:
    more = {} if resolving is None else {"resolving": resolving}

    async def once() -> Answer:
        line = Line(url, trusted(None), allowed, connections_max=2, timeout_s=timeout_s, **more)
        try:
            return await line.ask(method, [("content-type", "application/json")], b"{}")
        finally:
            await line.close()

    return asyncio.run(once())


def always(*addresses: str):
    async def resolving(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolving


@pytest.mark.parametrize("text", [text for text in HOSTILE if "%" not in text])
def test_a_name_that_leads_inside_is_not_connected_to(text):
    """The resolved address decides, whatever the name looks like."""
    assert ask("https://hooks.example/", resolving=always(text)).outcome is Outcome.FORBIDDEN


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "0",
     "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]"],
)  # fmt: skip
def test_no_spelling_of_this_machine_gets_through_the_system_s_resolver(host, receiver):
    """Decimal, octal, hexadecimal and short forms are what the resolver makes of them, and then refused."""
    port = receiver.url.split(":")[2].split("/")[0]
    answer = ask(f"https://{host}:{port}/hook")
    assert answer.outcome in (Outcome.FORBIDDEN, Outcome.UNREACHABLE)
    assert not receiver.got


def test_the_address_that_was_checked_is_the_one_connected_to(receiver):
    """DNS rebinding: a name is asked once for each connection; a second answer, inside, is never used."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked) - 1, 1)]

    url = receiver.url.replace("127.0.0.1", "rebind.example")
    assert ask(url, LOOPBACK, rebinding).outcome is Outcome.DELIVERED
    assert asked == ["rebind.example"]
    assert ask(url, LOOPBACK, rebinding).outcome is Outcome.FORBIDDEN
    assert receiver.got[0][0]["host"].startswith("rebind.example"), "the name stays the name"


def test_one_address_inside_among_many_refuses_the_name(receiver):
    """A name that leads inside once in a while is not a receiver's: none of its addresses is tried."""
    mixed = always("127.0.0.1", "10.0.0.1")
    assert (
        ask(receiver.url.replace("127.0.0.1", "mixed.example"), LOOPBACK, mixed).outcome is Outcome.FORBIDDEN
    )
    assert not receiver.got


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status, receiver):
    """Wherever it leads: inside, or back to the receiver itself."""
    for target in (
        "http://169.254.169.254/latest/meta-data/",
        receiver.url,
        "//10.0.0.1/",
        "file:///etc/passwd",
    ):
        receiver.answer = lambda _, target=target: (status, {"location": target})
        assert ask(receiver.url, LOOPBACK).outcome is Outcome.REDIRECTED
    assert len(receiver.got) == 4


def test_an_open_line_leads_to_this_machine_only():
    """Where loopback is allowed, http to anywhere else stays refused, public or allowed."""
    for address in ("8.8.8.8", "10.1.0.1"):
        allowed = (*LOOPBACK, *read_networks("10.0.0.0/8"))
        assert ask("http://hooks.example/", allowed, always(address)).outcome is Outcome.FORBIDDEN


def test_no_proxy_of_the_environment_is_asked(receiver, monkeypatch):
    """A proxy would resolve and connect for us, past every check."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(receiver.url, LOOPBACK).outcome is Outcome.DELIVERED


def test_a_name_without_an_address_is_unreachable():
    """Not an error of ours, and tried again later."""

    async def failing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    assert ask("https://gone.example/", (), failing).outcome is Outcome.UNREACHABLE
    assert ask("https://gone.example/", (), always()).outcome is Outcome.UNREACHABLE


def test_a_resolver_that_hangs_costs_the_time_out_and_no_more():
    """DNS is the receiver's too."""

    async def hanging(host: str, port: int) -> list[str]:
        await asyncio.sleep(3600)
        return []

    assert ask("https://slow.example/", (), hanging, timeout_s=0.2).outcome is Outcome.TIMED_OUT


def test_certificates_and_names_are_checked_whatever_is_set(tmp_path):
    """A receiver's certificate must be of the name in its URL, and of an authority that is believed."""
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    server_usage = ExtendedKeyUsageOID.SERVER_AUTH
    good = ours.sign("hooks.example", x509.DNSName("hooks.example"), server_usage)
    outcomes = {
        name: asyncio.run(_over_tls(signed, ours.file))
        for name, signed in {
            "good": good,
            "of another name": ours.sign("other", x509.DNSName("other.example"), server_usage),
            "of the address only": ours.sign(
                "address", x509.IPAddress(ip_address("127.0.0.1")), server_usage
            ),
            "of another authority": others.sign("hooks2", x509.DNSName("hooks.example"), server_usage),
            "expired": ours.sign("old", x509.DNSName("hooks.example"), server_usage, expired=True),
        }.items()
    }
    assert outcomes.pop("good") is Outcome.DELIVERED
    assert set(outcomes.values()) == {Outcome.UNTRUSTED}
    context = trusted(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def _over_tls(signed: Signed, ca_file: Path) -> Outcome:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate, signed.key)
    serving = await asyncio.start_server(answering, "127.0.0.1", 0, ssl=context)
    url = f"https://hooks.example:{serving.sockets[0].getsockname()[1]}/"
    line = Line(
        url, trusted(ca_file), LOOPBACK, connections_max=1, timeout_s=10, resolving=always("127.0.0.1")
    )
    try:
        return (await line.ask("POST", [], b"{}")).outcome
    finally:
        await line.close()
        serving.close()


@pytest.mark.parametrize(
    "raw", [b"", b"HELLO\r\n\r\n", b"HTTP/1.1 two OK\r\n\r\n", b"\x16\x03\x01\x00\x05hello"]
)
def test_an_answer_that_is_not_http_is_a_failure(raw):
    """Malformed input costs an attempt, never the process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = asyncio.run(_against(server, raw))
    assert answer.outcome in (Outcome.FAILED, Outcome.UNREACHABLE)


def test_an_answer_without_an_end_is_read_no_further():
    """Its size is bounded, and so is its time: headers that drip, a body that never ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endless = (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 65_535 + b"\r\n"
        )
        answer = asyncio.run(_against(server, endless + b"ffff\r\n" + b"x" * 65_535 + b"\r\n", hold_s=30))
    assert answer.outcome is Outcome.DELIVERED
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = asyncio.run(_against(server, b"HTTP/1.1 200 OK\r\nx: ", hold_s=30, timeout_s=0.3))
    assert answer.outcome is Outcome.TIMED_OUT
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = asyncio.run(_against(server, b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000))
    assert answer.outcome in (Outcome.FAILED, Outcome.UNREACHABLE)


async def _against(server: socket.socket, raw: bytes, hold_s: float = 0.0, timeout_s: float = 5.0) -> Answer:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        with suppress(OSError, asyncio.CancelledError):
            await writer.drain()
            await asyncio.sleep(hold_s)
        writer.close()

    serving = await asyncio.start_server(answering, sock=server)
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    line = Line(url, trusted(None), LOOPBACK, connections_max=1, timeout_s=timeout_s)
    try:
        return await line.ask("POST", [], b"{}")
    finally:
        await line.close()
        serving.close()
