"""The issuer's public keys: a JWKS (RFC 7517) from a file or a URL, kept, and fetched again when it must be.

A key that the issuer has taken out stops counting within minutes: the set is read again when it is old, and
one that could not be read again for an hour counts no more. An unknown key id makes it be read again, but not
more often than `UNKNOWN_S_MIN`, so that invented ids do not become a load on the issuer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jwt

from connectors.away import Away
from connectors.private_line import is_this_machine

AGE_S_MAX = 300.0
STALE_S_MAX = 3600.0
UNKNOWN_S_MIN = 10.0
BYTES_MAX = 262_144
FETCH_SECONDS = 5.0
RSA_BITS_MIN = 2048

ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""What a token may be signed with, and with what kind of key: no secret that two sides share, no `none`."""

Fetch = Callable[[], Awaitable[bytes]]


class NoKeys(ValueError):  # noqa: N818 - what is so
    """What was read is not a JWKS."""


class _Loaded(NamedTuple):
    keys: Mapping[tuple[str, str], jwt.PyJWK]
    at_s: float


class KeySet:
    """Keys by id and algorithm."""

    def __init__(self, fetch: Fetch, monotonic_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic_s = monotonic_s
        self._loaded: _Loaded | None = None
        self._tried_s: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str, algorithm: str) -> jwt.PyJWK | None:
        """Return the key for verifying; None when the issuer has none such. Away when that is unknown."""
        loaded = await self._fresh()
        key = loaded.keys.get((key_id, algorithm))
        if key is None and await self._again(UNKNOWN_S_MIN):
            key = (await self._fresh()).keys.get((key_id, algorithm))
        return key

    async def _fresh(self) -> _Loaded:
        if self._loaded is None or self._monotonic_s() - self._loaded.at_s > AGE_S_MAX:
            await self._again(UNKNOWN_S_MIN if self._loaded else 1.0)
        if self._loaded is None or self._monotonic_s() - self._loaded.at_s > STALE_S_MAX:
            raise Away("the issuer's keys cannot be read")  # INVARIANT: what cannot be checked is not let in
        return self._loaded

    async def _again(self, seconds_min: float) -> bool:
        """Read the set again unless that was tried a moment ago; tell whether it was read."""
        async with self._lock:
            now_s = self._monotonic_s()
            if self._tried_s is not None and now_s - self._tried_s < seconds_min:
                return False
            self._tried_s = now_s
            try:
                self._loaded = _Loaded(read_keys(await self._fetch()), now_s)
            except (OSError, NoKeys):
                return False
            return True


def read_keys(content: bytes) -> dict[tuple[str, str], jwt.PyJWK]:
    """Read a JWKS; keys without an id, of another kind or for another use are left out. NoKeys."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise NoKeys("not JSON") from None
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise NoKeys("no list of keys")
    keys: dict[tuple[str, str], jwt.PyJWK] = {}
    for entry in found:
        if not isinstance(entry, dict):
            continue
        for algorithm, (kind, curve) in ALGORITHMS.items():
            if _fits(entry, algorithm, kind, curve) and (key := _key(entry, algorithm)) is not None:
                keys[str(entry["kid"]), algorithm] = key
    return keys


def _fits(entry: Mapping[str, Any], algorithm: str, kind: str, curve: str | None) -> bool:
    return (
        isinstance(entry.get("kid"), str)
        and entry.get("kty") == kind
        and (curve is None or entry.get("crv") == curve)
        and entry.get("alg", algorithm) == algorithm
        and entry.get("use", "sig") == "sig"
    )


def _key(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    public = {name: value for name, value in entry.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}
    try:
        key = jwt.PyJWK(public, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    bits = getattr(key.key, "key_size", RSA_BITS_MIN)
    return None if algorithm == "RS256" and bits < RSA_BITS_MIN else key


def from_file(path: Path) -> Fetch:
    """Read the set from a file, each time as it is then."""

    async def fetch() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return fetch


def from_url(url: str) -> Fetch:
    """Fetch the set over HTTPS (on this machine, HTTP too); no redirects, a bounded size and time."""

    async def fetch() -> bytes:
        import httpx

        try:
            async with (
                httpx.AsyncClient(timeout=FETCH_SECONDS, trust_env=not is_this_machine(url)) as client,
                client.stream("GET", url, headers={"accept": "application/json"}) as answer,
            ):
                if answer.status_code != 200:
                    raise OSError(f"the issuer answered {answer.status_code}")
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > BYTES_MAX:
                        raise OSError("the issuer's answer is too long")
                return content
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OSError(type(error).__name__) from error

    return fetch
