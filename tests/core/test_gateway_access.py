"""Who asks: tokens, keys that rotate, certificates, the file of clients, cursors. All of it fails closed."""

import asyncio
import http.server
import json
import threading
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import Misused
from connectors.away import Away
from connectors.callers import KeySet, load_clients, strangers
from connectors.callers.keysets import AGE_S_MAX, STALE_S_MAX, UNKNOWN_S_MIN, NoKeys, from_url, read_keys
from connectors.doors.certificates import Certificate
from connectors.doors.limits import is_too_deep
from connectors.gateway import Cursors
from connectors.gateway.cursor import Cursor, CursorInvalid
from tests.gateway_kit import ISSUING, Issuer, Rig, claimant, rig, rules

CIS = Certificate(frozenset({("DNS", "cis.dwp.example")}), b"der of cis")
TWICE = Certificate(frozenset({("URI", "urn:dwp:twice")}), b"der of twice")
STRANGER = Certificate(frozenset({("DNS", "stranger.example")}), b"der of a stranger")
SHAREDNAMES = Certificate(CIS.names | {("DNS", "second.dwp.example")}, b"der of both")


@pytest.fixture
def made(tmp_path: Path) -> Rig:
    return rig(tmp_path)


def publish(made: Rig, certificate: Certificate | None, token: str | None) -> tuple[int, str]:
    """Publish as DWP with these proofs; the status and the audit line's reason."""
    made.http.certificate = certificate
    headers = {"content-type": "application/cloudevents+json"}
    headers |= {} if token is None else {"authorization": f"Bearer {token}"}
    answer = made.http.post("/events", content=json.dumps(claimant()), headers=headers)
    return answer.status_code, answer.text


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1"])
def test_a_token_of_each_algorithm_is_taken(made: Rig, kid: str):
    """RS256, ES256 and EdDSA."""
    assert publish(made, None, ISSUING.token(kid=kid))[0] == 202


def test_what_rfc_9068_leaves_open_is_taken(made: Rig):
    """A list of audiences, no `nbf` beside `iat`, `azp` for the client, a clock a few seconds behind."""
    ahead = made.now_ms() // 1000 + 5
    for claims in (
        {"aud": ["other", "postroom"]},
        {"nbf": None},
        {"iat": None},
        {"client_id": None, "azp": "dwp-cis"},
        {"iat": ahead, "nbf": ahead},
    ):
        assert publish(made, None, ISSUING.token(**claims))[0] == 202, claims


@pytest.mark.parametrize(
    ("certificate", "client", "status"),
    [
        (CIS, None, 202),
        (CIS, "mtls", 202),
        (TWICE, "twice", 202),
        (TWICE, None, 401),
        (None, "twice", 401),
        (CIS, "twice", 401),
        (None, "mtls", 401),
        (STRANGER, None, 401),
        (SHAREDNAMES, None, 401),
        (CIS, "dwp-cis", 401),
        (STRANGER, "dwp-cis", 202),
    ],
)
def test_a_client_proves_itself_in_the_way_that_it_must(
    made: Rig, certificate: Certificate | None, client: str | None, status: int
):
    """A token, a certificate, or both, and all that is given names one client."""
    token = None if client is None else ISSUING.token(client)
    assert publish(made, certificate, token)[0] == status


def test_a_token_bound_to_a_certificate_needs_its_connection(made: Rig):
    """RFC 8705: stolen, it is worth nothing."""
    thumbprint = urlsafe_b64encode(sha256(STRANGER.der).digest()).decode().rstrip("=")
    bound = ISSUING.token(cnf={"x5t#S256": thumbprint})
    assert publish(made, STRANGER, bound)[0] == 202
    assert publish(made, None, bound)[0] == 401
    assert publish(made, Certificate(STRANGER.names, b"another"), bound)[0] == 401
    assert publish(made, STRANGER, ISSUING.token(cnf={"jkt": "x"}))[0] == 401


def test_an_audit_line_says_why_and_nothing_of_anybody(made: Rig, capsys: pytest.CaptureFixture[str]):
    """One JSON line for each refusal: client, route, reason; no token, no path, no body."""
    token = ISSUING.token("nobody-known")
    publish(made, None, token)
    made.publish(claimant(nino="SECRETNINO"))
    made.get("/views/SECRETAGREEMENT/SECRETKEY")
    made.http.get("/SECRETPATH")
    said = capsys.readouterr().err
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(line["client"], line["reason"], line["status"]) for line in lines] == [
        (None, "unknown-client", 401),
        ("dwp-cis", "identifier-invalid", 422),
        ("leeds", "not-entitled", 404),
        (None, "no-credentials", 401),
    ]
    # Whoever is refused before its route is looked for, too: an operator sees what was tried.
    assert [line["route"] for line in lines] == ["/events", "/events", "/views/{agreement}/{key}", "unknown"]
    assert "SECRET" not in said
    assert token[:20] not in said
    assert "nobody-known" not in said


def test_the_framework_reports_to_nobody(made: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Its spans would carry paths, which may hold keys: off, whatever the environment says."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    telemetry = rig(tmp_path).app._telemetry
    assert not any(telemetry[name] for name in ("tracing", "metrics", "logs", "auto_configure"))


# -- the issuer's keys -----------------------------------------------------------------------------------


class Keys:
    """A set of keys that can change or fail, and a clock."""

    def __init__(self) -> None:
        self.issuer, self.now_s, self.asked, self.away = Issuer(), 0.0, 0, False
        self.set = KeySet(self.fetch, lambda: self.now_s)

    async def fetch(self) -> bytes:
        self.asked += 1
        if self.away:
            raise OSError("away")
        return json.dumps(self.issuer.jwks()).encode()

    def find(self, kid: str, algorithm: str = "ES256") -> Any:
        return asyncio.run(self.set.find(kid, algorithm))


def test_a_new_key_is_found_at_once_and_a_removed_one_is_forgotten():
    """Rotation needs no restart; an issuer that takes a key out is obeyed within minutes."""
    keys = Keys()
    assert keys.find("ec-1") is not None
    keys.now_s = 60
    keys.issuer.keys["ec-2"] = keys.issuer.keys.pop("ec-1")
    assert keys.find("ec-2") is not None
    assert keys.find("ec-1") is None
    keys.issuer.keys.clear()
    keys.now_s += AGE_S_MAX + 1
    assert keys.find("ec-2") is None


def test_invented_key_ids_are_no_load_on_the_issuer():
    """The set is read again for an unknown id, not more often than every ten seconds."""
    keys = Keys()
    for number in range(50):
        keys.now_s = number / 10
        keys.find(f"invented-{number}")
    assert keys.asked == 1
    keys.now_s = UNKNOWN_S_MIN + 1
    keys.find("invented")
    assert keys.asked == 2


def test_an_issuer_that_is_away_is_borne_for_an_hour():
    """Then its keys count no more: what cannot be checked is not let in."""
    keys = Keys()
    keys.find("ec-1")
    keys.away = True
    keys.now_s = STALE_S_MAX - 1
    assert keys.find("ec-1") is not None
    keys.now_s = STALE_S_MAX + 1
    with pytest.raises(Away):
        keys.find("ec-1")
    assert Keys().find("ec-1") is not None


def test_an_issuer_that_was_never_there_is_503(tmp_path: Path):
    """Not 401: the client did nothing wrong."""

    class Nobody(Issuer):
        def jwks(self) -> Any:
            raise OSError("away")

    made = rig(tmp_path, issuer=Nobody())
    answer = made.publish(claimant())
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_only_public_keys_of_allowed_kinds_are_read():
    """A shared secret, a short RSA key, an encryption key and another curve are no keys; a key of one kind
    is none of another.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from tests.gateway_kit import _jwk

    short = _jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "RS256")  # noqa: S505
    good = ISSUING.jwks()["keys"]
    entries = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        short | {"kid": "b"},
        good[1] | {"kid": "c", "use": "enc"},
        good[1] | {"kid": "d", "alg": "RS256"},
        good[1] | {"kid": None},
        _jwk(ec.generate_private_key(ec.SECP384R1()), "ES384") | {"kid": "e"},
        17,
        good[1] | {"kid": "f", "x": "!"},
        good[1] | {"kid": "g"},
    ]
    assert read_keys(json.dumps({"keys": entries}).encode()).keys() == {("g", "ES256")}
    for damaged in (b"", b"[]", b'{"keys": 1}', b"\xff"):
        with pytest.raises(NoKeys):
            read_keys(damaged)


# -- cursors ---------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 2**63), max_size=64).map(tuple),
    st.integers(0, 2**60),
    st.data(),
)
def test_a_cursor_is_read_as_it_was_written_and_in_no_other_way(
    positions: tuple[int, ...], since_ms: int, data: st.DataObject
):
    """It is bound to its subscriber and agreement, and one changed letter makes it none."""
    cursors, cursor = Cursors(b"key"), Cursor(positions, since_ms)
    text = cursors.write(cursor, "leeds", "housing")
    assert cursors.read(text, "leeds", "housing") == cursor
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHabcdefgh0123456789-_"))
    changed = text[:at] + letter + text[at + 1 :]
    others = [
        (cursors, text, "york", "housing"),
        (cursors, text, "leeds", "tax"),
        (Cursors(b"other"), text, "leeds", "housing"),
    ]
    if at < len(text) - 1 and letter != text[at]:  # the last letter has bits that mean nothing
        others.append((cursors, changed, "leeds", "housing"))
    for reader, given_text, subscriber, agreement in others:
        with pytest.raises(CursorInvalid):
            reader.read(given_text, subscriber, agreement)


@given(st.text(max_size=200))
def test_no_text_makes_a_cursor_fail_otherwise(text: str):
    """Whatever is sent, it is invalid and nothing else."""
    with pytest.raises(CursorInvalid):
        Cursors(b"key").read(text, "a", "b")


# -- the file of clients ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "A_B: {owner: dwp, scopes: [publish]}",
        "a: {owner: dwp, subscriber: dwp, scopes: [publish]}",
        "a: {scopes: [publish]}",
        "a: {owner: dwp, scopes: []}",
        "a: {owner: dwp, scopes: [subscribe]}",
        "a: {subscriber: council-york, scopes: [publish]}",
        "a: {owner: dwp, scopes: [admin]}",
        "a: {owner: dwp, scopes: [publish], scope: x}",
        "a: {owner: D.W.P, scopes: [publish]}",
        "a: {subscriber: council-york, scopes: [subscribe], agreements: [council-leeds-housing]}",
        "a: {subscriber: council-york, scopes: [subscribe], agreements: [nothing]}",
        "a: {subscriber: council-york, scopes: [subscribe], systems: [x]}",
        "a: {owner: dwp, scopes: [publish], agreements: [x]}",
        "a: {owner: dwp, scopes: [publish], proof: certificate}",
        "a: {owner: dwp, scopes: [publish], certificate: {san_dns: x}}",
        "a: {owner: dwp, scopes: [publish], proof: both, certificate: {san_dns: x, san_uri: y}}",
        "a: {owner: dwp, scopes: [publish], proof: both, certificate: {}}",
        "a: {owner: dwp, scopes: [publish], events_per_s: 0}",
        "a: {owner: dwp, scopes: [publish], proof: both, certificate: {san_dns: x}}\n"
        "  b: {owner: dwp, scopes: [publish], proof: both, certificate: {san_dns: x}}",
        "- a",
        "a: [",
    ],
)
def test_a_file_of_clients_is_read_strictly(tmp_path: Path, line: str):
    """What is not understood is not a client with fewer rules: nothing starts."""
    file = tmp_path / "clients.yaml"
    file.write_text(f"clients:\n  {line}\n")
    with pytest.raises(Misused, match="clients"):
        load_clients(file, rules()[1])


def test_all_that_is_wrong_with_the_clients_is_told_by_line_with_what_mends_it(tmp_path: Path):
    """One round: also what two keys say against each other, and what sound clients name that there is not."""
    file = tmp_path / "clients.yaml"
    file.write_text(
        "clients:\n"
        "  a: {owner: dwp, scopes: [publsh]}\n"
        "  b:\n    owner: dwp\n    subscriber: council-leeds\n    scopes: []\n"
        "  c: {subscriber: council-leeds, scopes: [subscribe], agreements: [council-leeds-housin]}\n"
        "  d: {owner: dwp, scopes: [subscribe], sytems: [x], certificate: {}}\n"
    )
    with pytest.raises(Misused) as found:
        load_clients(file, rules()[1])
    told = found.value.why.splitlines()
    assert [line.partition(": ")[0] + ": " + line.split(": ")[1] for line in told] == [
        "line 2: clients.a.scopes.0",
        "line 3: clients.b",
        "line 6: clients.b.scopes",
        "line 7: clients.c.agreements",
        "line 8: clients.d.certificate",
        "line 8: clients.d.sytems",
        "line 8: clients.d",
        "line 8: clients.d",
    ]
    for words in ("did you mean publish?", "did you mean council-leeds-housing?", "did you mean systems?"):
        assert words in found.value.why
    assert "docs/examples/clients.yaml" in found.value.mend


def test_a_client_of_whom_nothing_else_speaks_is_a_hint_and_no_fault(tmp_path: Path):
    """A department may get its client before its contract; a misspelt name would publish or read nothing."""
    file = tmp_path / "clients.yaml"
    file.write_text(
        "clients:\n  a: {owner: dwpp, scopes: [publish]}\n  b: {owner: dwp, scopes: [publish]}\n"
        "  c: {subscriber: council-leed, scopes: [subscribe]}\n"
        "  d: {subscriber: council-leeds, scopes: [subscribe]}\n"
    )
    contracts, agreements = rules()
    assert [*strangers(load_clients(file, agreements), contracts, agreements)] == [
        "a: no contract names the owner dwpp; did you mean dwp?",
        "c: no agreement names the subscriber council-leed; did you mean council-leeds?",
    ]


def test_a_subscribers_client_reads_its_agreements_and_an_owners_none(made: Rig):
    """Derived from the agreements, never written down twice."""
    mine = {name for name, each in rules()[1].items() if each.subscriber == "council-leeds"}
    assert made.clients.by_id["leeds"].agreements == mine
    assert not made.clients.by_id["dwp-cis"].agreements


def test_the_example_file_of_the_documents_is_right():
    """It is the one that a newcomer starts with."""
    file = Path(__file__).resolve().parents[2] / "docs" / "examples" / "clients.yaml"
    assert {"dwp-cis", "leeds-housing"} <= load_clients(file, rules()[1]).by_id.keys()


# -- depth -----------------------------------------------------------------------------------------------


@given(st.integers(0, 80), st.integers(0, 60))
def test_depth_is_counted_and_breadth_is_not(depth: int, breadth: int):
    """Many small values are no deep one."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    whole = [value, *([[]] * breadth)]
    assert is_too_deep(json.dumps(whole).encode(), whole) == (depth + 1 > 32)


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_keys_are_taken_from_the_issuers_own_address_alone(status: int):
    """A redirect is not followed, and what comes beside one, or beside a failure, is no set of keys."""

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/theirs" else status)
            self.send_header("location", "/theirs")
            self.end_headers()
            self.wfile.write(json.dumps(ISSUING.jwks()).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as issuer:
        threading.Thread(target=issuer.serve_forever, daemon=True).start()
        try:
            with pytest.raises(OSError, match=str(status)):
                asyncio.run(from_url(f"http://127.0.0.1:{issuer.server_port}/keys")())
        finally:
            issuer.shutdown()
