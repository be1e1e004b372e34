"""Every setting, in one table: its name, how it is read, its default and what it means (docs/adr/0002)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from connectors.kafka_access import MECHANISMS, PROTOCOLS

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


def networks(value: Any) -> str:
    """Take networks between commas, as 10.1.0.0/16."""
    parts = [part.strip() for part in text(value).split(",")]
    try:
        return ",".join(str(ip_network(part)) for part in parts)
    except ValueError:
        raise ValueError("networks are wanted, as 10.1.0.0/16, several with commas between") from None


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


PORT = number(0, 65_535)


def http_door(name: str, takes: str, port: int, acknowledged_within_ms: int) -> tuple[Known, ...]:
    """Return the settings of a door of GOV.UK services: where it listens, its TLS, its patience."""
    return (
        Known(f"{name}_host", text, "127.0.0.1", f"where the door for {takes} listens"),
        Known(f"{name}_port", PORT, port, "the port of that, 0: any free one"),
        Known(f"{name}_tls_certificate", path, None, "its certificate chain (PEM)"),
        Known(f"{name}_tls_key", path, None, "its key, readable by its owner only"),
        Known(f"{name}_behind_tls", one_of("no", "yes"), "no", "yes: a proxy in front ends TLS"),
        Known(
            f"{name}_acknowledged_within_ms",
            number(100, 60_000),
            acknowledged_within_ms,
            "how long an answer waits for the broker",
        ),
    )


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
    Known("registry_token", secret, None, "our token for it, itself", hidden=True, in_file=False),
    Known("registry_token_file", path, None, "a file that holds the token, readable by its owner only"),
    Known("contracts", path, Path("schemas"), "the contracts directory (E5)"),
    Known("agreements", path, Path("schemas/agreements"), "the data-sharing agreements (C5)"),
    Known("state", path, Path(".state"), "data, logs and pids of the local stack and workers"),
    Known("cache", path, None, "downloads; default: postroom in the user's cache directory"),
    Known("secret", secret, None, "the identity key (I4), itself", hidden=True),
    Known("secret_file", path, None, "a file whose bytes are the identity key, readable by its owner only"),
    Known("partitions", number(1, 1024), 4, "partitions of every topic but the pairs'"),
    Known("kafka_port", PORT, 0, "the local Kafka's port, 0: any free one"),
    Known("registry_port", PORT, 0, "the local registry's port, 0: any free one"),
    Known("metrics_host", text, "127.0.0.1", "where a process serves metrics and health"),
    Known("metrics_port", PORT, 0, "the port of that, 0: any free one"),
    Known(
        "batch_records_max",
        number(1, 100_000),
        5000,
        "records of one step at most, and up to four times as many of late input",
    ),
    Known("compiled", one_of("no", "yes"), "no", "yes: workers use what `postroom compiled build` made"),
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
    Known("webhooks", path, Path("webhooks.yaml"), "who receives views by HTTP POST, and where (YAML)"),
    Known("webhook_networks", networks, None, "networks that are not public and may be sent to; none"),
    Known("webhook_ca_file", path, None, "whom we believe about receivers; none: the machine's"),
    Known("pay", path, Path("pay.yaml"), "which services take payments by GOV.UK Pay (YAML)"),
    Known("onelogin", path, Path("onelogin.yaml"), "which services may link One Login accounts (YAML)"),
    *http_door("onelogin", "One Login accounts", 8091, 10_000),
    Known("notify", path, Path("notify.yaml"), "what people are told, by which templates (YAML)"),
    *http_door("pay", "GOV.UK Pay's messages", 8090, 4000),
    Known("drops", path, Path("drops"), "the drops of nightly files, each a directory with a mapping.yaml"),
    Known("postgres", secret, None, "the database of the outbox or the sink (libpq URL)", hidden=True),
    Known(
        "log_format", one_of("auto", "console", "json"), "auto", "auto: words on a terminal, else JSON lines"
    ),
    Known("traces_url", url, None, "a collector's OTLP over HTTP, http://…/v1/traces; none: nobody traces"),
    Known("log_level", one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "what is said: this and worse"),
)
BY_NAME: Mapping[str, Known] = {known.name: known for known in KNOWN}
