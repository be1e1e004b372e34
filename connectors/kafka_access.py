"""How to reach Kafka, and as whom: one value, handed to every client, so that none is forgotten.

aiokafka and kafka-python take the same settings under the same names; Faust is given them by its shell.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connectors.trouble import Misused

PLAINTEXT, TLS, SASL_PLAINTEXT, SASL_TLS = "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"
PROTOCOLS = (PLAINTEXT, TLS, SASL_PLAINTEXT, SASL_TLS)
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256")
"""PLAIN is missing on purpose: it hands the password itself to whoever answers."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """A cluster's address, how the line is protected, and who we are there. Its repr holds no secret."""

    bootstrap: str
    security: str = PLAINTEXT
    mechanism: str = MECHANISMS[0]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """Whom we believe; None is what the machine trusts."""
    cert_file: Path | None = None
    key_file: Path | None = None
    process: str = "command"
    """Which of our processes asks: its clients are called so in the broker's logs and metrics."""

    def __post_init__(self) -> None:
        if self.security not in PROTOCOLS or self.mechanism not in MECHANISMS:
            raise ValueError(f"{self.security} with {self.mechanism} is not a way to reach Kafka")
        if self.authenticates and not (self.username and self.password):
            raise Misused(
                f"{self.security} needs a user and a password",
                where=self.bootstrap,
                mend="set POSTROOM_KAFKA_USERNAME and POSTROOM_KAFKA_PASSWORD_FILE",
            )

    @property
    def authenticates(self) -> bool:
        """Whether we say who we are by SASL."""
        return self.security in (SASL_PLAINTEXT, SASL_TLS)

    @property
    def encrypted(self) -> bool:
        """Whether the line is TLS."""
        return self.security in (TLS, SASL_TLS)

    @property
    def servers(self) -> list[str]:
        """The addresses, one by one."""
        return self.bootstrap.split(",")

    @property
    def local(self) -> bool:
        """Whether every address is this machine itself, where nobody listens in between."""
        return all(is_loopback(server) for server in self.servers)

    def settings(self) -> dict[str, Any]:
        """What a client of aiokafka or kafka-python must be given, whatever else it is given."""
        return {"bootstrap_servers": self.servers, **self.protection()}

    def protection(self) -> Mapping[str, Any]:
        """The same without the address; a new TLS context each time."""
        found: dict[str, Any] = {"security_protocol": self.security}
        if self.encrypted:
            found["ssl_context"] = self.tls()
        if self.authenticates:
            found["sasl_mechanism"] = self.mechanism
            found["sasl_plain_username"] = self.username
            found["sasl_plain_password"] = self.password
        return found

    def tls(self) -> ssl.SSLContext:
        """A context that checks the broker's certificate and its name; there is no way to switch that off."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file and str(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise _unusable("the CA file of Kafka", self.ca_file, "POSTROOM_KAFKA_CA_FILE", error) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password="")  # no prompt, ever
            except (OSError, ssl.SSLError) as error:
                what = "the client certificate for Kafka, or its key,"
                raise _unusable(what, self.cert_file, "POSTROOM_KAFKA_CERT_FILE", error) from error
        return context

    def to(self, bootstrap: str) -> KafkaAccess:
        """The same identity at another address."""
        return replace(self, bootstrap=bootstrap)

    def of(self, process: str) -> KafkaAccess:
        """The same identity as used by one of our processes."""
        return replace(self, process=process)

    @property
    def client_id(self) -> str:
        """What its clients call themselves, for whoever reads the broker's logs; it permits nothing."""
        return f"postroom-{self.process}"

    @property
    def who(self) -> str:
        """The user, for a person to read."""
        if self.authenticates:
            return str(self.username)
        return "the client certificate's name" if self.cert_file else "nobody (anonymous)"


def is_loopback(server: str) -> bool:
    """Tell whether `host:port` can only be this machine."""
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unusable(what: str, file: Path | None, setting: str, error: OSError) -> Misused:
    why = error.strerror or str(error) or type(error).__name__
    return Misused(f"{what} cannot be used", where=str(file or ""), why=why, mend=f"check {setting}")
