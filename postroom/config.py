"""The configuration: environment `POSTROOM_*` over a TOML file over defaults (DESIGN §8, docs/adr/0002).

One table, `KNOWN` (in `postroom.known_settings`), says every setting; each value knows where it came from,
secrets are hidden wherever they are shown. This is the only file that reads the environment.
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
from urllib.parse import urlsplit

from connectors.kafka_access import PLAINTEXT, KafkaAccess
from postroom.errors import UserError
from postroom.known_settings import BY_NAME, KNOWN, Known

PREFIX = "POSTROOM_"
FILE_NAME = "postroom.toml"
HIDDEN = "(hidden)"


def _default_cache() -> Path:
    return Path("~/.cache/postroom").expanduser()


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

    def registry_token(self) -> str | None:
        """What proves to a configured registry who we are; a file is read anew each time, so it may change.

        INVARIANT: a token leaves this machine on a protected line only.
        """
        self._one_of_two("registry_token", "registry_token_file")
        given: str | None = self._get("registry_token")
        file: Path | None = self._get("registry_token_file")
        if given is None and file is None:
            return None
        address = urlsplit(self.registry or "")
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise UserError(
                "a token would go to the registry on an open line",
                where=f"registry from {self.values['registry'].source}",
                why="whoever reads it on the way may register what passed no gate",
                mend="name the registry with https://",
            )
        if file is None:
            return given
        content = read_private(file, "the registry's token", self.values["registry_token_file"].source)
        return content.decode("ascii", "replace").strip()

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
    def compiled(self) -> bool:
        return bool(self._get("compiled") == "yes")

    @property
    def fetch_wait_ms_max(self) -> int:
        return int(self._get("fetch_wait_ms_max"))

    @property
    def transaction_timeout_ms(self) -> int:
        return int(self._get("transaction_timeout_ms"))

    @property
    def log_format(self) -> str:
        return str(self._get("log_format"))

    @property
    def traces_url(self) -> str | None:
        found = self._get("traces_url")
        return None if found is None else str(found)

    @property
    def log_level(self) -> str:
        return str(self._get("log_level"))

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
            mend="set POSTROOM_SECRET_FILE" if self.kafka else _NO_KEY_LOCALLY,
        )

    @property
    def secret_source(self) -> str:
        """Where the identity key came from, for a person to read."""
        for name in ("secret", "secret_file"):
            if self._get(name) is not None:
                return f"{name} from {self.values[name].source}"
        return f"the local stack's secret in {self.state_dir}"

    def _one_of_two(self, one: str, other: str) -> None:
        if self._get(one) is not None and self._get(other) is not None:
            raise UserError(
                f"{one} and {other} are both set",
                where=f"{self.values[one].source}; {self.values[other].source}",
                mend="keep one of them",
            )


#: Of somebody who only tries, a key of their own is as good as any: nobody else's person ids depend on it.
_NO_KEY_LOCALLY = (
    "`postroom up`, or set POSTROOM_SECRET_FILE; to try `replay`, any does: "
    "`(umask 77; openssl rand -hex 32 > FILE)`"
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


def environment() -> Mapping[str, str]:
    """Return the variables of this process, for files that name one of them as the place of a secret."""
    return dict(os.environ)


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
