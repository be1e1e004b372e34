"""Who asks, and whether they may: a token, a certificate, or both, bound to a client of the file.

Everything here fails closed. The caller hears which kind of thing is wrong; the audit line says which check
refused, and neither holds a token, a key or anything that came in the request's path or body.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.away import Away
from connectors.callers.clients import SUBSCRIBE, Client, Clients
from connectors.callers.jwts import TokenInvalid
from connectors.callers.tokens import Token, Tokens
from connectors.doors import CERTIFICATE, Certificate, Problem, RawHeaders, header

NONE_OF_YOURS = (
    "no agreement of this client's has that name; whoever runs this service tells which it reads, "
    "`postroom gateway clients`"
)
# One text for every cause, so that nobody can try which of their proofs was believed.
WANTED = (
    "send `authorization: Bearer` with an access token that is in force, or the client's certificate; "
    "the log of this service says which check refused"
)


class Caller(NamedTuple):
    """Who asks: the client, what it may in this request, and until when (UTC s; None: as long as it is
    connected).
    """

    client: Client
    scopes: frozenset[str]
    expires_s: float | None

    def must(self, scope: str) -> None:
        """Problem `insufficient-scope` unless the client and its token have it."""
        if scope not in self.scopes:
            raise Problem(
                "insufficient-scope",
                f"this needs the scope {scope}, in the service's file of clients and in the token",
                headers={"www-authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )

    def may_read(self, agreement: str) -> str:
        """Return the subscriber; Problem `not-found`, the same for what is another's and what is not."""
        subscriber = self.client.subscriber
        if subscriber is None or agreement not in self.client.agreements:
            raise Problem("not-found", NONE_OF_YOURS, why="not-entitled")
        return subscriber


class Access:
    """Tells who asks."""

    def __init__(self, clients: Clients, tokens: Tokens) -> None:
        self._clients = clients
        self._tokens = tokens

    def renew(self, clients: Clients) -> None:
        """Know these clients from now on, and nobody else."""
        self._clients = clients

    def may_still_read(self, client: str, agreement: str) -> bool:
        """Tell whether a client whose stream is open is still entitled to it."""
        found = self._clients.by_id.get(client)
        return found is not None and SUBSCRIBE in found.scopes and agreement in found.agreements

    async def caller(self, headers: RawHeaders, extensions: Mapping[str, Any]) -> Caller:
        """Return the caller; Problem `unauthenticated`, or `unavailable` when that cannot be known."""
        certificate: Certificate | None = extensions.get(CERTIFICATE)
        token = await self._token(headers)
        client = self._client(token, certificate)
        if token is None:
            return Caller(client, client.scopes, None)
        if token.certificate_sha256 is not None and (
            certificate is None
            or not hmac.compare_digest(token.certificate_sha256.encode(), certificate.sha256.encode())
        ):
            raise _unauthenticated("bound-to-another-certificate")
        return Caller(client, client.scopes & token.scopes, token.expires_s)

    async def _token(self, headers: RawHeaders) -> Token | None:
        given = header(headers, b"authorization")
        if not given:
            return None
        scheme, _, text = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise _unauthenticated("not-one-bearer-token")
        try:
            return await self._tokens.check(text.strip())
        except TokenInvalid as invalid:
            raise _unauthenticated(invalid.why) from None
        except Away as away:
            raise Problem(
                "unavailable", retry_after_s=away.retry_after_s, why="issuer-keys-unavailable"
            ) from None

    def _client(self, token: Token | None, certificate: Certificate | None) -> Client:
        """The client that everything given names alike, proved in the way that it must be."""
        by_certificate = self._certified(certificate)
        if token is not None:
            client = self._clients.by_id.get(token.client_id)
            if client is None:
                raise _unauthenticated("unknown-client")
        elif by_certificate is not None:
            client = by_certificate
        else:
            raise _unauthenticated("no-credentials" if certificate is None else "unknown-certificate")
        # INVARIANT: each kind of proof that the client needs was given, and names this client.
        if client.proof != "certificate" and token is None:
            raise _unauthenticated("token-missing")
        if client.proof != "token" and by_certificate is not client:
            raise _unauthenticated("certificate-missing")
        if by_certificate is not None and by_certificate is not client:
            raise _unauthenticated("token-and-certificate-differ")
        return client

    def _certified(self, certificate: Certificate | None) -> Client | None:
        if certificate is None:
            return None
        found = {
            client.id: client
            for name in certificate.names
            if (client := self._clients.by_certificate.get(name)) is not None
        }
        return next(iter(found.values())) if len(found) == 1 else None


def _unauthenticated(why: str) -> Problem:
    # RFC 6750 §3.1: a request without credentials is not told of an error.
    error = "" if why == "no-credentials" else ' error="invalid_token"'
    return Problem("unauthenticated", WANTED, why=why, headers={"www-authenticate": f"Bearer{error}"})
