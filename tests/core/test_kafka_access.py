"""How Kafka is reached, and as whom: no open line by accident, no secret shown, no client forgotten."""

import ast
import ssl
import stat
from pathlib import Path

import pytest

from connectors.kafka_access import KafkaAccess, is_loopback
from connectors.local_security import LocalSecurity, find_security, new_password, password_file
from connectors.trouble import Misused
from postroom.config import HIDDEN, Settings, load_settings
from postroom.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = {"KafkaConsumer", "KafkaProducer", "KafkaAdminClient", "AIOKafkaConsumer", "AIOKafkaProducer"}
PACKAGES = ("producers", "processors", "connectors", "postroom")


def load(tmp_path: Path, **environ: object) -> Settings:
    return load_settings(
        {f"POSTROOM_{name.upper()}": str(value) for name, value in environ.items()}, tmp_path
    )


def private(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("servers", ["kafka.example:9092", "127.0.0.1:1,10.0.0.1:2", "[2001:db8::1]:9"])
def test_an_open_line_to_elsewhere_must_be_asked_for(servers: str, tmp_path: Path):
    """Production inherits no default that protects nothing."""
    with pytest.raises(UserError, match="not said how the line") as raised:
        load(tmp_path, kafka=servers).kafka_access()
    assert "POSTROOM_KAFKA_SECURITY" in raised.value.mend
    assert load(tmp_path, kafka=servers, kafka_security="PLAINTEXT").kafka_access().security == "PLAINTEXT"


@pytest.mark.parametrize("server", ["127.0.0.1:9", "localhost:9", "[::1]:9", "127.8.8.8:9"])
def test_this_machine_is_reached_as_it_is(server: str, tmp_path: Path):
    """Nobody is in between."""
    assert is_loopback(server)
    assert load(tmp_path, kafka=server).kafka_access().local


@pytest.mark.parametrize("server", ["localhost.example:9", "10.0.0.1:9", "128.0.0.1:9", "kafka:9"])
def test_what_is_only_called_like_this_machine_is_not(server: str):
    """A name is whatever the network says."""
    assert not is_loopback(server)


@pytest.mark.parametrize("security", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_who_we_are_must_be_said(security: str, tmp_path: Path):
    """A user without a password, or a password without a user, is nobody."""
    for given in ({}, {"kafka_username": "owner.dwp"}, {"kafka_password": "x"}):
        with pytest.raises(Misused, match="needs a user and a password"):
            load(tmp_path, kafka="k:1", kafka_security=security, **given).kafka_access()


def test_a_password_comes_from_a_file_that_only_its_owner_may_read(tmp_path: Path):
    """Its line end is not part of it."""
    file = private(tmp_path / "password", "hush\n")
    given = {"kafka": "k:1", "kafka_security": "SASL_SSL", "kafka_username": "u", "kafka_password_file": file}
    assert load(tmp_path, **given).kafka_access().password == "hush"
    file.chmod(0o640)
    with pytest.raises(UserError, match="is open to others") as raised:
        load(tmp_path, **given).kafka_access()
    assert "hush" not in str(raised.value)
    with pytest.raises(UserError, match="both set"):
        load(tmp_path, **given, kafka_password="x").kafka_access()


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_password_file_is_no_password(content: str, tmp_path: Path):
    """It fails here, not at the broker."""
    file = private(tmp_path / "password", content)
    given = {"kafka": "k:1", "kafka_security": "SASL_SSL", "kafka_username": "u", "kafka_password_file": file}
    with pytest.raises((UserError, Misused)):
        load(tmp_path, **given).kafka_access()


def test_a_password_is_not_taken_from_the_configuration_file(tmp_path: Path):
    """That file is read by others, and kept in repositories."""
    (tmp_path / "postroom.toml").write_text("kafka_password = 'hush'\n")
    with pytest.raises(UserError, match="does not belong into a file") as raised:
        load(tmp_path)
    assert "hush" not in str(raised.value) + raised.value.mend


def test_a_password_is_shown_nowhere(tmp_path: Path):
    """Not by config show, not in a repr, not in an error's text."""
    settings = load(
        tmp_path, kafka="k:1", kafka_security="SASL_SSL", kafka_username="u", kafka_password="hush"
    )
    assert settings.values["kafka_password"].shown == HIDDEN
    access = settings.kafka_access()
    assert "hush" not in repr(settings) + repr(access) + str(access) + access.who
    assert access.settings()["sasl_plain_password"] == "hush"


def test_a_private_key_must_be_private(tmp_path: Path):
    """Whoever has it is us."""
    security = LocalSecurity(tmp_path / "security")
    security.make()
    store, _ = security.issue("owner.dwp")
    given = {
        "kafka": "k:1",
        "kafka_security": "SSL",
        "kafka_ca_file": security.ca_file,
        "kafka_cert_file": store,
    }
    assert load(tmp_path, **given).kafka_access().tls()
    store.chmod(0o644)
    with pytest.raises(UserError, match="is open to others"):
        load(tmp_path, **given).kafka_access()


def test_tls_checks_the_broker_and_its_name(tmp_path: Path):
    """No setting switches that off."""
    context = KafkaAccess("k:1", "SSL").settings()["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    with pytest.raises(Misused, match="CA file") as raised:
        KafkaAccess("k:1", "SSL", ca_file=tmp_path / "none.pem").tls()
    assert "POSTROOM_KAFKA_CA_FILE" in raised.value.mend


def test_an_open_line_is_given_no_secret():
    """A client would have nothing to do with it."""
    assert KafkaAccess("a:1,b:2").settings() == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_what_the_local_stack_makes_is_for_its_owner_only(tmp_path: Path):
    """Keys and passwords, and the directory that holds them."""
    security = LocalSecurity(tmp_path / "security")
    assert find_security(tmp_path) is None
    security.make()
    security.issue("owner.dwp")
    new_password(password_file(security.directory, "owner.dwp"))
    assert find_security(tmp_path) == security
    assert stat.S_IMODE(security.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in security.directory.iterdir()} == {0o600}
    made = {file: file.read_bytes() for file in security.directory.iterdir()}
    security.make()
    assert made == {file: file.read_bytes() for file in security.directory.iterdir()}, "it is made once"


def test_a_making_that_was_interrupted_is_made_again(tmp_path: Path):
    """The CA's certificate says that all the rest is there."""
    security = LocalSecurity(tmp_path / "security")
    security.make()
    security.ca_file.unlink()
    assert find_security(tmp_path) is None
    security.make()
    access = security.internal("127.0.0.1:1")
    assert access.tls().cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "a b", "CN=x", "a\n"])
def test_a_user_is_no_path_and_no_name_of_anything_else(name: str, tmp_path: Path):
    """What becomes a file and a certificate's name is looked at first."""
    with pytest.raises(ValueError, match="a user's name is wanted"):
        password_file(tmp_path, name)
    with pytest.raises(ValueError, match="a user's name is wanted"):
        LocalSecurity(tmp_path).key_store(name)


def test_no_client_is_built_from_an_address_alone():
    """Each is given all of `KafkaAccess.settings()` or of the engine's `client()`, so none is forgotten."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLIENTS:
                    whole = [ast.unparse(word.value) for word in node.keywords if word.arg is None]
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", whole))
    assert len(found) >= 6
    assert not [
        where
        for where, whole in found
        if not any(word in " ".join(whole) for word in ("settings()", "client", "security"))
    ]
