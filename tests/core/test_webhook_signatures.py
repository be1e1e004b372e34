"""What leaves is signed as Standard Webhooks says; the official library and cryptography verify it."""

from __future__ import annotations

import base64
import json
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from connectors.webhook.envelope import body_of, carried_on, message_id, vanished
from connectors.webhook.signatures import NotAKey, SigningKey, read_key, signed_headers
from tests.webhook_kit import AGREEMENT, PRIVATE, SECRET, change

TEXTS = st.text(min_size=1, max_size=40)


def as_secret(raw: bytes) -> str:
    return "whsec_" + base64.b64encode(raw).decode()


@given(st.binary(min_size=24, max_size=64), TEXTS, st.integers(1, 99), st.booleans())
def test_the_official_library_verifies_v1(raw, key, sequence, ended):
    """Whatever the secret and the view: id, timestamp and the exact bytes of the body are signed."""
    made = change(key, sequence, None if ended else {"name": key, "none": None})
    body = body_of(made)
    headers = dict(signed_headers(message_id(made, b"k"), int(time.time()), body, [read_key(as_secret(raw))]))
    found = Webhook(as_secret(raw)).verify(body, headers)
    assert found["data"]["sequence"] == sequence
    assert (found["data"]["value"] is None) == ended
    with pytest.raises(WebhookVerificationError):
        Webhook(as_secret(raw)).verify(body + b" ", headers)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_v1a_is_an_ed25519_signature_of_id_timestamp_and_body(seed, body):
    """Verified with the public half alone, as `whpk_` gives it; any other byte breaks it."""
    key = read_key("whsk_" + base64.b64encode(seed).decode())
    assert key.public is not None
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public.removeprefix("whpk_")))
    headers = dict(signed_headers("msg_1", 1_700_000_000, body, [key]))
    scheme, _, signature = headers["webhook-signature"].partition(",")
    assert scheme == "v1a"
    public.verify(base64.b64decode(signature), b"msg_1.1700000000." + body)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signature), b"msg_1.1700000001." + body)


def test_all_keys_sign_so_that_a_receiver_rotates_without_a_gap():
    """The old secret, the new one and a key pair at once: each verifies, one that is not there does not."""
    old, new = as_secret(b"o" * 24), as_secret(b"n" * 24)
    body = body_of(change("s-1", 1, {"name": "Ada"}))
    keys = [read_key(text) for text in (new, old, PRIVATE)]
    headers = dict(signed_headers("msg_1", int(time.time()), body, keys))
    assert [each.partition(",")[0] for each in headers["webhook-signature"].split(" ")] == ["v1", "v1", "v1a"]
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers)["subject"] == "s-1"
    with pytest.raises(WebhookVerificationError):
        Webhook(as_secret(b"x" * 24)).verify(body, headers)


def test_a_key_pair_with_its_public_half_behind_it_is_the_same_key():
    """Some write 64 bytes; a public half of another pair is a mistake, not a key."""
    short = read_key(PRIVATE)
    public = base64.b64decode(str(short.public).removeprefix("whpk_"))
    seed = bytes(range(32))
    assert read_key("whsk_" + base64.b64encode(seed + public).decode()) == short
    with pytest.raises(NotAKey, match="another private key"):
        read_key("whsk_" + base64.b64encode(seed + seed).decode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with"),
        ("secret", "begins with"),
        ("whpk_AAAA", "receiver's half"),
        ("whsec_%%%", "not base64"),
        ("whsec_" + base64.b64encode(b"short").decode(), "24 to 64"),
        ("whsec_" + base64.b64encode(b"l" * 65).decode(), "24 to 64"),
        ("whsk_" + base64.b64encode(b"s" * 31).decode(), "32 bytes"),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(text, why):
    """A weak or mistaken secret never signs, and no message holds it."""
    with pytest.raises(NotAKey, match=why) as found:
        read_key(text)
    assert not text.partition("_")[2] or text.partition("_")[2] not in str(found.value)


def test_a_key_does_not_show_itself():
    """A secret is in no repr, so in no log and no traceback of an assertion."""
    assert "a secret of" not in repr(read_key(SECRET))
    assert repr(SigningKey("v1", b"x" * 24)) == "SigningKey(scheme='v1')"


def test_the_body_says_what_the_gateway_says_as_a_cloudevent():
    """V2, V3: type, subject, sequence, agreement, cause, supersedes; a retraction's value is null."""
    made = carried_on(
        change("s-1", 1, {"a": 1})._replace(headers=(("postroom_supersedes", "s-0"),)),
        change("s-1", 2, {"a": 2}, at_ms=1_772_442_000_000),
    )
    event = json.loads(body_of(made))
    assert event == {
        "specversion": "1.0",
        "id": f"{AGREEMENT}@1/s-1/2",
        "source": "urn:gov:postroom:record",
        "type": "uk.gov.postroom.view-updated.v1",
        "subject": "s-1",
        "time": "2026-03-02T09:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {
            "key": "s-1",
            "value": {"a": 2},
            "sequence": 2,
            "agreement": f"{AGREEMENT}@1",
            "cause": "c" * 32,
            "supersedes": ["s-0"],
            "published": "2026-03-02T09:00:00Z",
        },
    }
    ended = json.loads(body_of(change("s-1", 3, None)))
    assert ended["type"] == "uk.gov.postroom.view-retracted.v1"
    assert (ended["data"]["value"], ended["data"]["reason"]) == (None, "ended")


def test_an_id_is_stable_and_tells_nothing():
    """The same record has the same id in every life; the key, maybe an identifier, cannot be read from it."""
    one, other = change("nino:AB123456C", 1, {"a": 1}), change("nino:AB123456C", 2, {"a": 1})
    assert message_id(one, b"secret") == message_id(one, b"secret")
    assert len({message_id(one, b"secret"), message_id(one, b"other"), message_id(other, b"secret")}) == 3
    assert "AB123456C" not in message_id(one, b"secret")
    gone = vanished(AGREEMENT, "s-1", 4, 0)
    assert json.loads(body_of(gone))["data"]["value"] is None
    assert message_id(gone, b"secret") == message_id(vanished(AGREEMENT, "s-1", 4, 99), b"secret")
