"""The local stack's certificates and passwords: made here, for this machine, readable by their owner only.

Once a state directory has them its Kafka never starts without them again: what was written under access
rules is not opened by forgetting an option.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.kafka_access import SASL_TLS, TLS, KafkaAccess
from connectors.ports import LOOPBACK
from connectors.state_files import private_directory, write_whole
from connectors.trouble import Misused

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

ADMIN = "postroom.admin"
"""Who may everything on the cluster: the one super user beside the broker itself."""
BROKER = "postroom.broker"
PASSWORD_BYTES = 32
VALID_DAYS = 3650
NAME = re.compile(r"[a-z][a-z0-9.-]{0,63}")


@dataclass(frozen=True, slots=True)
class LocalSecurity:
    """The directory that holds them."""

    directory: Path

    @property
    def ca_file(self) -> Path:
        """Who signed the broker's certificate."""
        return self.directory / "ca.pem"

    def make(self) -> None:
        """Make what is missing.

        INVARIANT: the CA's certificate is written last. It says that all the rest is there.
        """
        if self.ca_file.exists():
            return
        private_directory(self.directory)
        key = _new_key()
        certificate = _signed("Postroom local CA", key, None, key)
        write_whole(self._ca_key, _pem_of_key(key))
        for name in (BROKER, ADMIN):
            self._issue(name, key, certificate)
        new_password(password_file(self.directory, ADMIN))
        write_whole(self.ca_file, _pem_of(certificate))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key of a client by that name, made when missing."""
        if not self.key_store(name).exists():
            from cryptography import x509
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            key = load_pem_private_key(self._ca_key.read_bytes(), None)
            self._issue(name, key, x509.load_pem_x509_certificate(self.ca_file.read_bytes()))  # type: ignore[arg-type]
        return self.key_store(name), self.key_store(name)

    def key_store(self, name: str) -> Path:
        """Name the file that holds a private key and its certificate, as Kafka and Python both take it."""
        return self.directory / f"{checked(name)}.pem"

    def knows(self, user: str) -> bool:
        """Whether a password of this user is kept here."""
        return password_file(self.directory, user).exists()

    def password(self, user: str) -> str:
        """Return a user's password; Misused when none is kept here."""
        if not self.knows(user):
            raise Misused(
                "this stack keeps no password of that user",
                where=str(self.directory),
                why=user,
                mend=f"`postroom access credential {user}` makes one; `postroom access list` names the users",
            )
        return password_file(self.directory, user).read_text(encoding="ascii")

    def access(self, bootstrap: str, user: str, password: str | None = None) -> KafkaAccess:
        """How a user reaches the listener for clients."""
        password = password or self.password(user)
        return KafkaAccess(bootstrap, SASL_TLS, username=user, password=password, ca_file=self.ca_file)

    def internal(self, bootstrap: str) -> KafkaAccess:
        """How the administrator reaches the broker's own listener, by certificate: before there are users."""
        store = self.key_store(ADMIN)
        return KafkaAccess(bootstrap, TLS, ca_file=self.ca_file, cert_file=store, key_file=store)

    @property
    def _ca_key(self) -> Path:
        return self.directory / "ca.key"

    def _issue(self, name: str, ca_key: EllipticCurvePrivateKey, ca: Certificate) -> None:
        key = _new_key()
        store = _pem_of_key(key) + _pem_of(_signed(name, key, ca, ca_key))
        write_whole(self.key_store(name), store)


def find_security(state_dir: Path) -> LocalSecurity | None:
    """Return what this state directory's Kafka must be run with, None when it was never secured."""
    found = LocalSecurity(state_dir / "security")
    return found if found.ca_file.exists() else None


def password_file(directory: Path, user: str) -> Path:
    """Name the file of a user's password."""
    return directory / f"{checked(user)}.password"


def new_password(file: Path) -> str:
    """Make a password and write it where only its owner may read it."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    write_whole(file, password.encode())
    return password


def checked(name: str) -> str:
    """Return a name that can be a file's and a certificate's; ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError("a user's name is wanted: small letters, digits, dots and hyphens")
    return name


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _signed(
    name: str,
    key: EllipticCurvePrivateKey,
    ca: Certificate | None,
    ca_key: EllipticCurvePrivateKey,
) -> Certificate:
    """Return a certificate for this machine's loopback; its own signer when `ca` is None."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=0 if ca is None else None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
        .add_extension(_usage(signs=ca is None), True)
    )
    if ca is not None:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(ca_key, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    other = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **other,
    )


def _pem_of(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_of_key(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
