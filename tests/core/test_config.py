"""The configuration: environment over file over defaults, and no secret ever shown (docs/adr/0002)."""

from pathlib import Path

import pytest

from postroom.config import HIDDEN, Settings, load_settings
from postroom.errors import UserError
from postroom.known_settings import KNOWN


def test_environment_over_file_over_default(tmp_path: Path):
    """The nearer source wins, and each value says which it was."""
    (tmp_path / "postroom.toml").write_text("partitions = 8\nkafka_port = 19092\n")
    settings = load_settings({"POSTROOM_PARTITIONS": "16"}, tmp_path)
    assert (settings.partitions, settings.kafka_port, settings.registry_port) == (16, 19092, 0)
    sources = {name: value.source for name, value in settings.values.items()}
    assert sources["partitions"] == "environment POSTROOM_PARTITIONS"
    assert sources["kafka_port"] == f"file {tmp_path / 'postroom.toml'}"
    assert sources["registry_port"] == "default"


def test_an_empty_variable_is_not_set(tmp_path: Path):
    """`POSTROOM_KAFKA= postroom ...` is how a shell takes a setting away."""
    assert load_settings({"POSTROOM_KAFKA": ""}, tmp_path).kafka is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "nonsense"),
        ("KAFKA", "host:notaport"),
        ("KAFKA", "host:0"),
        ("KAFKA", "a:1,"),
        ("REGISTRY", "localhost:8080"),
        ("PARTITIONS", "0"),
        ("PARTITIONS", "many"),
        ("KAFKA_PORT", "65536"),
        ("TRANSACTION_TIMEOUT_MS", "10001"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_names_its_source(name: str, value: str, tmp_path: Path):
    """The error says which variable, what is wanted and what was given."""
    with pytest.raises(UserError) as raised:
        load_settings({f"POSTROOM_{name}": value}, tmp_path)
    assert raised.value.where == f"environment POSTROOM_{name}"
    assert value in raised.value.why
    assert raised.value.code == 2


def test_an_unknown_variable_is_named_with_its_likely_meaning(tmp_path: Path):
    """A typing error is told, not swallowed; it does not stop the command."""
    (warning,) = load_settings({"POSTROOM_PARTITION": "8", "POSTROOM_CONFIG": ""}, tmp_path).warnings
    assert "POSTROOM_PARTITION " in warning
    assert "POSTROOM_PARTITIONS" in warning


def test_an_unknown_name_in_the_file_is_an_error(tmp_path: Path):
    """The file is wholly ours, so what it says must mean something."""
    (tmp_path / "postroom.toml").write_text("kafkaa = 'x:1'\n")
    with pytest.raises(UserError, match="kafkaa") as raised:
        load_settings({}, tmp_path)
    assert "kafka" in raised.value.mend


@pytest.mark.parametrize("content", [b"= broken", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_a_clear_error(content: bytes, tmp_path: Path):
    """No traceback for a user's mistake."""
    (tmp_path / "postroom.toml").write_bytes(content)
    with pytest.raises(UserError, match="not TOML"):
        load_settings({}, tmp_path)


def test_a_named_file_must_exist(tmp_path: Path):
    """POSTROOM_CONFIG that points nowhere is a mistake, an absent postroom.toml is not."""
    assert load_settings({}, tmp_path).partitions == 4
    with pytest.raises(UserError, match="cannot be read"):
        load_settings({"POSTROOM_CONFIG": str(tmp_path / "nowhere.toml")}, tmp_path)


def test_secrets_are_hidden_wherever_settings_are_shown(tmp_path: Path):
    """Neither `config show` nor a repr in a traceback has the secret."""
    settings = load_settings({"POSTROOM_SECRET": "correct horse"}, tmp_path)
    assert settings.values["secret"].shown == HIDDEN
    assert "correct horse" not in repr(settings)
    assert settings.secret_bytes() == b"correct horse"


def test_the_bytes_of_the_secret_file_are_the_secret(tmp_path: Path):
    """A newline at the end counts: what is hashed is what is stored."""
    file = tmp_path / "key"
    file.write_bytes(b"\x00key\n")
    file.chmod(0o600)
    assert load_settings({"POSTROOM_SECRET_FILE": str(file)}, tmp_path).secret_bytes() == b"\x00key\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_file_that_others_may_read_is_refused(mode: int, tmp_path: Path):
    """Whoever has the key can name every citizen's person id (I4)."""
    file = tmp_path / "key"
    file.write_bytes(b"key")
    file.chmod(mode)
    with pytest.raises(UserError, match="open to others"):
        load_settings({"POSTROOM_SECRET_FILE": str(file)}, tmp_path).secret_bytes()


def test_two_secrets_are_refused(tmp_path: Path):
    """Which one counts must not be a guess."""
    environ = {"POSTROOM_SECRET": "a", "POSTROOM_SECRET_FILE": "b"}
    with pytest.raises(UserError, match="both set"):
        load_settings(environ, tmp_path).secret_bytes()


def test_the_local_stacks_secret_is_never_used_for_another_cluster(tmp_path: Path):
    """Its person ids would be another's."""
    (tmp_path / "secret").write_bytes(b"local")
    (tmp_path / "secret").chmod(0o600)
    environ = {"POSTROOM_STATE": str(tmp_path)}
    assert load_settings(environ, tmp_path).secret_bytes() == b"local"
    with pytest.raises(UserError, match="no identity key"):
        load_settings(environ | {"POSTROOM_KAFKA": "elsewhere:9092"}, tmp_path).secret_bytes()


def test_every_setting_can_be_read_from_its_default(tmp_path: Path):
    """The table and the defaults agree with each other."""
    settings = load_settings({}, tmp_path)
    for known in KNOWN:
        value = settings.values[known.name]
        assert value.value is None or known.parse(str(value.value)) == value.value


def with_registry(tmp_path: Path, url: str, **more: str) -> Settings:
    return load_settings({"POSTROOM_KAFKA": "127.0.0.1:1", "POSTROOM_REGISTRY": url, **more}, tmp_path)


def test_the_registrys_token_is_read_anew_each_time(tmp_path: Path):
    """Whoever renews it writes the file, and no process is started again."""
    file = tmp_path / "token"
    settings = with_registry(tmp_path, "https://registry.example", POSTROOM_REGISTRY_TOKEN_FILE=str(file))
    for token in ("first", "second"):
        file.write_text(token + "\n")
        file.chmod(0o600)
        assert settings.registry_token() == token
    file.chmod(0o644)
    with pytest.raises(UserError, match="registry's token"):
        settings.registry_token()
    assert with_registry(tmp_path, "http://registry.example").registry_token() is None


@pytest.mark.parametrize(
    ("url", "goes"),
    [
        ("https://registry.example", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://registry.example", False),
        ("http://127.0.0.1.example:8080", False),
        ("http://localhost.example", False),
    ],
)
def test_a_token_never_leaves_this_machine_on_an_open_line(url: str, goes: bool, tmp_path: Path):
    """Whoever reads it on the way could register what passed no gate."""
    settings = with_registry(tmp_path, url, POSTROOM_REGISTRY_TOKEN="t")
    if goes:
        assert settings.registry_token() == "t"
        return
    with pytest.raises(UserError, match="open line"):
        settings.registry_token()


def test_the_registrys_token_is_said_once_and_never_in_the_file(tmp_path: Path):
    """Of two it is not guessed which; postroom.toml is read by others."""
    both = {"POSTROOM_REGISTRY_TOKEN": "t", "POSTROOM_REGISTRY_TOKEN_FILE": "f"}
    with pytest.raises(UserError, match="both set"):
        with_registry(tmp_path, "https://registry.example", **both).registry_token()
    (tmp_path / "postroom.toml").write_text('registry_token = "t"\n')
    with pytest.raises(UserError):
        load_settings({}, tmp_path)
