"""A stand-in for GOV.UK One Login: its discovery, key and DID documents, and the tokens of a sign-in.

Built from docs.sign-in.service.gov.uk ("Make a token request", "Prove your user's identity") and checked
against the service's own simulator (github.com/govuk-one-login/simulator: `create-id-token.ts`,
`user-info-controller.ts`, `did-controller.ts`): the same claims in both tokens, ES256, an ID token of two
minutes, an identity claim whose `kid` is `CONTROLLER#KEY`, keys that are published before they sign. There is
no `/authorize`, `/token` or `/userinfo`: those are between a service and GOV.UK One Login, and Postroom never
comes near them. `/stand-in/…` is ours.

As a program: `python -m tests.standins.govuk_one_login_stand_in --port 9200`.
"""

from __future__ import annotations

import argparse
import base64
import http.server
import json
import secrets
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

NAME = "govuk-one-login-stand-in"
ID_TOKEN_S, IDENTITY_S = 120, 24 * 3600
MAX_AGE_S = 3600
PERSON = {"value": "Wilhelmina", "type": "GivenName"}, {"value": "Featherstone", "type": "FamilyName"}


class GovukOneLoginStandIn:
    """The provider; `state` is `well`, `dead` (it answers 503) or `slow` (it answers when all have left)."""

    def __init__(self, port: int = 0) -> None:
        self.state = "well"
        self.fetched: list[str] = []
        self.keys = [_key()]
        self.identity_keys = [_key()]
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetched.append(self.path)
                if outer.state == "slow":
                    time.sleep(7)
                document = outer.documents().get(self.path)
                self.say(503 if outer.state == "dead" else 404 if document is None else 200, document or {})

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path != "/stand-in/sign-in":
                    self.say(404, {})
                    return
                self.say(200, outer.sign_in(**given))

            def say(self, status: int, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("cache-control", f"max-age={MAX_AGE_S}, private")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """What is fetched is in `fetched`."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.issuer = f"http://127.0.0.1:{self.port}/"
        self.identity_issuer = f"http://127.0.0.1:{self.port}/identity/"
        self.controller = f"did:web:127.0.0.1%3A{self.port}"
        self.did = self.issuer + ".well-known/did.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def documents(self) -> dict[str, Any]:
        """Every document, by its path."""
        methods = [
            {
                "type": "JsonWebKey",
                "id": f"{self.controller}#{kid}",
                "controller": self.controller,
                "publicKeyJwk": _public(key),
            }
            for kid, key in self.identity_keys
        ]
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": self.issuer + ".well-known/jwks.json",
                "authorization_endpoint": self.issuer + "authorize",
                "token_endpoint": self.issuer + "token",
                "userinfo_endpoint": self.issuer + "userinfo",
                "id_token_signing_alg_values_supported": ["ES256", "RS256"],
                "subject_types_supported": ["public", "pairwise"],
            },
            "/.well-known/jwks.json": {
                "keys": [{**_public(key), "kid": kid, "use": "sig", "alg": "ES256"} for kid, key in self.keys]
            },
            "/.well-known/did.json": {
                "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1"],
                "id": self.controller,
                "assertionMethod": methods,
            },
        }

    def rotate(self) -> None:
        """Publish new keys and sign with them; the old ones stay published."""
        self.keys.append(_key())
        self.identity_keys.append(_key())

    def withdraw_old_keys(self) -> None:
        """Publish only the newest keys."""
        self.keys, self.identity_keys = self.keys[-1:], self.identity_keys[-1:]

    def sign_in(
        self,
        client_id: str,
        nonce: str,
        subject: str = "urn:fdc:gov.uk:2022:VtcZjnU4Sif2oyJZola3OkN0e3Jeku1cIMN38rFlhU4",
        vot: str = "Cl.Cm",
        confidence: str = "P2",
        id_token: dict[str, Any] | None = None,
        identity: dict[str, Any] | None = None,
    ) -> dict[str, str]:
        """A person signed in and proved who they are; `id_token` and `identity` change claims, None takes
        one out.
        """
        now_s = int(time.time())
        claims = {
            "at_hash": "ZDevf74CkYWNPa8qmflQyA",
            "sub": subject,
            "aud": client_id,
            "iss": self.issuer,
            "vot": vot,
            "exp": now_s + ID_TOKEN_S,
            "iat": now_s,
            "nonce": nonce,
            "vtm": self.issuer + "trustmark",
            "sid": "dX5xv0XgHh6yfD1xy-ss_1EDK0I",
            "auth_time": now_s,
        }
        credential = {
            "type": ["VerifiableCredential", "VerifiableIdentityCredential"],
            "credentialSubject": {
                "name": [{"nameParts": [*PERSON]}],
                "birthDate": [{"value": "1970-01-01"}],
            },
        }
        proved = {
            "sub": subject,
            "iss": self.identity_issuer,
            "aud": client_id,
            "nbf": now_s,
            "iat": now_s,
            "exp": now_s + IDENTITY_S,
            "vot": confidence,
            "vtm": self.issuer + "trustmark",
            "vc": credential,
        }
        kid, key = self.identity_keys[-1]
        return {
            "id_token": _signed(claims | (id_token or {}), *self.keys[-1]),
            "core_identity": _signed(proved | (identity or {}), f"{self.controller}#{kid}", key),
        }

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def _key() -> tuple[str, Any]:
    return secrets.token_hex(32), ec.generate_private_key(ec.SECP256R1())


def _public(key: Any) -> dict[str, Any]:
    found = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: found[name] for name in ("kty", "crv", "x", "y")}


def _signed(claims: dict[str, Any], kid: str, key: Any, algorithm: str = "ES256") -> str:
    said = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={"kid": kid})


def encoded(part: Any) -> str:
    """One part of a token that nobody signed."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(prog=NAME, description="Stands in for GOV.UK One Login on this machine.")
    parser.add_argument("--port", type=int, default=9200)
    provider = GovukOneLoginStandIn(parser.parse_args().port)
    print(json.dumps({"process": NAME, "issuer": provider.issuer}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
