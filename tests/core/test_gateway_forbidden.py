"""What nobody may do over HTTP, one row each: the answer, and that nothing was written.

`NOBODY` are requests without a valid proof of who asks; `SOMEBODY` are clients beyond what they may. The
last tests compare answers: what is another's must look like what is not there.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.gateway.cursor import Cursor, Cursors
from connectors.gateway.ports import Obligation
from tests.gateway_kit import CARERS, HOUSING, ISSUING, TAX, Rig, claimant, encoded, rig, view_headers

YORKS, LEEDS = "o-" + "1" * 32, "o-" + "2" * 32
STRUCTURED = "application/cloudevents+json"
Token = Callable[[Rig], str | None]


@pytest.fixture
def made(tmp_path: Path) -> Rig:
    """A gateway with a view and an obligation of each of two subscribers."""
    found = rig(tmp_path)
    for agreement in (HOUSING, TAX, CARERS):
        found.views.write(agreement, "s-1", {"name": "SECRET"}, view_headers(1))
    for name, subscriber in ((YORKS, "council-york"), (LEEDS, "council-leeds")):
        found.ledger.entries.append(Obligation(name, subscriber, CARERS, "s-1", ("name",), 0, 1, None))
    return found


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token made by hand, because no library makes these."""
    body = f"{encoded(dict(header))}.{encoded(dict(claims))}"
    return f"{body}.{encoded(sign(body.encode()))}"


def none_token(_: Rig) -> str:
    return signed({"alg": "none", "kid": "ec-1"}, ISSUING.claims("dwp-cis"), lambda _: b"")


def public_key_as_secret(_: Rig) -> str:
    """HS256 with the issuer's public key as the secret: the classic confusion."""
    pem = ISSUING.rsa.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "kid": "rsa-1"}
    return signed(header, ISSUING.claims("dwp-cis"), lambda body: hmac.digest(pem, body, hashlib.sha256))


def own_key(_: Rig) -> str:
    """Signed with a key that the token itself brings along."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key(), as_dict=True)
    headers = {"kid": "ec-1", "jwk": jwk, "jku": "https://evil.example/jwks"}
    return jwt.encode(ISSUING.claims("dwp-cis"), key, "ES256", headers=headers)


def another_algorithm(_: Rig) -> str:
    """An RSA key's id with the other algorithm's name."""
    token = ISSUING.token(kid="rsa-1")
    header = encoded({"alg": "ES256", "kid": "rsa-1"})
    return header + token[token.index(".") :]


def rsa_pss(_: Rig) -> str:
    return jwt.encode(ISSUING.claims("dwp-cis"), ISSUING.rsa, "PS256", headers={"kid": "rsa-1"})


def tampered(_: Rig) -> str:
    """Another client's name under a signature that was for the first."""
    header, _, signature = ISSUING.token("dwp-cis").split(".")
    return f"{header}.{encoded(ISSUING.claims('nhs-pds'))}.{signature}"


def with_header(**more: Any) -> Token:
    return lambda _: jwt.encode(
        ISSUING.claims("dwp-cis"), ISSUING.ec, "ES256", headers={"kid": "ec-1"} | more
    )


def with_raw_claims(**claims: float) -> Token:
    """Signed as it is, without the library's own look at the claims."""
    return lambda _: jwt.PyJWS().encode(
        json.dumps(ISSUING.claims("dwp-cis") | claims).encode(), ISSUING.ec, "ES256", headers={"kid": "ec-1"}
    )


def with_claims(client: str = "dwp-cis", **claims: Any) -> Token:
    return lambda made: ISSUING.token(client, **claims)


def relative(**claims: int) -> Token:
    """Moments from now, in seconds."""

    def token(made: Rig) -> str:
        now_s = made.now_ms() // 1000
        return ISSUING.token("dwp-cis", **{name: now_s + value for name, value in claims.items()})

    return token


NOBODY: dict[str, Token] = {
    "no credentials": lambda _: None,
    "an empty token": lambda _: "",
    "not a token": lambda _: "abc",
    "a token of one part too many": lambda _: ISSUING.token() + ".x",
    "a token of many kilobytes": with_claims(x="x" * 9_000),
    "alg none": none_token,
    "alg None in another spelling": lambda _: signed({"alg": "nOnE", "kid": "ec-1"}, {}, lambda _: b""),
    "HS256 with the public key": public_key_as_secret,
    "a key that the token brings along": own_key,
    "the algorithm of another key": another_algorithm,
    "RSA-PSS, which is not on the list": rsa_pss,
    "another client's claims under the signature": tampered,
    "the signature cut off": lambda _: ISSUING.token().rpartition(".")[0] + ".",
    "an unknown key": with_header(kid="nobody"),
    "no key id": lambda _: jwt.encode(ISSUING.claims("dwp-cis"), ISSUING.ec, "ES256"),
    "a key id that is a path": with_header(kid="../../etc/passwd"),
    "an ID token": with_header(typ="id+jwt"),
    "a critical extension": with_header(crit=["exp"]),
    "an expired token": relative(iat=-700, nbf=-700, exp=-60),
    "a token from the future": relative(iat=60, nbf=60, exp=660),
    "a token that begins later": relative(nbf=60),
    "a token that lives for a week": relative(exp=7 * 24 * 3600),
    "a token that never ends": with_claims(exp=None),
    "an end that is no number": with_claims(exp="tomorrow"),
    "an end that is infinite": with_raw_claims(exp=float("inf")),
    "a beginning that is no number": with_raw_claims(nbf=float("nan")),
    "no beginning": with_claims(iat=None, nbf=None),
    "another issuer": with_claims(iss="https://evil.example"),
    "no issuer": with_claims(iss=None),
    "another audience": with_claims(aud="another-service"),
    "no audience": with_claims(aud=None),
    "an unknown client": with_claims("nobody"),
    "no client": with_claims(client_id=None),
    "two clients": with_claims(azp="nhs-pds"),
    "a client that is a list": with_claims(client_id=["dwp-cis"]),
    "a client that needs a certificate": with_claims("mtls"),
    "a scope that is a list": with_claims(scope=["publish"]),
}  # fmt: skip


@pytest.mark.parametrize("who", NOBODY)
def test_nobody_gets_in(made: Rig, who: str):
    """401 for whatever is asked, the same text for every cause, and nothing is done."""
    token = NOBODY[who](made)
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    answers = [
        made.http.post("/events", json=claimant(), headers=headers | {"content-type": STRUCTURED}),
        made.http.get(f"/views/{HOUSING}/s-1", headers=headers),
        made.http.get("/openapi.json", headers=headers),
        made.http.get("/nothing", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert len({answer.text for answer in answers}) == 1
    assert "authorization: Bearer" in answers[0].json()["detail"]
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)
    assert not made.sink.sent


def structured(made: Rig, event: Any, client: str, **claims: Any) -> Any:
    headers = made.auth(client, **claims) | {"content-type": STRUCTURED}
    return made.http.post("/events", content=json.dumps(event).encode(), headers=headers)


def binary(made: Rig, client: str, *more: tuple[bytes, bytes]) -> Any:
    event = claimant()
    named = [(f"ce-{name}".encode(), str(event[name]).encode()) for name in event if name != "data"]
    headers = [*made.auth(client).items(), ("content-type", "application/json")]
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return made.http.post("/events", content=json.dumps(event["data"]), headers=[*raw, *named, *more])


def acknowledge(made: Rig, body: Any, client: str, **claims: Any) -> Any:
    return made.http.post("/acknowledgements", json=body, headers=made.auth(client, **claims))


def cursor_of(made: Rig, agreement: str, client: str) -> str:
    return str(made.get(f"/views/{agreement}/changes", client).json()["cursor"])


def cut(cursor: str) -> str:
    """A cursor whose position was moved back by hand."""
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[15] ^= 1
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def changes(made: Rig, agreement: str, client: str, **params: Any) -> Any:
    return made.get(f"/views/{agreement}/changes", client, **params)


SOMEBODY: dict[str, tuple[Callable[[Rig], Any], int]] = {
    # a department
    "a department reads a view": (lambda m: changes(m, HOUSING, "dwp-cis"), 403),
    "a department reads a key": (lambda m: m.get(f"/views/{HOUSING}/s-1", "dwp-cis"), 403),
    "a department opens a stream": (lambda m: m.get(f"/views/{HOUSING}/events", "dwp-cis"), 403),
    "a department looks a key up": (
        lambda m: m.http.post(f"/views/{HOUSING}/lookup", json={"key": "s-1"}, headers=m.auth()), 403,
    ),
    "a department reads obligations": (lambda m: m.get("/obligations", "dwp-cis"), 403),
    "a department acknowledges": (lambda m: acknowledge(m, {"obligation": LEEDS}, "dwp-cis"), 403),
    "a department publishes another's contract": (lambda m: structured(m, claimant(), "nhs-pds"), 403),
    "a department publishes another's contract in its own name": (
        lambda m: structured(m, claimant() | {"source": "urn:gov:nhs:pds"}, "nhs-pds"), 403,
    ),
    "a department publishes in another's name": (
        lambda m: structured(m, claimant() | {"source": "urn:gov:hmrc:x"}, "dwp-cis"), 403,
    ),
    "a department publishes for a system that is not the client's": (
        lambda m: structured(m, claimant() | {"source": "urn:gov:dwp:other"}, "dwp-cis"), 403,
    ),
    "a department hides another's event in a batch": (
        lambda m: m.batch([claimant("b-1"), claimant("b-2") | {"source": "urn:gov:hmrc:x"}]), 403,
    ),
    "a department publishes to a view's topic": (
        lambda m: structured(m, claimant() | {"type": f"view.{HOUSING}"}, "dwp-cis"), 400,
    ),
    "a department publishes an internal type": (
        lambda m: structured(m, claimant() | {"type": "uk.gov.postroom.view-updated.v1"}, "dwp-cis"), 422,
    ),
    "a department states an acknowledgement as an event": (
        lambda m: structured(
            m, claimant() | {"type": "uk.gov.postroom.deletion-acknowledged.v1"}, "dwp-cis"), 422,
    ),
    "a department's token without the scope": (
        lambda m: structured(m, claimant(), "dwp-cis", scope="subscribe"), 403,
    ),
    "a department's token without scopes": (
        lambda m: structured(m, claimant(), "dwp-cis", scope=None), 403,
    ),
    "a scope that only sounds alike": (
        lambda m: structured(m, claimant(), "dwp-cis", scope="publisher Publish publish-all"), 403,
    ),
    # a subscriber
    "a subscriber publishes": (lambda m: structured(m, claimant(), "leeds"), 403),
    "a subscriber publishes its own enrolment as the reader": (
        lambda m: structured(m, claimant() | {"source": "urn:gov:council-leeds:x"}, "leeds"), 403,
    ),
    "a subscriber reads another's view": (lambda m: changes(m, CARERS, "leeds"), 404),
    "a subscriber reads another's key": (lambda m: m.get(f"/views/{CARERS}/s-1", "leeds"), 404),
    "a subscriber streams another's view": (lambda m: m.get(f"/views/{CARERS}/events", "leeds"), 404),
    "a subscriber looks another's key up": (
        lambda m: m.http.post(f"/views/{CARERS}/lookup", json={"key": "s-1"}, headers=m.auth("leeds")), 404,
    ),
    "a narrowed client reads its subscriber's other view": (lambda m: changes(m, HOUSING, "leeds-tax"), 404),
    "a client without the scope reads obligations": (lambda m: m.get("/obligations", "leeds-tax"), 403),
    "a subscriber acknowledges another's obligation": (
        lambda m: acknowledge(m, {"obligation": YORKS}, "leeds"), 404,
    ),
    "a subscriber acknowledges for another": (
        lambda m: acknowledge(m, {"obligation": YORKS, "subscriber": "council-york"}, "leeds"), 400,
    ),
    "a reader's token acknowledges": (
        lambda m: acknowledge(m, {"obligation": LEEDS}, "leeds", scope="subscribe"), 403,
    ),
    # cursors
    "a cursor of another agreement": (
        lambda m: changes(m, TAX, "leeds", cursor=cursor_of(m, HOUSING, "leeds")), 400,
    ),
    "a cursor of another subscriber": (
        lambda m: changes(m, HOUSING, "leeds", cursor=Cursors(b"key").write(
            Cursor((0, 0, 0), m.now_ms()), "council-york", HOUSING)), 400,
    ),
    "a cursor that was moved": (
        lambda m: changes(m, HOUSING, "leeds", cursor=cut(cursor_of(m, HOUSING, "leeds"))), 400,
    ),
    "a cursor of another installation": (
        lambda m: changes(m, HOUSING, "leeds", cursor=Cursors(b"other").write(
            Cursor((0, 0, 0), m.now_ms()), "council-leeds", HOUSING)), 400,
    ),
    "a cursor as Last-Event-ID of another agreement": (
        lambda m: m.http.get(f"/views/{TAX}/events", headers=m.auth("leeds") | {
            "last-event-id": cursor_of(m, HOUSING, "leeds")}), 400,
    ),
    # paths and methods
    "a way round by dots": (lambda m: m.get(f"/views/{HOUSING}/../{CARERS}/changes", "leeds"), 404),
    "a way round by escaped dots": (
        lambda m: m.get(f"/views/{HOUSING}%2F..%2F{CARERS}/changes", "leeds"), 404,
    ),
    "an agreement in capitals": (lambda m: changes(m, HOUSING.upper(), "leeds"), 404),
    "an agreement with a space": (lambda m: changes(m, HOUSING + "%20", "leeds"), 404),
    "an agreement with a null byte": (lambda m: changes(m, HOUSING + "%00", "leeds"), 404),
    "a slash too many": (lambda m: m.get(f"//views/{HOUSING}/changes", "leeds"), 404),
    "a slash at the end": (lambda m: m.get(f"/views/{HOUSING}/changes/", "leeds"), 404),
    "health as a way in": (lambda m: m.http.get(f"/health/live/../../views/{HOUSING}/changes"), 401),
    "health with a slash": (lambda m: m.http.get("/health/live/"), 401),
    "a view is written": (
        lambda m: m.http.request("PUT", f"/views/{HOUSING}/s-1", json={}, headers=m.auth("leeds")), 405,
    ),
    "a view is deleted": (
        lambda m: m.http.request("DELETE", f"/views/{HOUSING}/s-1", headers=m.auth("leeds")), 405,
    ),
    "a method by header": (
        lambda m: m.http.get("/events", headers=m.auth() | {"x-http-method-override": "POST"}), 405,
    ),
    "a cross-origin question": (
        lambda m: m.http.request("OPTIONS", "/events", headers={"origin": "https://evil.example"}), 401,
    ),
    # headers
    "two authorisations": (
        lambda m: m.http.get("/contracts", headers=[*m.auth().items(), *m.auth("leeds").items()]), 401,
    ),
    "a password": (
        lambda m: m.http.get("/contracts", headers={"authorization": "Basic ZHdwOmR3cA=="}), 401,
    ),
    "a token in the address": (
        lambda m: m.http.get("/contracts", params={"access_token": ISSUING.token()}), 401,
    ),
    "a proxy's word for a certificate": (
        lambda m: m.http.get("/contracts", headers={
            "x-forwarded-client-cert": "URI=urn:dwp:twice", "x-ssl-client-s-dn": "CN=cis"}), 401,
    ),
    "a line break in a header of the event": (
        lambda m: binary(m, "dwp-cis", (b"ce-note", b"a%0D%0Ab: c")), 400,
    ),
    "a bare carriage return in a header": (lambda m: binary(m, "dwp-cis", (b"ce-note", b"a%0Db")), 400),
    "a header of the event twice": (
        lambda m: binary(m, "dwp-cis", (b"ce-source", b"urn:gov:hmrc:x")), 400,
    ),
    "a header of the event in another spelling": (
        lambda m: binary(m, "dwp-cis", (b"CE-Source", b"urn:gov:hmrc:x")), 400,
    ),
    "data as a header": (lambda m: binary(m, "dwp-cis", (b"ce-data", b"{}")), 400),
    "a content type in the event": (lambda m: binary(m, "dwp-cis", (b"ce-datacontenttype", b"x")), 400),
    "half an escape": (lambda m: binary(m, "dwp-cis", (b"ce-note", b"%0")), 400),
    "bytes that are not UTF-8": (lambda m: binary(m, "dwp-cis", (b"ce-note", b"%FF")), 400),
}  # fmt: skip


@pytest.mark.parametrize("action", SOMEBODY)
def test_somebody_gets_no_further_than_they_may(made: Rig, action: str):
    """The status, a problem, no value of a view, and nothing written."""
    act, status = SOMEBODY[action]
    answer = act(made)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "SECRET" not in answer.text
    assert not made.sink.sent


def test_the_table_is_as_long_as_was_promised():
    """At least thirty forbidden actions."""
    assert len(NOBODY) + len(SOMEBODY) >= 30


@pytest.mark.parametrize("path", ["/views/{}/changes", "/views/{}/events", "/views/{}/s-1"])
def test_anothers_agreement_looks_like_none(made: Rig, path: str):
    """The same bytes and headers: who shares what with whom is not learned here."""
    answers = [made.get(path.format(name), "leeds") for name in (CARERS, "no-such-agreement")]
    assert answers[0].text == answers[1].text
    assert dict(answers[0].headers) == dict(answers[1].headers)


def test_anothers_obligation_looks_like_none(made: Rig):
    """Neither that it exists nor whose it is."""
    answers = [acknowledge(made, {"obligation": name}, "leeds") for name in (YORKS, "o-" + "f" * 32, "x")]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1


def test_anothers_event_is_not_found_by_its_name(made: Rig):
    """A 409 would tell that an id was published; a source that is not the client's is refused before."""
    structured(made, claimant("known"), "dwp-cis")
    answers = [structured(made, claimant(name), "nhs-pds") for name in ("known", "unknown")]
    assert answers[0].text == answers[1].text


def test_only_health_answers_to_nobody(made: Rig):
    """Every route of the document asks who it is, the document and its page too."""
    document = made.http.get("/openapi.json", headers=made.auth()).json()
    for path, operations in document["paths"].items():
        for method in operations:
            answer = made.http.request(method.upper(), path)
            assert (answer.status_code == 401) == (not path.startswith("/health/")), path
    assert made.http.get("/docs", headers=made.auth()).status_code == 200
    assert "<script" not in made.http.get("/docs", headers=made.auth()).text
