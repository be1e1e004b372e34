"""Who may what, on a real Kafka with TLS, passwords and permissions: the way through, and what is forbidden.

Everybody here is a foreign client (librdkafka): what is refused is refused by the broker, not by our manners.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from connectors import Misused, ensure_stack, find_stack
from connectors.kafka_access import PLAINTEXT, SASL_PLAINTEXT, TLS, KafkaAccess
from connectors.kafka_acls import Acl, AclChange, Acls
from connectors.kafka_group_lag import group_lags
from connectors.kafka_quotas import QuotaChange, Quotas
from connectors.kafka_reader import TopicReader
from connectors.kafka_users import Users
from connectors.local_security import ADMIN
from connectors.reachable import kafka_problem
from connectors.state_files import read_json
from postroom.access import AUDITOR, CANARY, GATEWAY, WORKER, ours
from postroom.canary.process import GROUPS
from postroom.config import Settings
from tests.flow.secured import Secured, secured
from tests.flow.secured_way import acknowledge, owing, put, reached, took_s, until, views
from tests.flow.security_deeds import (
    ALLOWED,
    DWP,
    DWPS_TOPIC,
    FORBIDDEN,
    LEEDS_VIEW,
    NHS,
    OWN_TOPIC,
    REFUSED,
    STRANGER,
    USERS,
    YORK,
    YORKS_VIEW,
)
from tests.flow.spine import decided, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Secured]:
    """One secured installation for all tests here."""
    if request.config.getoption("--stack") != "local":
        pytest.skip("SKIPPED LOUDLY: only the local stack has users that a test may make")
    with secured(stack_settings.cache_dir, USERS) as made:
        password = "a-stranger-with-a-password"
        (made.security.directory / f"{STRANGER}.password").write_text(password)
        Users(find_stack(made.settings).access).set_password(STRANGER, password)
        yield made


@pytest.mark.parametrize("shell", ["faust", "plain"])
def test_the_way_through_under_everybodys_own_credentials(own: Secured, shell: str):
    """A department's word becomes a subscriber's view, a withdrawal empties it and is acknowledged."""
    nhs = {"faust": "9912003888", "plain": "9912004019"}[shell]
    at_ms = now_ms() - 60_000
    own.start(shell, shell, WORKER)
    own.good("publish", "-", user=NHS, given=registered(nhs, at_ms))
    own.good("publish", "-", user=GATEWAY, given=decided(nhs, "GRANTED", at_ms))
    (view,) = until(own, shell, lambda: views(own))
    assert view["value"]["name"]["family_name"] == "Garamond"

    own.good("publish", "-", user=GATEWAY, given=decided(nhs, "WITHDRAWN", at_ms + 1))
    assert until(own, shell, lambda: not views(own))
    (owed,) = until(own, shell, lambda: owing(own))
    acknowledge(own, owed["obligation"])
    assert until(own, shell, lambda: not owing(own))
    seen = json.loads(own.good("audit", "person", f"nhs:{nhs}", "-o", "json", user=AUDITOR))
    # An update for the consent, a retraction for the withdrawal; the NHS sees the same citizen by law.
    assert [entry["subscriber"] for entry in seen].count("council-york") == 2
    assert own.stop(shell) == 0, own.log(shell)


def test_the_canary_sees_how_far_all_stages_have_come(own: Secured):
    """The same that the administrator sees: a topic that was hidden from it would make a lag too small."""
    seen = {user: group_lags(own.security.access(own.bootstrap, user), GROUPS) for user in (CANARY, ADMIN)}
    assert seen[CANARY] == seen[ADMIN]
    assert seen[CANARY].keys() == set(GROUPS)
    assert seen[CANARY]["postroom.intake"] == 0, "intake read all that was published; inputs have no markers"


@pytest.mark.parametrize(("user", "deed", "about"), ALLOWED)
def test_who_may_can(own: Secured, user: str, deed: str, about: tuple[str, ...]):
    """In this order: some need what the one before made."""
    assert getattr(own.person(user), deed)(*about) is None


@pytest.mark.parametrize(("user", "deed", "about"), FORBIDDEN)
def test_what_is_forbidden_is_refused_by_the_broker(
    own: Secured, user: str, deed: str, about: tuple[str, ...]
):
    """At once and in so many words: not by silence, and not because something else is missing."""
    began = time.monotonic()
    error = getattr(own.person(user), deed)(*about)
    assert error is not None, "it was done"
    assert error.code() in REFUSED, error
    assert time.monotonic() - began < 15


def test_at_least_thirty_things_are_forbidden():
    """As the issue asks; each is another one."""
    assert len({(user, deed, about) for user, deed, about in FORBIDDEN}) == len(FORBIDDEN) >= 30


def test_nobody_lifts_a_bound_but_the_administrator(own: Secured):
    """Quotas are the administrator's to change and to see."""
    for user in (NHS, YORK, WORKER):
        quotas = Quotas(own.security.access(own.bootstrap, user), ours)
        with pytest.raises(Misused, match="does not allow"):
            quotas.apply([QuotaChange(user, "producer_byte_rate", None, None)])
        with pytest.raises(Misused, match="does not allow"):
            quotas.plan({})


def test_a_bound_is_kept_by_the_broker(own: Secured):
    """A department that says too much at once is slowed down, and nobody else is."""
    admin = Quotas(find_stack(own.settings).access, ours)
    admin.apply([QuotaChange(NHS, "producer_byte_rate", None, 20_000.0)])
    try:
        assert took_s(own, NHS, OWN_TOPIC, 400_000) > 3 * took_s(own, DWP, DWPS_TOPIC, 400_000) + 1
        differing = json.loads(own.command("topics", "plan", "-o", "json").stdout)
        assert [(row["kind"], row["name"], row["setting"], row["now"]) for row in differing] == [
            ("quota", NHS, "producer_byte_rate", "20000")
        ]
    finally:
        own.good("topics", "apply")
    assert json.loads(own.good("topics", "plan", "-o", "json")) == []


def test_what_is_no_longer_wanted_is_revoked_and_what_is_not_ours_stays(own: Secured):
    """A former subscriber loses its view; another system's permission and a hand's denial are told."""
    access = find_stack(own.settings).access
    former = Acl("subscriber.former", "topic", YORKS_VIEW, "read")
    foreign = Acl("connect-cluster", "topic", YORKS_VIEW, "read")
    Acls(access, ours).apply([AclChange("grant", former), AclChange("grant", foreign)])
    try:
        planned = own.command("topics", "plan", "-o", "json")
        assert planned.returncode == 1
        (row,) = json.loads(planned.stdout)
        assert (row["kind"], row["action"], row["setting"], row["name"]) == (
            "acl",
            "revoke",
            "subscriber.former",
            f"topic {YORKS_VIEW}",
        )
        assert "connect-cluster" in planned.stderr.decode()
        own.good("topics", "apply")
        left = Acls(access, ours).plan(frozenset())
        assert left is not None
        assert foreign in left.foreign
        assert former not in {found.acl for found in left.changes}
    finally:
        Acls(access, lambda _: True).apply([AclChange("revoke", foreign)])


@pytest.mark.parametrize("shell", ["faust", "plain"])
@pytest.mark.parametrize(
    ("taken", "said"),
    [
        # Whichever answer comes first: the refusal, or that the transaction has no such partition.
        (
            Acl(WORKER, "topic", "postroom.assertions", "write"),
            ("TopicAuthorizationFailed", "InvalidTxnState"),
        ),
        (Acl(WORKER, "group", "postroom.intake", "read"), ("GroupAuthorizationFailed",)),
        (
            Acl(WORKER, "transactional_id", "postroom.", "write", prefixed=True),
            ("TransactionalIdAuthorizat",),
        ),
    ],
    ids=lambda value: getattr(value, "resource", ""),
)
def test_a_worker_whose_permission_was_taken_stops_and_says_why(
    own: Secured, shell: str, taken: Acl, said: tuple[str, ...]
):
    """It does not idle, go on without what it may not, or skip what it could not: nothing is lost."""
    access = find_stack(own.settings).access
    Acls(access, ours).apply([AclChange("revoke", taken)])
    name = f"stopped-{shell}-{taken.resource}"
    try:
        own.start(name, shell, WORKER)
        own.good("publish", "-", user=NHS, given=registered("9912004027", now_ms() - 60_000))
        assert own.workers.pop(name).wait(90) == 70, own.log(name)
        assert any(word in own.log(name) for word in said), own.log(name)
    finally:
        own.good("topics", "apply")


def test_a_denial_by_hand_stands_against_the_plan(own: Secured):
    """Who must be stopped at once is denied by hand; no apply lets him go on."""
    deny = AclBinding(
        ResourceType.TOPIC,
        OWN_TOPIC,
        ResourcePatternType.LITERAL,
        f"User:{NHS}",
        "*",
        AclOperation.WRITE,
        AclPermissionType.DENY,
    )
    admin = AdminClient(own.client(ADMIN))
    admin.create_acls([deny])[deny].result(20)
    applied = own.command("topics", "apply")
    assert f"topic {OWN_TOPIC}: write is denied by hand and stays so ({NHS})" in applied.stderr.decode()
    error = own.person(NHS).write(OWN_TOPIC)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    asked = AclBindingFilter(*(getattr(deny, name) for name in PARTS))
    admin.delete_acls([asked])[asked].result(20)
    assert own.person(NHS).write(OWN_TOPIC) is None


PARTS = ("restype", "name", "resource_pattern_type", "principal", "host", "operation", "permission_type")


def test_a_user_that_was_revoked_is_not_let_in(own: Secured):
    """Its permissions are the rules', its password is not."""
    own.good("access", "credential", "owner.gro")
    assert kafka_problem(own.security.access(own.bootstrap, "owner.gro")) is None
    old = own.password("owner.gro")
    own.good("access", "credential", "owner.gro")
    assert kafka_problem(own.security.access(own.bootstrap, "owner.gro")) is None
    assert "does not believe" in str(kafka_problem(own.security.access(own.bootstrap, "owner.gro", old)))
    own.good("access", "revoke", "owner.gro")
    assert "does not believe" in str(kafka_problem(own.security.access(own.bootstrap, "owner.gro")))


def test_a_user_that_no_rule_has_is_not_made(own: Secured):
    """A typing error makes no user."""
    done = own.command("access", "credential", "owner.nhss")
    assert done.returncode == 2
    assert "there is no such user" in done.stderr.decode()


def test_a_certificate_is_who_its_name_says(own: Secured):
    """Where the broker asks for a certificate TLS alone is enough, and gives what that user has, no more."""
    store, _ = own.security.issue(YORK)
    internal = f"127.0.0.1:{read_json(own.settings.state_dir / 'stack.json')['kafka']['ports'][2]}"
    access = KafkaAccess(internal, TLS, ca_file=own.security.ca_file, cert_file=store, key_file=store)
    assert list(TopicReader(access).read([YORKS_VIEW])) is not None
    with pytest.raises(Misused, match="does not allow"):
        list(TopicReader(access).read([LEEDS_VIEW]))


WRONG_LINES = {
    "wrong password": ("does not believe", {"POSTROOM_KAFKA_PASSWORD": "wrong-hush"}),
    "no such user": ("does not believe", {"POSTROOM_KAFKA_USERNAME": "owner.none"}),
    "no TLS": ("speaks TLS", {"POSTROOM_KAFKA_SECURITY": "PLAINTEXT"}),
    "no TLS, a password": ("speaks TLS", {"POSTROOM_KAFKA_SECURITY": SASL_PLAINTEXT}),
    "nobody": ("wants to know who", {"POSTROOM_KAFKA_SECURITY": "SSL"}),
    "unknown CA": ("is not believed", {"POSTROOM_KAFKA_CA_FILE": "OTHER"}),
    "the machine's CAs": ("is not believed", {"POSTROOM_KAFKA_CA_FILE": ""}),
    "another name": ("is not believed", {"POSTROOM_KAFKA": "NAMED"}),
    "not Kafka": ("does not speak TLS", {"POSTROOM_KAFKA": "REGISTRY"}),
}


COMMANDS = (("run", "intake"), ("publish", "-"), ("view", "council-york-carers"), ("access", "revoke", NHS))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        *((wrong, ("topics", "plan")) for wrong in WRONG_LINES),
        *(("wrong password", words) for words in COMMANDS),
    ],
)
def test_a_line_that_is_wrong_is_said_to_be(own: Secured, wrong: str, words: tuple[str, ...]):
    """What, where, why and how to mend it; exit 3, within seconds, and never the password."""
    expected, environ = WRONG_LINES[wrong]
    done = own.command(*words, given=b"", **reached(own) | {name: put(own, v) for name, v in environ.items()})
    said = done.stderr.decode()
    assert done.returncode == 3, said
    assert expected in said
    for part in ("where:", "why:", "mend:", "POSTROOM_KAFKA"):
        assert part in said
    assert "Traceback" not in said


def test_a_wrong_password_is_told_at_once(own: Secured):
    """Clients would try for as long as they may, and then say that time is over."""
    began = time.monotonic()
    assert "does not believe" in str(kafka_problem(own.security.access(own.bootstrap, NHS, "wrong-hush")))
    assert time.monotonic() - began < 5


def test_as_an_existing_cluster_it_is_reached_by_settings_alone(own: Secured):
    """Address, security, CA, user and password file: what production is given."""
    done = own.command("topics", "plan", **reached(own))
    assert done.returncode == 0, done.stderr.decode()


def test_no_secret_is_in_what_was_said_or_can_be_seen(own: Secured):
    """Not in an output, not in a log, not in a configuration, not on any command line."""
    secrets = {file.read_text() for file in own.security.directory.glob("*.password")} | {"wrong-hush"}
    assert len(secrets) > len(USERS)
    texts = {"commands": "\n".join(own.said), "ps": "\n".join(own.seen)}
    state = own.settings.state_dir
    for pattern in ("kafka/*.log*", "kafka/*.properties", "registry/*.log", "workers/*.log", "stack.json"):
        texts |= {str(file): file.read_text(errors="replace") for file in state.glob(pattern)}
    texts |= {str(file): file.read_text() for file in own.place.glob("*.log")}
    assert any("server.properties" in name for name in texts)
    assert "access credential" in texts["ps"]
    assert not [(name, len(secret)) for name, text in texts.items() for secret in secrets if secret in text]


def test_the_broker_listens_nowhere_without_tls(own: Secured):
    """Each of its ports answers an open line with TLS, or not at all."""
    for port in read_json(own.settings.state_dir / "stack.json")["kafka"]["ports"]:
        problem = kafka_problem(KafkaAccess(f"127.0.0.1:{port}", PLAINTEXT), 1000)
        assert problem is not None
        assert "speaks TLS" in problem


def test_once_secured_it_stays_so(own: Secured):
    """Another `up` without the option finds it as it is, and permissions survive a restart."""
    own.good("up")
    own.good("down")
    own.good("up")
    assert json.loads(own.good("topics", "plan", "-o", "json")) == []
    error = own.person(YORK).read(LEEDS_VIEW)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert own.person(YORK).read(YORKS_VIEW) is None


def test_a_running_open_stack_is_not_secured_under_its_users(stack_settings: Settings, stack: object):
    """It is said what to do; and an open one says that it keeps no permissions, and does the rest."""
    with pytest.raises(Misused, match="runs without security"):
        ensure_stack(stack_settings, secure=True)
    access = find_stack(stack_settings).access
    assert Acls(access, ours).plan(frozenset()) is None
    user = f"owner.test-{os.getpid()}"

    def comes_to(wanted: list[QuotaChange]) -> bool:
        """A broker hears from its controller what was set, a moment after whoever set it."""
        end = time.monotonic() + 60
        while (found := [each for each in Quotas(access, ours).plan({}) if each.user == user]) != wanted:
            assert time.monotonic() < end, found
            time.sleep(0.2)
        return True

    taken_back = [QuotaChange(user, "request_percentage", 5.0, None)]
    Quotas(access, ours).apply([QuotaChange(user, "request_percentage", None, 5.0)])
    assert comes_to(taken_back)
    Quotas(access, ours).apply(taken_back)
    assert comes_to([])
