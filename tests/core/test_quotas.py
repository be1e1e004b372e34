"""How much owners and subscribers may ask for: defaults, a file that changes them, and its mistakes."""

from pathlib import Path

import pytest

from postroom.access import GATEWAY, WORKER, Role
from postroom.errors import UserError
from postroom.quotas import DEFAULTS, MIB, wanted_quotas

ROLES = [
    Role(user, "", frozenset())
    for user in ("owner.dwp", "owner.hmrc", "subscriber.dwp", "subscriber.council-leeds", WORKER, GATEWAY)
]


def bounds(tmp_path: Path, text: str) -> dict[str, dict[str, float]]:
    file = tmp_path / "quotas.yaml"
    file.write_text(text)
    return wanted_quotas(ROLES, file)


def test_every_owner_and_subscriber_is_bounded_and_no_worker_is():
    """A worker that is slowed down breaks the promise to be prompt (V7)."""
    wanted = wanted_quotas(ROLES, None)
    assert set(wanted) == {"owner.dwp", "owner.hmrc", "subscriber.dwp", "subscriber.council-leeds"}
    assert wanted["owner.dwp"] == {
        "producer_byte_rate": 4 * MIB,
        "consumer_byte_rate": MIB,
        "request_percentage": 50,
    }
    assert all(bound > 0 for group in DEFAULTS.values() for bound in group.values())


def test_a_file_changes_all_or_one(tmp_path: Path):
    """Its default stands over ours, a name over its default, and what it does not say stays."""
    wanted = bounds(
        tmp_path,
        "owners:\n  default: {request_percent: 20}\n  hmrc: {produce_bytes_per_s: 9, request_percent: 90}\n",
    )
    assert wanted["owner.dwp"]["request_percentage"] == 20
    assert wanted["owner.hmrc"] == {
        "producer_byte_rate": 9,
        "consumer_byte_rate": MIB,
        "request_percentage": 90,
    }
    assert wanted["subscriber.dwp"]["request_percentage"] == 50


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("departments: {}\n", "departments"),
        ("owners:\n  dwpp: {request_percent: 1}\n", "owners.dwpp"),
        ("subscribers:\n  hmrc: {request_percent: 1}\n", "subscribers.hmrc"),
        ("owners:\n  dwp: {bytes: 1}\n", "owners.dwp.bytes"),
        ("owners:\n  dwp: {request_percent: 0}\n", "owners.dwp.request_percent"),
        ("owners:\n  dwp: {request_percent: many}\n", "owners.dwp.request_percent"),
        ("owners:\n  dwp: {request_percent: true}\n", "owners.dwp.request_percent"),
        ("owners:\n  dwp: {request_percent: .inf}\n", "owners.dwp.request_percent"),
        ("owners: 3\n", "owners"),
        ("3\n", ""),
        ("owners: {1: {}}\n", "owners"),
        ("a: [\n", ""),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, place: str):
    """A bound for a name that nobody has would bound nobody."""
    with pytest.raises(UserError) as raised:
        bounds(tmp_path, text)
    assert raised.value.where == f"{tmp_path / 'quotas.yaml'}" + (f": {place}" if place else "")
    assert raised.value.code == 2


def test_a_file_that_is_not_there(tmp_path: Path):
    """Is wrong use, not a traceback."""
    with pytest.raises(UserError, match="cannot be read"):
        wanted_quotas(ROLES, tmp_path / "none.yaml")


def test_the_private_part_of_the_client_is_as_it_was():
    """Quotas have messages and no method; an upgrade that gives them one, or moves this, begins here."""
    import inspect

    from kafka.admin import KafkaAdminClient
    from kafka.net.manager import KafkaConnectionManager

    assert "_manager" in inspect.getsource(KafkaAdminClient.__init__)
    assert list(inspect.signature(KafkaConnectionManager.run).parameters)[:2] == ["self", "coro"]
    assert list(inspect.signature(KafkaConnectionManager.send).parameters)[:2] == ["self", "request"]
    assert not [name for name in dir(KafkaAdminClient) if "quota" in name]
