"""The configuration: environment `POSTROOM_*` over a TOML file over defaults (DESIGN §8, docs/adr/0002).

One table, `KNOWN`, says every setting; each value knows where it came from, secrets are hidden wherever they
are shown. This is the only file that reads the environment.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.kafka_access import MECHANISMS, PLAINTEXT, PROTOCOLS, KafkaAccess
from postroom.errors import UserError

PREFIX = "POSTROOM_"
FILE_NAME = "postroom.toml"
HIDDEN = "(hidden)"

Parse = Callable[[Any], Any]


def text(value: Any) -> str:
    """Take a text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text is wanted")
    return value.strip()


def addresses(value: Any) -> str:
    """Take `host:port` or several of them between commas."""
    for address in text(value).split(","):
        host, colon, port = address.strip().rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError("host:port is wanted, several with commas between")
    return ",".join(address.strip() for address in text(value).split(","))


def url(value: Any) -> str:
    """Take the base URL of an HTTP service."""
    if not text(value).startswith(("http://", "https://")):
        raise ValueError("a URL that starts with http:// or https:// is wanted")
    return text(value).rstrip("/")


def path(value: Any) -> Path:
    """Take a path; `~` is the home directory."""
    return Path(text(value)).expanduser()


def secret(value: Any) -> str:
    """Take a secret as it is: not even spaces are taken away."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty is wanted")
    return value


def number(least: int, most: int) -> Parse:
    """Take a whole number within bounds."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("a whole number is wanted")
        try:
            parsed = int(value)
        except ValueError:
            raise ValueError("a whole number is wanted") from None
        if not least <= parsed <= most:
            raise ValueError(f"a number from {least} to {most} is wanted")
        return parsed

    return parse


def one_of(*choices: str) -> Parse:
    """Take one of a few words."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is wanted")
        return str(value)

    return parse


@dataclass(frozen=True, slots=True)
class Known:
    """A setting: its name in the file, POSTROOM_<NAME> in the environment, and what it means."""

    name: str
    parse: Parse
    default: Any
    meaning: str
    hidden: bool = False
    in_file: bool = True
    """Whether it may stand in postroom.toml, which others may read."""


def _default_cache() -> Path:
    return Path("~/.cache/postroom").expanduser()


PORT = number(0, 65_535)

KNOWN: tuple[Known, ...] = (
    Known("kafka", addresses, None, "an existing cluster, host:port[,…]; none: the local stack"),
    Known("kafka_security", one_of(*PROTOCOLS), None, "how the line to Kafka is protected; must be said"),
    Known("kafka_mechanism", one_of(*MECHANISMS), MECHANISMS[0], "how a user and a password are proved"),
    Known("kafka_username", text, None, "who we are on Kafka (`postroom access list`)"),
    Known("kafka_password", secret, None, "that user's password, itself", hidden=True, in_file=False),
    Known("kafka_password_file", path, None, "a file that holds the password, readable by its owner only"),
    Known("kafka_ca_file", path, None, "whom we believe about Kafka's certificate; none: the machine's"),
    Known("kafka_cert_file", path, None, "our certificate, for SSL"),
    Known("kafka_key_file", path, None, "its key, readable by its owner only; none: in the same file"),
    Known("quotas", path, None, "bounds of owners and subscribers on Kafka (YAML); none: the defaults"),
    Known("shared_contracts", one_of("gateway", "direct"), "gateway", "who writes what several owners may"),
    Known("registry", url, None, "its schema registry (Confluent-compatible API under /apis/ccompat/v7)"),
    Known("contracts", path, Path("schemas"), "the contracts directory (E5)"),
    Known("agreements", path, Path("schemas/agreements"), "the data-sharing agreements (C5)"),
    Known("state", path, Path(".state"), "data, logs and pids of the local stack and workers"),
    Known("cache", path, None, "downloads; default: postroom in the user's cache directory"),
    Known("secret", secret, None, "the identity key (I4), itself", hidden=True),
    Known("secret_file", path, None, "a file whose bytes are the identity key, readable by its owner only"),
    Known("partitions", number(1, 1024), 4, "partitions of every topic but the pairs'"),
    Known("kafka_port", PORT, 0, "the local Kafka's port, 0: any free one"),
    Known("registry_port", PORT, 0, "the local registry's port, 0: any free one"),
    Known("metrics_host", text, "127.0.0.1", "where a worker serves its metrics"),
    Known("metrics_port", PORT, 0, "the port of that, 0: any free one"),
    Known("batch_records_max", number(1, 100_000), 2000, "records of one step at most"),
    Known("fetch_wait_ms_max", number(1, 5000), 50, "how long a fetch may wait for data"),
    Known(
        "transaction_timeout_ms", number(1000, 10_000), 10_000, "an open transaction holds up readers (V7)"
    ),
    Known("gateway_host", text, "127.0.0.1", "where the HTTP gateway listens"),
    Known("gateway_port", PORT, 8088, "the port of that, 0: any free one"),
    Known("gateway_clients", path, Path("clients.yaml"), "who may use the gateway, and what for (YAML)"),
    Known("gateway_issuer", text, None, "`iss` of access tokens; none: the local stack's stand-in issuer"),
    Known("gateway_audience", text, "postroom", "`aud` of access tokens"),
    Known("gateway_jwks", text, None, "the issuer's public keys (JWKS): a file, or a URL"),
    Known("gateway_key_file", path, None, "the key of cursors, the same for every gateway; local: made"),
    Known("gateway_tls_certificate", path, None, "the gateway's certificate chain (PEM)"),
    Known("gateway_tls_key", path, None, "its key, readable by its owner only"),
    Known("gateway_client_ca", path, None, "the CA of clients' certificates (PEM); none: no mTLS"),
    Known("gateway_behind_tls", one_of("no", "yes"), "no", "yes: a proxy in front ends TLS"),
    Known("gateway_events_per_s", number(1, 1_000_000), 1000, "what one client may publish or ask"),
    Known("gateway_acknowledged_within_ms", number(100, 60_000), 10_000, "how long a publisher waits"),
    Known(
        "log_format", one_of("console", "json"), "console", "words for a terminal, or one JSON object a line"
    ),
)
BY_NAME: Mapping[str, Known] = {known.name: known for known in KNOWN}
OUTSIDE_TABLE = frozenset({"config"})  # POSTROOM_CONFIG names the file itself


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and where it came from: `environment POSTROOM_X`, `file …`, `default`."""

    name: str
    value: Any
    source: str

    @property
    def shown(self) -> str | int | None:
        """Return what may be shown."""
        if BY_NAME[self.name].hidden and self.value is not None:
            return HIDDEN
        return str(self.value) if isinstance(self.value, Path) else self.value


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Every setting, parsed; `warnings` are for a person and not errors. Its repr holds no secret."""

    values: Mapping[str, Value]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value.shown!r}' for name, value in self.values.items())})"

    def _get(self, name: str) -> Any:
        return self.values[name].value

    @property
    def kafka(self) -> str | None:
        value: str | None = self._get("kafka")
        return value

    @property
    def kafka_username(self) -> str | None:
        value: str | None = self._get("kafka_username")
        return value

    @property
    def kafka_security(self) -> str | None:
        value: str | None = self._get("kafka_security")
        return value

    @property
    def quotas_file(self) -> Path | None:
        value: Path | None = self._get("quotas")
        return value

    @property
    def shared_directly(self) -> bool:
        return bool(self._get("shared_contracts") == "direct")

    def kafka_password_text(self) -> str | None:
        """The password of the Kafka user, from the environment or a file that nobody else may read."""
        given: str | None = self._get("kafka_password")
        file: Path | None = self._get("kafka_password_file")
        if file is None:
            return given
        self._one_of_two("kafka_password", "kafka_password_file")
        content = read_private(file, "the Kafka password file", self.values["kafka_password_file"].source)
        return content.decode("utf-8", "replace").rstrip("\r\n")

    def kafka_access(self) -> KafkaAccess:
        """How the configured cluster is reached.

        INVARIANT: an open line leaves this machine only if somebody wrote PLAINTEXT. An installation that
        nobody has secured does not start.
        """
        security = self.kafka_security
        key, cert = self._get("kafka_key_file"), self._get("kafka_cert_file")
        if key is not None:
            read_private(key, "the key file for Kafka", self.values["kafka_key_file"].source)
        elif cert is not None:
            read_private(cert, "the certificate file for Kafka, which holds its key,", str(cert))
        access = KafkaAccess(
            self.kafka or "",
            security or PLAINTEXT,
            self._get("kafka_mechanism"),
            self.kafka_username,
            self.kafka_password_text(),
            self._get("kafka_ca_file"),
            cert,
            key,
        )
        if security is None and not access.local:
            raise UserError(
                "it is not said how the line to Kafka is protected",
                where=f"kafka from {self.values['kafka'].source}",
                why=f"{access.bootstrap} is not this machine: what is sent there may be read on the way",
                mend="set POSTROOM_KAFKA_SECURITY to SASL_SSL or SSL; to PLAINTEXT only on a closed network",
            )
        return access

    @property
    def registry(self) -> str | None:
        value: str | None = self._get("registry")
        return value

    @property
    def contracts_dir(self) -> Path:
        return Path(self._get("contracts"))

    @property
    def agreements_dir(self) -> Path:
        return Path(self._get("agreements"))

    @property
    def state_dir(self) -> Path:
        return Path(self._get("state")).absolute()

    @property
    def cache_dir(self) -> Path:
        return Path(self._get("cache")).absolute()

    @property
    def partitions(self) -> int:
        return int(self._get("partitions"))

    @property
    def kafka_port(self) -> int:
        return int(self._get("kafka_port"))

    @property
    def registry_port(self) -> int:
        return int(self._get("registry_port"))

    @property
    def metrics_host(self) -> str:
        return str(self._get("metrics_host"))

    @property
    def metrics_port(self) -> int:
        return int(self._get("metrics_port"))

    @property
    def batch_records_max(self) -> int:
        return int(self._get("batch_records_max"))

    @property
    def fetch_wait_ms_max(self) -> int:
        return int(self._get("fetch_wait_ms_max"))

    @property
    def transaction_timeout_ms(self) -> int:
        return int(self._get("transaction_timeout_ms"))

    @property
    def log_format(self) -> str:
        return str(self._get("log_format"))

    def secret_bytes(self) -> bytes:
        """Return the identity key (I4): POSTROOM_SECRET, the bytes of the secret file, or the local stack's.

        The local stack's key is never used for a configured cluster: its person ids would be another's.
        """
        given: str | None = self._get("secret")
        file: Path | None = self._get("secret_file")
        self._one_of_two("secret", "secret_file")
        if given is not None:
            return given.encode()
        if file is not None:
            return _read_secret(file, self.values["secret_file"].source)
        local = self.state_dir / "secret"  # as `connectors.secret_path` has it
        if self.kafka is None and local.is_file():
            return _read_secret(local, "the local stack")
        raise UserError(
            "there is no identity key",
            why="an existing cluster is configured" if self.kafka else "the local stack was never started",
            mend="set POSTROOM_SECRET_FILE" if self.kafka else "`postroom up`, or set POSTROOM_SECRET_FILE",
        )

    def _one_of_two(self, one: str, other: str) -> None:
        if self._get(one) is not None and self._get(other) is not None:
            raise UserError(
                f"{one} and {other} are both set",
                where=f"{self.values[one].source}; {self.values[other].source}",
                mend="keep one of them",
            )


def _read_secret(file: Path, source: str) -> bytes:
    why = "whoever reads it can name every citizen's person id"
    return read_private(file, "the secret file", source, why, "put the identity key into it")


def read_private(
    file: Path,
    what: str,
    source: str,
    why: str = "whoever reads it can act as us",
    mend_empty: str = "put the secret into it",
) -> bytes:
    """Read a file that nobody but its owner may open; UserError otherwise, never with its content."""
    try:
        mode = file.stat().st_mode
        content = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{what} cannot be read", where=str(file), why=error.strerror or str(error), mend=source
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{what} is open to others",
            where=str(file),
            why=f"its mode is {stat.S_IMODE(mode):04o}; {why}",
            mend=f"chmod 600 {file}",
        )
    if not content:
        raise UserError(f"{what} is empty", where=str(file), mend=mend_empty)
    return content


def load_settings(environ: Mapping[str, str] | None = None, directory: Path | None = None) -> Settings:
    """Read environment and file; `UserError` names the setting that is wrong, never a secret's value."""
    environ = os.environ if environ is None else environ
    directory = Path.cwd() if directory is None else directory
    file, content = _read_file(environ, directory)
    values = {}
    for known in KNOWN:
        variable = PREFIX + known.name.upper()
        if environ.get(variable, "") != "":  # an empty variable is one that is not set
            values[known.name] = _parsed(known, environ[variable], f"environment {variable}")
        elif known.name in content:
            if not known.in_file:
                raise UserError(
                    f"{known.name} does not belong into a file that others may read",
                    where=str(file),
                    mend=f"set {variable}, or {known.name}_file",
                )
            values[known.name] = _parsed(known, content[known.name], f"file {file}")
        else:
            values[known.name] = Value(known.name, known.default, "default")
    if values["cache"].value is None:
        xdg = environ.get("XDG_CACHE_HOME", "")
        cache = Path(xdg) / "postroom" if xdg else _default_cache()
        values["cache"] = Value("cache", cache, "environment XDG_CACHE_HOME" if xdg else "default")
    return Settings(values, tuple(_strangers(environ)))


def _read_file(environ: Mapping[str, str], directory: Path) -> tuple[Path, dict[str, Any]]:
    named = environ.get(PREFIX + "CONFIG", "")
    file = Path(named).expanduser() if named else directory / FILE_NAME
    if not named and not file.exists():
        return file, {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError("the configuration file cannot be read", where=str(file), why=why) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError("the configuration file is not TOML", where=str(file), why=str(error)) from error
    for name in content:
        if name not in BY_NAME:
            raise UserError(
                f"unknown setting {name!r}",
                where=str(file),
                mend=_near(name, BY_NAME) or "`postroom config show`",
            )
    return file, content


def _parsed(known: Known, value: Any, source: str) -> Value:
    try:
        return Value(known.name, known.parse(value), source)
    except ValueError as error:
        shown = "" if known.hidden else f", not {value!r}"
        raise UserError(
            f"the setting {known.name} is wrong", where=source, why=f"{error}{shown}", mend=known.meaning
        ) from None


def _strangers(environ: Mapping[str, str]) -> list[str]:
    """Name the variables that look like ours and are not: a typing error must not be silent."""
    names = [*BY_NAME, *OUTSIDE_TABLE]
    strange = sorted(name for name in environ if name.startswith(PREFIX))
    return [
        f"{variable} is not a setting of Postroom and is ignored. {near}".strip()
        for variable in strange
        if (bare := variable.removeprefix(PREFIX).lower()) not in names
        for near in [_near(bare, names, lambda name: PREFIX + name.upper())]
    ]


def _near(name: str, names: Mapping[str, Any] | list[str], spell: Callable[[str], str] = str) -> str:
    near = difflib.get_close_matches(name.lower(), list(names), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(spell(match) for match in near)}?" if near else ""
