"""GOV.UK Pay's door: what is signed and understood becomes a payment event, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.pay import PAYMENT_TYPE, Understood, is_signed, understand
from connectors.pay import metrics as pay_metrics
from connectors.pay.door import BYTES_MAX, OUTCOMES
from connectors.pay.messages import MILESTONES, NotUnderstood
from connectors.pay.services import load_services
from connectors.pay.signature import signature_of
from connectors.trouble import Misused
from postroom.private_files import read_secret
from schemas import unframe
from tests.gateway_kit import rules
from tests.pay_kit import (
    ACCOUNT,
    FILE,
    LEEDS,
    NEXT_SECRET,
    SECRET,
    PayRig,
    contract,
    pay_rig,
    services,
    write_services,
)
from tests.standins.govuk_pay_stand_in import GovukPayStandIn, message_body

CREATED = "2026-11-26T10:36:26.988Z"
PERSONAL = ("Sherlock", "Holmes", "sherlock.holmes@example.com", "Baker Street", "NW1 6XE", "1234", "04/24")


@pytest.fixture
def rig(tmp_path: Path) -> PayRig:
    return pay_rig(tmp_path)


def paid(message_id: str = "m-1", account: Any = ACCOUNT, **more: Any) -> bytes:
    """A message about a payment of council tax."""
    metadata = {} if account is None else {"council_tax_account": account}
    return message_body(message_id, more.pop("created", CREATED), metadata=metadata, **more)


def sent(rig: PayRig, body: bytes, path: str = LEEDS, secret: str = SECRET) -> int:
    """POST a body that is signed with a secret."""
    return rig.send(path, body, {"pay-signature": signature_of(body, secret)})


def data_of(rig: PayRig) -> dict[str, Any]:
    """What the last event says."""
    _, body = unframe(rig.sink.sent[-1].value)
    return dict(contract().from_avro(body))


# -- the signature ---------------------------------------------------------------------------------------


def test_the_signature_is_the_documented_one():
    """HMAC-SHA256 of the body with the secret, in lower-case hexadecimal: as `openssl dgst -hmac` has it."""
    expected = "662109eb0847db36e9cf0999d3e631faf87f4f790f641a893c3ec958554bf215"
    assert signature_of(b'{"id": "123abc"}', "my signing secret") == expected
    assert is_signed(b'{"id": "123abc"}', [expected], ["another", "my signing secret"])


@given(st.binary(max_size=200), st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_a_signature_that_differs_anywhere_is_none(body: bytes, place: int, digit: str):
    """Whichever digit is another."""
    right = signature_of(body, SECRET)
    wrong = right[:place] + digit + right[place + 1 :]
    assert is_signed(body, [wrong], [SECRET]) == (wrong == right)


@pytest.mark.parametrize("given_", [[], [""], ["x" * 64], ["é"], ["RIGHT", "RIGHT"], ["UPPER"]])
def test_anything_but_one_right_signature_is_refused(rig: PayRig, given_: list[str]):
    """Missing, empty, foreign, twice, in capitals."""
    body = paid()
    right = signature_of(body, SECRET)
    headers = [text.replace("RIGHT", right).replace("UPPER", right.upper()) for text in given_]
    assert not is_signed(body, headers, [SECRET])
    answer = rig.request(
        "POST", LEEDS, content=body, headers=[("pay-signature", h.encode()) for h in headers]
    )
    assert answer.status_code == 401
    assert rig.sink.sent == []


def test_a_changed_body_is_refused(rig: PayRig):
    """One more space, and it is not what was signed."""
    body = paid()
    assert rig.send(LEEDS, body + b" ", {"pay-signature": signature_of(body, SECRET)}) == 401


def test_a_secret_of_another_service_does_not_open_this_one(rig: PayRig):
    """Each service has its own."""
    assert sent(rig, paid(), secret=NEXT_SECRET) == 401


def test_a_secret_is_rotated_without_losing_a_message(tmp_path: Path, rig: PayRig):
    """Both are valid while both stand in the file; the old one is not once it is taken out."""
    both = FILE.replace("[leeds.secret]", "[leeds.secret, next.secret]")
    write_services(tmp_path, both, next=NEXT_SECRET + "-of-leeds")
    rig.door.serve(load_services(tmp_path / "pay.yaml", contract(), read_secret))
    assert sent(rig, paid("m-1")) == 204
    assert sent(rig, paid("m-2"), secret=NEXT_SECRET + "-of-leeds") == 204
    write_services(tmp_path, FILE.replace("leeds.secret", "next.secret"), next=NEXT_SECRET + "-of-leeds")
    rig.door.serve(load_services(tmp_path / "pay.yaml", contract(), read_secret))
    assert sent(rig, paid("m-3")) == 401
    assert sent(rig, paid("m-3"), secret=NEXT_SECRET + "-of-leeds") == 204


# -- what a message says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", [*MILESTONES, *map(str.upper, MILESTONES)])
def test_every_documented_event_is_a_milestone(rig: PayRig, event_type: str):
    """As the documentation writes them and as the sender does; the event says when, whose and how much."""
    assert sent(rig, paid(event_type=event_type)) == 204
    event = rig.sink.sent[-1]
    headers = {name: text.decode() for name, text in event.headers}
    assert (event.topic, headers["ce_source"]) == (PAYMENT_TYPE, "urn:gov:council-leeds:pay")
    assert (headers["ce_id"], headers["ce_time"]) == ("m-1", CREATED)
    assert data_of(rig) == {
        "payer": f"ctax:{ACCOUNT}",
        "payment_id": "hu20sqlact5260q2nanm0q8u93",
        "payment": {
            "service": "leeds-council-tax",
            "status": MILESTONES[event_type.lower()],
            "amount_pence": 5000,
            "refunded_pence": 0,
        },
        "happened": CREATED,
    }


def test_nothing_of_the_card_or_its_holder_comes_any_further(rig: PayRig):
    """It is in every message, and in no event."""
    assert sent(rig, paid()) == 204
    value = rig.sink.sent[-1].value + repr(rig.sink.sent[-1].headers).encode()
    assert not [text for text in PERSONAL if text.encode() in value]


def test_a_refund_says_how_much_went_back(rig: PayRig):
    """A message about a refund holds the payment that it belongs to."""
    refunds = {"status": "full", "amount_available": 0, "amount_submitted": 5000}
    assert sent(rig, paid(event_type="card_payment_refunded", refund_summary=refunds)) == 204
    assert data_of(rig)["payment"]["refunded_pence"] == 5000


def test_the_reference_may_hold_the_identifier(rig: PayRig):
    """It is made canonical (I1)."""
    body = message_body("m-9", CREATED, reference=" morga 657054 sm9ij ")
    assert sent(rig, body, "/pay/dvla-renewals", NEXT_SECRET) == 204
    assert data_of(rig)["payer"] == "driver:MORGA657054SM9IJ"
    assert dict(rig.sink.sent[-1].headers)["ce_source"] == b"urn:gov:dvla:renewals"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", NotUnderstood.MALFORMED),
        (b"[]", NotUnderstood.MALFORMED),
        (b"\xff", NotUnderstood.MALFORMED),
        (b'{"id": ' + b"[" * 10_000, NotUnderstood.MALFORMED),
        (paid().replace(b'"id"', b'"id": "other", "id"', 1), NotUnderstood.MALFORMED),
        (paid().replace(b'"amount"', b'"amount": 1, "amount"', 1), NotUnderstood.MALFORMED),
        (
            paid().replace(b'"council_tax_account"', b'"council_tax_account": "x", "council_tax_account"', 1),
            NotUnderstood.MALFORMED,
        ),
        (paid("a b"), NotUnderstood.MALFORMED),
        (paid(payment_id=""), NotUnderstood.MALFORMED),
        (paid(amount="5000"), NotUnderstood.MALFORMED),
        (paid(event_type="card_payment_started"), NotUnderstood.UNKNOWN_EVENT),
        (paid(account=None), NotUnderstood.NO_IDENTIFIER),
        (paid(account=" "), NotUnderstood.NO_IDENTIFIER),
        (paid(account=True), NotUnderstood.NO_IDENTIFIER),
        (paid(account="NC999999C"), NotUnderstood.IDENTIFIER_INVALID),
        (paid(account=10000001), NotUnderstood.IDENTIFIER_INVALID),
    ],
)
def test_what_is_signed_but_cannot_be_an_event_is_not_taken(
    rig: PayRig, capsys: pytest.CaptureFixture[str], body: bytes, why: NotUnderstood
):
    """It is answered with 4xx, so it stays at GOV.UK Pay; it is counted, and the log has no word of it."""
    before = _counted(why)
    assert sent(rig, body) in (400, 422)
    assert rig.sink.sent == []
    assert _counted(why) == before + 1
    said = capsys.readouterr()
    assert why in said.out + said.err
    assert not [text for text in (*PERSONAL, "NC999999C") if text in said.out + said.err]


def _counted(why: str) -> float:
    return float(pay_metrics.MESSAGES.labels("leeds-council-tax", why)._value.get())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@given(JSON)
def test_no_json_is_understood_by_accident(tmp_path_factory: pytest.TempPathFactory, content: Any):
    """Whatever is signed: an event with an id of the message's, or a reason; never an exception."""
    service = services(tmp_path_factory.mktemp("pay"))["leeds-council-tax"]
    found = understand(json.dumps(content).encode(), service, rules()[0].schemes)
    assert isinstance(found, NotUnderstood | Understood)


@pytest.mark.parametrize(
    ("created", "status"),
    [("2019-07-11T10:36:26.988Z", 204), ("1999-07-11T10:36:26.988Z", 422), ("2999-01-01T00:00:00Z", 422)],
)
def test_time_is_judged_as_everywhere(rig: PayRig, created: str, status: int):
    """E7: what intake would reject is not taken."""
    assert sent(rig, paid(created=created)) == status
    assert sent(rig, paid("m-2", created="yesterday")) in (400, 422)


# -- being told ------------------------------------------------------------------------------------------


def test_a_message_sent_again_is_the_same_event(rig: PayRig):
    """Its id is the message's (E1); within minutes it is not even written again."""
    assert [sent(rig, paid()), sent(rig, paid())] == [204, 204]
    assert rig.ids() == ["m-1"]


def test_2xx_means_that_the_broker_has_it(rig: PayRig):
    """While it does not acknowledge, the answer is 503 and GOV.UK Pay sends it again."""
    sender = GovukPayStandIn(rig.send, SECRET)
    message = sender.queue(LEEDS, paid())
    rig.sink.held = True
    assert not sender.attempt(message)
    rig.sink.held, rig.sink.away = False, True
    rig.sink.sent.clear()
    rig.sink.waiting.clear()
    assert not sender.attempt(message)
    assert message.attempts == [503, 503]


def test_a_body_is_bounded_before_it_is_read(rig: PayRig):
    """Said, and not said."""
    assert sent(rig, b"x" * (BYTES_MAX + 1)) == 413

    async def parts() -> Any:
        for _ in range(3):
            yield b"x" * (BYTES_MAX // 2)

    answer = rig.request("POST", LEEDS, content=parts(), headers={"pay-signature": "x"})
    assert answer.status_code == 413


def test_other_paths_and_methods_are_none(rig: PayRig, capsys: pytest.CaptureFixture[str]):
    """A service that is not in the file is no service, and what was asked for is written nowhere."""
    assert sent(rig, paid(), "/pay/NC999999C") == 404
    assert rig.request("GET", LEEDS).status_code == 405
    assert rig.request("POST", "/NC999999C").status_code == 404
    assert rig.request("GET", "/health/live").status_code == 200
    assert rig.request("GET", "/health/ready").json() == {"status": "ready"}
    assert "NC999999C" not in "".join(capsys.readouterr())


# -- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (FILE.replace("council-leeds", "hmrc"), "services.leeds-council-tax.owner"),
        (FILE.replace("scheme: ctax", "scheme: nino"), "services.leeds-council-tax.payer.scheme"),
        (FILE.replace(", reference: true", ""), "services.dvla-renewals.payer"),
        (FILE.replace("reference: true", "reference: true, metadata: x"), "services.dvla-renewals.payer"),
        (FILE.replace("leeds-council-tax", "Leeds"), "services.Leeds"),
        (FILE.replace("[leeds.secret]", "[]"), "services.leeds-council-tax.secrets"),
        (FILE.replace("[leeds.secret]", "[gone.secret]"), "services.leeds-council-tax.secrets.0"),
        (FILE.replace("[leeds.secret]", "[short.secret]"), "services.leeds-council-tax.secrets.0"),
        (
            FILE.replace("[leeds.secret]", "[leeds.secret, leeds.secret]"),
            "services.leeds-council-tax.secrets",
        ),
        (FILE + "  x: {}\n", "services.x.owner"),
        ("services: {}", "services"),
        ("a: [", "not YAML"),
    ],
)
def test_all_that_is_wrong_with_the_file_is_named(tmp_path: Path, text: str, named: str):
    """By field, never with a secret."""
    with pytest.raises(Misused) as caught:
        load_services(write_services(tmp_path, text, short="0123456789"), contract(), read_secret)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "0123456789" not in str(caught.value)


def test_a_secret_that_others_may_read_is_none(tmp_path: Path):
    """Mode 644 is refused, and what to do is said."""
    file = write_services(tmp_path)
    (tmp_path / "leeds.secret").chmod(0o644)
    with pytest.raises(Misused, match="open to others"):
        load_services(file, contract(), read_secret)


def test_a_service_shows_no_secret(tmp_path: Path):
    """Its repr may come into a traceback."""
    assert SECRET not in repr(services(tmp_path))


def test_every_outcome_that_is_counted_is_known_in_advance(tmp_path: Path):
    """Prometheus sees the first of each as a rise: it was told at 0 before."""
    rig = pay_rig(tmp_path)
    assert [sent(rig, paid()), sent(rig, paid()), sent(rig, b"{}"), sent(rig, b"", secret=NEXT_SECRET)] == [
        *(204, 204, 400, 401)
    ]
    counted = {labels["outcome"] for labels in _labels() if labels["service"] == "leeds-council-tax"}
    assert {"written", "known", "malformed", "bad-signature"} <= counted <= set(OUTCOMES)


def _labels() -> list[dict[str, str]]:
    return [sample.labels for metric in pay_metrics.MESSAGES.collect() for sample in metric.samples]
