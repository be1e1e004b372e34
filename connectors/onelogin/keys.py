"""Where GOV.UK One Login's public keys are: a JWKS that its discovery document names, and a DID document.

Both are what a :class:`connectors.callers.keysets.KeySet` reads: kept for minutes, read again when a key id
is not there, which is how rotation is noticed, and not believed when they could not be read for an hour.
The DID document is fetched from the one address that is configured. A `kid` is never resolved to an address:
"you must not use a third-party library's DID resolution" (docs.sign-in.service.gov.uk, "Use the kid").
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connectors.callers import Fetch, from_file, from_url
from connectors.private_line import is_private_line

WELL_KNOWN = ".well-known/openid-configuration"


def from_discovery(issuer: str) -> Fetch:
    """Read the JWKS that the issuer's discovery document names (OpenID Connect Discovery 1.0 §4).

    OSError when the document is not the issuer's own, or names keys on an open line.
    """
    discovery = from_url(issuer + WELL_KNOWN)

    async def fetch() -> bytes:
        said = _object(await discovery())
        keys = said.get("jwks_uri")
        # INVARIANT: exactly the issuer (§4.3), or another's document would name the keys.
        if said.get("issuer") != issuer or not isinstance(keys, str) or not is_private_line(keys):
            raise OSError("the discovery document is not the issuer's")
        return await from_url(keys)()

    return fetch


def from_place(place: str, beside: Path) -> Fetch:
    """Read a document from a URL, or from a file, whose path is beside the file that names it."""
    return from_url(place) if "://" in place else from_file(beside / place)


def from_did(document: Fetch, controller: str) -> Fetch:
    """Read the keys of a DID document as a JWKS whose key ids are the methods' whole ids.

    OSError when the document is another controller's ("make sure the controller ID matches the `id`").
    """

    async def fetch() -> bytes:
        said = _object(await document())
        if said.get("id") != controller:
            raise OSError("the DID document is another controller's")
        methods = said.get("assertionMethod")
        keys = [
            {**method["publicKeyJwk"], "kid": method.get("id")}
            for method in (methods if isinstance(methods, list) else ())
            if isinstance(method, dict) and isinstance(method.get("publicKeyJwk"), dict)
            if str(method.get("id")).startswith(f"{controller}#")
        ]
        return json.dumps({"keys": keys}).encode()

    return fetch


def _object(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        raise OSError("not JSON") from None
    if not isinstance(said, dict):
        raise OSError("not an object")
    return said
