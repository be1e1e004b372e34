"""GOV.UK One Login's door: a link is what two right tokens of one sign-in prove, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.event_types import LINK_TYPE
from connectors.onelogin import metrics as link_metrics
from connectors.onelogin.door import BYTES_MAX, OUTCOMES
from connectors.trouble import Misused
from schemas import unframe
from tests.gateway_kit import rules
from tests.onelogin_kit import (
    CLIENT_ID,
    DRIVER,
    NONCE,
    PATH,
    SUBJECT,
    LinkRig,
    file_text,
    provider_of,
)
from tests.standins.govuk_one_login_stand_in import GovukOneLoginStandIn, encoded

OTHER_DRIVER = "MORGA657054SM9KL"


@pytest.fixture
def stand_in() -> Iterator[GovukOneLoginStandIn]:
    made = GovukOneLoginStandIn()
    yield made
    made.close()


@pytest.fixture
def rig(tmp_path: Path, stand_in: GovukOneLoginStandIn) -> Iterator[LinkRig]:
    made = LinkRig(tmp_path, stand_in)
    yield made
    made.close()


def links(rig: LinkRig) -> list[dict[str, Any]]:
    """What is on the broker."""
    contract = rules()[0].by_type[LINK_TYPE]
    return [dict(contract.from_avro(unframe(each.value)[1])) for each in rig.sink.sent]


def test_a_sign_in_becomes_a_link(rig: LinkRig):
    """Between the account's subject and the department's identifier, made canonical, with the confidence
    (I2); of the person's name and date of birth nothing comes through.
    """
    answer = rig.ask(rig.body(identifier=" morga 657054 sm9ij "))
    assert (answer.status_code, answer.json()) == (202, {"outcome": "written"})
    (link,) = links(rig)
    assert link == {
        "account": SUBJECT,
        "holder_of": f"driver:{DRIVER}",
        "level_of_confidence": "P2",
        "reason": None,
    }
    headers = {name: text.decode() for name, text in rig.sink.sent[0].headers}
    assert (headers["ce_source"], headers["ce_type"]) == ("urn:gov:gds:one-login", LINK_TYPE)
    whole = rig.sink.sent[0].value + repr(headers).encode()
    assert not [
        text for text in (b"Wilhelmina", b"Featherstone", b"1970-01-01", NONCE.encode()) if text in whole
    ]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"id_token": {"iss": "https://oidc.account.gov.uk.example/"}}, "wrong-issuer"),
    "another service's": ({"client_id": "another"}, "wrong-audience"),
    "no audience": ({"id_token": {"aud": None}}, "claim-missing"),
    "no subject": ({"id_token": {"sub": None}}, "claim-missing"),
    "no end": ({"id_token": {"exp": None}}, "claim-missing"),
    "no nonce": ({"id_token": {"nonce": None}}, "claim-missing"),
    "another nonce": ({"id_token": {"nonce": "x" * 43}}, "wrong-nonce"),
    "ended": ({"id_token": {"exp": 1_700_000_000}}, "expired"),
    "not begun": ({"id_token": {"iat": 4_000_000_000}}, "not-yet-valid"),
    "issued long ago": ({"id_token": {"iat": 1_700_000_000}}, "too-old"),
    "times that are none": ({"id_token": {"exp": "soon"}}, "malformed-claims"),
    "no second factor": ({"vot": "Cl"}, "too-weak"),
    "a level of no list": ({"vot": "Cl.Cm.P2"}, "too-weak"),
    "no level": ({"vot": None}, "claim-missing"),
    "an identity that is not proved": ({"confidence": "P0"}, "identity-too-weak"),
    "an identity of low confidence": ({"confidence": "P1"}, "identity-too-weak"),
    "an identity of another issuer": ({"identity": {"iss": "https://identity.example/"}}, "wrong-issuer"),
    "an identity for another service": ({"identity": {"aud": "another"}}, "wrong-audience"),
    "another person's identity": ({"identity": {"sub": SUBJECT[:-1] + "5"}}, "another-subject"),
    "an identity that has ended": ({"identity": {"exp": 1_700_000_000}}, "expired"),
    "an identity that has not begun": ({"identity": {"nbf": 4_000_000_000}}, "not-yet-valid"),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_that_is_not_right_is_refused(rig: LinkRig, name: str, capsys: pytest.CaptureFixture[str]):
    """By one claim that differs; the caller hears that nothing is proved, the log one word, nobody more."""
    sign_in, why = WRONG[name]
    answer = rig.ask(rig.body(**sign_in))
    assert answer.status_code == 401
    assert links(rig) == []
    said = "".join(capsys.readouterr())
    assert json.loads(said.splitlines()[-1])["reason"] == why
    assert not [text for text in (SUBJECT, DRIVER, NONCE, "Featherstone", CLIENT_ID) if text in said]
    assert why not in answer.text


def _without_signature(token: str) -> str:
    return token.rpartition(".")[0] + "."


def _by_none(token: str) -> str:
    header, payload, _ = token.split(".")
    del header
    return f"{encoded({'alg': 'none', 'kid': 'x'})}.{payload}."


def _by_rs256(token: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(claims, key, "RS256", headers={"kid": kid})


def _by_hs256(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(claims, "the public key as if it were a secret", "HS256", headers={"kid": kid})


def _of_another_key(token: str) -> str:
    other = GovukOneLoginStandIn()
    other.close()
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(claims, other.keys[0][1], "ES256", headers={"kid": kid})


def _of_no_key(token: str) -> str:
    return _of_another_key(token) if not token else "e30." + token.partition(".")[2]


FORGED = (
    _without_signature,
    _by_none,
    _by_rs256,
    _by_hs256,
    _of_another_key,
    _of_no_key,
    lambda _: "",
    lambda _: "x" * 40_000,
)


@pytest.mark.parametrize("forge", FORGED)
@pytest.mark.parametrize("which", ["id_token", "core_identity"])
def test_a_forged_token_is_refused(rig: LinkRig, forge: Any, which: str):
    """Unsigned, by another algorithm, by another key, too long: of either token."""
    body = rig.body()
    body[which] = forge(body[which])
    assert rig.ask(body).status_code == 401
    assert links(rig) == []


def test_one_token_is_not_the_other(rig: LinkRig):
    """An identity claim is no ID token, nor the other way round: their keys and issuers are apart."""
    body = rig.body()
    swapped = body | {"id_token": body["core_identity"], "core_identity": body["id_token"]}
    assert rig.ask(swapped).status_code == 401
    assert rig.ask(body | {"core_identity": body["id_token"]}).status_code == 401


def test_a_token_that_is_used_again_says_the_same_or_nothing(rig: LinkRig, tmp_path: Path):
    """The same request again is the same event, without an answer or after a restart; another identifier with
    the same sign-in is refused, after a restart too.
    """
    body = rig.body()
    assert [rig.ask(body).json()["outcome"] for _ in range(2)] == ["written", "known"]
    assert rig.ask(body | {"identifier": OTHER_DRIVER}).status_code == 409
    rig.close()
    again = LinkRig(tmp_path, rig.stand_in)
    assert again.ask(body | {"identifier": OTHER_DRIVER}).status_code == 409
    assert again.ask(body).json()["outcome"] == "written"
    assert dict(again.sink.sent[0].headers)["ce_id"] == dict(rig.sink.sent[0].headers)["ce_id"]
    assert again.sink.sent[0].value == rig.sink.sent[0].value
    again.close()


def test_a_sign_in_that_was_used_is_refused_for_another_identifier(rig: LinkRig):
    """Also when nothing of it had come to the broker: what it says is decided once."""
    rig.sink.away = True
    body = rig.body()
    assert rig.ask(body).status_code == 503
    rig.sink.away = False
    answer = rig.ask(body | {"identifier": OTHER_DRIVER})
    assert (answer.status_code, links(rig)) == (409, [])
    assert rig.ask(body).status_code == 202


def test_keys_are_rotated_without_a_refusal(rig: LinkRig, stand_in: GovukOneLoginStandIn):
    """A new key is fetched when a token names it; an old one counts until it is withdrawn, and no longer."""
    assert rig.ask(rig.body("nonce-number-1")).status_code == 202
    before = len(stand_in.fetched)
    assert rig.ask(rig.body("nonce-number-2")).status_code == 202
    assert len(stand_in.fetched) == before, "keys are kept"
    old = rig.body("nonce-number-3")
    stand_in.rotate()
    rig.later_s += 20
    assert rig.ask(rig.body("nonce-number-4")).status_code == 202
    assert rig.ask(old).status_code == 202
    late = rig.body("nonce-number-5")
    stand_in.rotate()
    stand_in.withdraw_old_keys()
    rig.later_s += 90
    assert rig.ask(rig.body("nonce-number-6", id_token={"exp": 4_000_000_000})).status_code == 202
    assert rig.ask(late).status_code == 401


def test_while_keys_cannot_be_had_nothing_is_believed(rig: LinkRig, stand_in: GovukOneLoginStandIn):
    """503, so that the service asks again; and the fetch of a key set does not follow what a token says."""
    stand_in.state = "dead"
    assert rig.ask(rig.body()).status_code == 503
    stand_in.state = "well"
    rig.later_s += 5
    assert rig.ask(rig.body()).status_code == 202
    assert set(stand_in.fetched) == {
        *("/.well-known/openid-configuration", "/.well-known/jwks.json", "/.well-known/did.json")
    }


@pytest.mark.parametrize("wrong", ["issuer", "jwks_uri", "did"])
def test_documents_of_others_name_no_keys(
    rig: LinkRig, stand_in: GovukOneLoginStandIn, monkeypatch: pytest.MonkeyPatch, wrong: str
):
    """A discovery document of another issuer, keys on an open line, a DID document of another controller."""
    documents = stand_in.documents()
    changed = {
        "issuer": ("/.well-known/openid-configuration", "issuer", "https://oidc.account.gov.uk/"),
        "jwks_uri": ("/.well-known/openid-configuration", "jwks_uri", "http://keys.example/jwks.json"),
        "did": ("/.well-known/did.json", "id", "did:web:identity.account.gov.uk"),
    }
    path, name, value = changed[wrong]
    documents[path][name] = value
    monkeypatch.setattr(stand_in, "documents", lambda: documents)
    assert rig.ask(rig.body()).status_code == 503
    assert links(rig) == []


@pytest.mark.parametrize(
    ("client", "path", "status"),
    [
        (None, PATH, 401),
        ("nobody", PATH, 401),
        ("leeds", PATH, 403),
        ("gds-other", PATH, 404),
        ("dwp-cis", PATH, 404),
        ("gds-one-login", "/onelogin/other", 404),
        (None, "/onelogin/other", 401),
    ],
)
def test_only_its_own_client_may_ask_for_a_service(rig: LinkRig, client: str | None, path: str, status: int):
    """Whoever asks is known before anything is said of services."""
    assert rig.ask(rig.body(), path, client).status_code == status
    assert links(rig) == []


@pytest.mark.parametrize(
    "change",
    [
        b"",
        b"[]",
        b"\xff",
        {"nonce": "short"},
        {"nonce": 7},
        {"more": "x"},
        {"identifier": "NC999999C"},
        {"identifier": None},
    ],
)
def test_a_request_that_is_not_right_is_refused(
    rig: LinkRig, change: Any, capsys: pytest.CaptureFixture[str]
):
    """And what it said is told nowhere."""
    body = change if isinstance(change, bytes) else rig.body() | change
    answer = rig.ask(body)
    assert answer.status_code in (400, 422)
    assert "NC999999C" not in answer.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("key", ["identifier", "nonce", "id_token", "core_identity"])
def test_a_body_that_says_a_key_twice_is_refused(rig: LinkRig, key: str):
    """E3, ADR 0071: of two identifiers nobody knows whose account it is; the place is told, and no value."""
    text = json.dumps(rig.body())
    answer = rig.ask(text.replace(f'"{key}"', f'"{key}": "NC999999C", "{key}"', 1).encode())
    assert answer.status_code == 400
    assert [each["path"] for each in answer.json()["problems"]] == [f"$.{key}"]
    assert "write each key once" in answer.json()["detail"]
    assert "NC999999C" not in answer.text
    assert links(rig) == []


def test_a_body_is_bounded(rig: LinkRig):
    """413 before it is read."""
    assert rig.ask(b"x" * (BYTES_MAX + 1)).status_code == 413


def test_the_journal_says_nothing_of_anybody(rig: LinkRig, tmp_path: Path):
    """Keyed hashes only, in a file that only its user may read."""
    rig.ask(rig.body())
    rig.close()
    file = tmp_path / "state" / "used.db"
    held = b"".join(each.read_bytes() for each in file.parent.iterdir())
    assert not [text for text in (SUBJECT, DRIVER, NONCE) if text.encode() in held]
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("scheme: driver", "scheme: utr", "services.driving-licence.scheme"),
        ("client: gds-one-login", "client: leeds", "services.driving-licence.client"),
        ("client: gds-one-login", "client: dwp-cis", "services.driving-licence.client"),
        ("client: gds-one-login", "client: nobody", "services.driving-licence.client"),
        (
            "scheme: driver",
            "scheme: driver, contract: uk.gov.civil.birth.v1",
            "services.driving-licence.contract",
        ),
        (
            "scheme: driver",
            "scheme: driver, contract: uk.gov.matching.link.v1",
            "services.driving-licence.contract",
        ),
        ("scheme: driver", "scheme: driver, confidence: P0", "services.driving-licence.confidence"),
        ("did:web:", "did:key:", "identity_controller"),
        ("issuer: http://127.0.0.1", "issuer: http://one-login.example", "issuer"),
        ("driving-licence:", "Driving:", "services.Driving"),
    ],
)
def test_all_that_is_wrong_with_the_file_is_named(
    tmp_path: Path, stand_in: GovukOneLoginStandIn, old: str, new: str, named: str
):
    """By field."""
    text = file_text(stand_in)
    assert old in text
    with pytest.raises(Misused, match=named):
        provider_of(tmp_path, text.replace(old, new, 1))


def test_keys_may_lie_in_files(tmp_path: Path, stand_in: GovukOneLoginStandIn):
    """For an installation that fetches nothing itself."""
    documents = stand_in.documents()
    (tmp_path / "jwks.json").write_text(json.dumps(documents["/.well-known/jwks.json"]))
    (tmp_path / "did.json").write_text(json.dumps(documents["/.well-known/did.json"]))
    rig = LinkRig(tmp_path, stand_in)
    text = file_text(stand_in).replace(stand_in.did, "did.json") + "keys: jwks.json\n"
    rig.provider = provider_of(tmp_path, text)
    rig.door.serve(rig.provider, rig.verifier())
    assert rig.ask(rig.body()).status_code == 202
    assert stand_in.fetched == []
    rig.close()


def test_every_outcome_that_is_counted_is_known_in_advance(rig: LinkRig):
    """Prometheus sees the first of each as a rise: it was told at 0 before."""
    rig.ask(rig.body())
    rig.ask(rig.body(vot="Cl"))
    counted = {
        sample.labels["outcome"]
        for metric in link_metrics.LINKS.collect()
        for sample in metric.samples
        if sample.labels["service"] == "driving-licence"
    }
    whose = {"no-credentials", "unknown-client", "not-entitled"}
    assert {"written", "too-weak"} <= counted <= set(OUTCOMES) | whose
