"""The gateway's settings, read from the table: what a cluster must be given, and what is made locally.

On the local stack a stand-in issuer and a key for cursors are made; on a configured cluster nothing is: an
installation that nobody has secured does not start.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from connectors.callers import Fetch, from_file, from_url
from connectors.doors import Tls
from connectors.private_line import LOOPBACK
from connectors.state_files import write_whole
from postroom.config import Settings, read_private
from postroom.errors import UserError
from postroom.stand_in_issuer import ISSUER, ensure_issuer

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Everything that is set, in the types of its use."""

    host: str
    port: int
    clients: Path
    issuer: str
    audience: str
    keys: Fetch
    cursor_key: bytes
    tls: Tls | None
    behind_tls: bool
    events_per_s: float
    acknowledged_within_s: float


def gateway_settings(settings: Settings) -> GatewaySettings:
    """Read them; UserError says what is missing."""
    value = {name: found.value for name, found in settings.values.items() if name.startswith("gateway_")}
    issuer, keys = issuer_of(settings)
    return GatewaySettings(
        host=value["gateway_host"],
        port=value["gateway_port"],
        clients=value["gateway_clients"],
        issuer=issuer,
        audience=value["gateway_audience"],
        keys=keys,
        cursor_key=_cursor_key(settings, value["gateway_key_file"]),
        tls=tls_of(settings, "gateway", value["gateway_client_ca"]),
        behind_tls=value["gateway_behind_tls"] == "yes",
        events_per_s=float(value["gateway_events_per_s"]),
        acknowledged_within_s=value["gateway_acknowledged_within_ms"] / 1000,
    )


def uses_stand_in(settings: Settings) -> bool:
    """Tell whether tokens are those of the local stack's stand-in issuer."""
    return settings.kafka is None and settings.values["gateway_jwks"].value is None


def issuer_of(settings: Settings) -> tuple[str, Fetch]:
    """Return whose access tokens count, and where its keys are; UserError."""
    issuer: str | None = settings.values["gateway_issuer"].value
    jwks: str | None = settings.values["gateway_jwks"].value
    if uses_stand_in(settings) and issuer is None:
        return ISSUER, from_file(ensure_issuer(settings.state_dir))
    if issuer is None or jwks is None:
        raise UserError(
            "it is not said whose tokens the gateway takes",
            where="POSTROOM_GATEWAY_ISSUER, POSTROOM_GATEWAY_JWKS",
            why="an existing cluster has no stand-in issuer",
            mend="set both: the issuer as its tokens name it, and its keys as a file or an https URL",
        )
    where = urlsplit(jwks)
    if where.scheme == "https" or (where.scheme == "http" and where.hostname in LOOPBACK):
        return issuer, from_url(jwks)
    if "://" in jwks:
        raise UserError(
            "the issuer's keys would come over an open line", where="POSTROOM_GATEWAY_JWKS", mend="use https"
        )
    return issuer, from_file(Path(jwks).expanduser())


def _cursor_key(settings: Settings, file: Path | None) -> bytes:
    if file is None:
        if settings.kafka is not None:
            raise UserError(
                "there is no key for cursors",
                where="POSTROOM_GATEWAY_KEY_FILE",
                why="whoever could write cursors could read from anywhere in a view",
                mend="write 32 random bytes to a file of mode 600 and give it to every gateway",
            )
        file = settings.state_dir / "gateway" / "cursor.key"
        if not file.exists():
            write_whole(file, secrets.token_hex(KEY_BYTES).encode())
    return read_private(file, "the key file of cursors", settings.values["gateway_key_file"].source)


def tls_of(settings: Settings, name: str, client_ca: Path | None = None) -> Tls | None:
    """Return the TLS of the server of this name, None where it has none; UserError when it is half set."""
    certificate, key = (settings.values[f"{name}_tls_{part}"].value for part in ("certificate", "key"))
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        setting = f"POSTROOM_{name.upper()}_TLS"
        raise UserError(
            f"the TLS of {name.replace('_', ' ')} is half set",
            where=f"{setting}_CERTIFICATE, {setting}_KEY",
            mend="set both",
        )
    read_private(key, f"the TLS key of {name.replace('_', ' ')}", settings.values[f"{name}_tls_key"].source)
    return Tls(certificate, key, client_ca)
