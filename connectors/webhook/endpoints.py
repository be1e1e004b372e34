"""Who receives what and where: the file of endpoints, read strictly, every problem with its field.

An endpoint belongs to one subscriber and receives agreements of that subscriber alone. Its keys are never in
the file: they are in files that only the service may read, or in its environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from connectors.settings_file import read_settings
from connectors.trouble import Trouble
from connectors.webhook.addresses import Network, is_loopback, refusal
from connectors.webhook.signatures import NotAKey, SigningKey, read_key
from schemas import Agreement
from schemas.written import ShortName, Written, matching

WHAT = "the file of webhooks"
WRONG = "docs/examples/webhooks.yaml has every field; `postroom webhook key` makes a key that is missing"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ENVIRONMENT = r"^[A-Z][A-Z0-9_]*$"
OUR_SETTINGS = "POSTROOM_"
URL_MAX = 2_000
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z]){_LABEL}")
"""A name with a dot whose last part begins with a letter: 0x7f.1, 017700000001 and localhost are none."""
ORIGIN = rf"^(?:{_LABEL}\.)*{_LABEL}$"
LOCAL = "localhost"

Read = Callable[[Path], bytes]
"""Reads a file that only the service may read; Trouble."""


class _Secret(Written):
    file: Path | None = None
    env: Annotated[str, matching(ENVIRONMENT, "the name of a variable, upper case: LEEDS_KEY")] | None = None

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """One place, and none of our own."""
        if (written.get("file") is None) == (written.get("env") is None):
            yield "give exactly one of file and env"
        # INVARIANT: who may add a receiver may not have our password or our secret sent to it as its token.
        if str(written.get("env")).startswith(OUR_SETTINGS):
            yield f"{OUR_SETTINGS}… are settings of Postroom itself, and no receiver's key"


class _Endpoint(Written):
    subscriber: ShortName
    agreements: list[str] | None = Field(None, min_length=1)
    url: str = Field(max_length=URL_MAX)
    keys: list[_Secret] = Field(min_length=1, max_length=5)
    bearer: _Secret | None = None
    requests_per_minute: int = Field(600, ge=1, le=60_000)
    in_flight_max: int = Field(8, ge=1, le=64)
    timeout_ms: int = Field(15_000, ge=100, le=60_000)
    park_after: int = Field(100, ge=1, le=10_000)
    pause_s_max: float = Field(300.0, ge=0.01, le=86_400)


class _File(Written):
    origin: Annotated[
        str, Field(max_length=253), matching(ORIGIN, "a host's name, lower case: postroom.example.gov.uk")
    ]
    endpoints: dict[str, _Endpoint]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver: where, what, signed by which keys, how fast, and when to give up for a person to look."""

    name: str
    subscriber: str
    agreements: tuple[str, ...]
    url: str
    origin: str
    keys: tuple[SigningKey, ...]
    bearer: str | None = field(repr=False)
    requests_per_minute: int
    in_flight_max: int
    timeout_s: float
    park_after: int
    pause_s_max: float

    @property
    def host(self) -> str:
        """Where it is, for a person; the rest of a URL may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def load_endpoints(
    path: Path,
    agreements: Mapping[str, Agreement],
    environ: Mapping[str, str],
    read: Read,
    allowed: Sequence[Network] = (),
) -> dict[str, Endpoint]:
    """Read the file; Misused says all that is wrong with it."""
    named_by = "POSTROOM_WEBHOOKS; docs/examples/webhooks.yaml is one"
    reading = _Reading(path, agreements, environ, read, allowed)
    read_settings(path, _File, WHAT, named_by, WRONG, reading.judge)
    return reading.found


class _Reading:
    """One reading of the file, whose problems pile up."""

    def __init__(
        self,
        path: Path,
        agreements: Mapping[str, Agreement],
        environ: Mapping[str, str],
        read: Read,
        allowed: Sequence[Network],
    ) -> None:
        self._directory, self._agreements = path.parent, agreements
        self._environ, self._read, self._allowed = environ, read, allowed
        self.problems: list[str] = []
        self.found: dict[str, Endpoint] = {}

    def judge(self, parsed: _File) -> list[str]:
        """Read every endpoint, and say what is wrong with them."""
        for name, each in parsed.endpoints.items():
            self.found[name] = self.endpoint(name, each, parsed.origin)
        return self.problems

    def endpoint(self, name: str, each: _Endpoint, origin: str) -> Endpoint:
        """Return one; what is wrong with it is added to the problems."""
        where = f"endpoints.{name}"
        if NAME.fullmatch(name) is None:
            self.problems.append(f"{where}: a name is {NAME.pattern}")
        own = {a.agreement for a in self._agreements.values() if a.subscriber == each.subscriber}
        wanted = sorted(own if each.agreements is None else set(each.agreements))
        self.problems += [
            f"{where}.agreements: {agreement} is no agreement of {each.subscriber}"
            for agreement in wanted
            if agreement not in own
        ]
        if not wanted:
            self.problems.append(f"{where}.subscriber: {each.subscriber} has no agreement")
        self.problems += [f"{where}.url: {problem}" for problem in url_problems(each.url, self._allowed)]
        keys = [self._key(f"{where}.keys.{number}", secret) for number, secret in enumerate(each.keys)]
        return Endpoint(
            name,
            each.subscriber,
            tuple(wanted),
            each.url,
            origin,
            tuple(key for key in keys if key is not None),
            self._bearer(f"{where}.bearer", each.bearer),
            each.requests_per_minute,
            each.in_flight_max,
            each.timeout_ms / 1000,
            each.park_after,
            each.pause_s_max,
        )

    def _key(self, where: str, secret: _Secret) -> SigningKey | None:
        text = self._text(where, secret)
        try:
            return None if text is None else read_key(text)
        except NotAKey as error:
            self.problems.append(f"{where}: {error}")
            return None

    def _bearer(self, where: str, secret: _Secret | None) -> str | None:
        text = None if secret is None else self._text(where, secret)
        if text is not None and not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text):
            self.problems.append(f"{where}: it is not a bearer token (RFC 6750 §2.1)")
        return text

    def _text(self, where: str, secret: _Secret) -> str | None:
        if secret.env is not None:
            text = self._environ.get(secret.env, "")
            if not text:
                self.problems.append(f"{where}.env: {secret.env} is not set")
            return text.strip() or None
        assert secret.file is not None  # noqa: S101 - the model has seen to that
        try:
            return self._read(self._directory / secret.file.expanduser()).decode("ascii").strip()
        except Trouble as trouble:
            self.problems.append(f"{where}.file: {trouble}")
        except UnicodeDecodeError:
            self.problems.append(f"{where}.file: it is not text")
        return None


def url_problems(url: str, allowed: Sequence[Network]) -> Iterator[str]:
    """Say what is wrong with an address to send to, as far as its text tells; connecting asks again."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        yield "it is not a URL"
        return
    if not url.isascii() or not url.isprintable() or " " in url:
        yield "it holds what no URL holds; write an international name in its xn-- form"
    if parts.scheme not in ("https", "http") or not host or port == 0:
        yield "it is not https://host/…"
        return
    if parts.username is not None or parts.password is not None:
        yield "a user or password in it would be logged on the way; use `bearer`"
    if parts.fragment:
        yield "a fragment is never sent"
    yield from _host_problems(parts, host, allowed)


def _host_problems(parts: SplitResult, host: str, allowed: Sequence[Network]) -> Iterator[str]:
    try:
        address: Any = ip_address(host)
    except ValueError:
        local = host == LOCAL and _opens_loopback(allowed)
        if HOST.fullmatch(host) is None and not local:
            yield "its host is neither a full name nor an address"
        elif parts.scheme == "http" and not local:
            yield "it would be sent in the clear; use https"
        return
    why = refusal(address, allowed)
    if why is not None:
        yield f"nothing is sent there ({why}); POSTROOM_WEBHOOK_NETWORKS opens networks"
    elif parts.scheme == "http" and not is_loopback(address):
        yield "it would be sent in the clear; use https"


def _opens_loopback(allowed: Sequence[Network]) -> bool:
    return any(network.is_loopback for network in allowed)
