"""A certificate of the secured stack's own CA that has ended, and a broker that is made to present it."""

from __future__ import annotations

import datetime
from pathlib import Path

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.kafka_access import KafkaAccess
from connectors.local_security import ADMIN, LocalSecurity
from connectors.ports import LOOPBACK
from connectors.state_files import read_json
from tests.flow.secured import Secured

KEY_STORE = "listener.name.client.ssl.keystore"


def ended(security: LocalSecurity, name: str, file: Path) -> Path:
    """Key and certificate as the stack's own of that name, but the certificate ended an hour ago."""
    like = x509.load_pem_x509_certificates(security.key_store(name).read_bytes())[0]
    ca_key = serialization.load_pem_private_key((security.directory / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        like.issuer,
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        key.public_key(),
        x509.random_serial_number(),
        now - datetime.timedelta(days=30),
        now - datetime.timedelta(hours=1),
        [each for each in like.extensions if each.oid != x509.SubjectKeyIdentifier.oid],
    )
    made = builder.sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    form, open_ = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, form, open_) + made.public_bytes(pem))
    file.chmod(0o600)
    return file


def internal(own: Secured) -> KafkaAccess:
    """The broker's own listener, where certificates say who is who."""
    ports = read_json(own.settings.state_dir / "stack.json")["kafka"]["ports"]
    return own.security.internal(f"{LOOPBACK}:{ports[2]}")


def present(own: Secured, key_store: Path | None) -> None:
    """Have the clients' listener present another certificate, without a restart; None: its own."""
    store = str(own.security.key_store(ADMIN))
    admin = AdminClient(
        {
            "bootstrap.servers": internal(own).bootstrap,
            "security.protocol": "SSL",
            "ssl.ca.location": str(own.security.ca_file),
            "ssl.certificate.location": store,
            "ssl.key.location": store,
        }
    )
    deed = AlterConfigOpType.DELETE if key_store is None else AlterConfigOpType.SET
    entries = [
        ConfigEntry(f"{KEY_STORE}.{name}", value, incremental_operation=deed)
        for name, value in (("location", str(key_store)), ("type", "PEM"))
    ]
    broker = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=entries)
    for change in admin.incremental_alter_configs([broker]).values():
        change.result(30)
