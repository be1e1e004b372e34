"""What the stages decide by: contracts, agreements, keys and limits, as one immutable value (DESIGN §7)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache

from schemas import DEATH, EARLIEST_MS, EVENT_BYTES_MAX, FUTURE_MS_MAX, Agreement, Attribute, Contracts

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that the design fixes; tests scale them down so that every rule is hit."""

    hub_edges: int = 64
    """I3: an identifier with more edges that are not explicit is a hub."""
    component_edges: int = 4_096
    """I3: a component with more edges is overgrown."""
    person_identifiers: int = 32
    """I3: no person has more identifiers."""
    page_edges: int = 64
    """How many edges of a hub lie under one key on average; each one that comes or goes writes that many."""
    told_a_step: int = 256
    """How many neighbours of a hub a step tells of its protection (C3); V7 bounds its time."""
    register_depth: int = 64
    """R2: how many effective assertions a register keeps, at most."""
    register_bytes: int = 64 << 10
    """R2: how many bytes their values have together, at most; the greatest is kept whatever its size."""
    fragment_bytes: int = 384 << 10
    """R8: the state of one identifier; what an event grants beyond it is not taken in."""
    fragment_bytes_max: int = 512 << 10
    """R8: what takes away is taken in up to here; beyond, the fragment is closed."""
    value_bytes: int = EVENT_BYTES_MAX
    """E7: the largest event."""
    attributes_bytes: int = 16 << 10
    """E7: the most that names an event; its name lies in states and in the log of each disclosure."""
    earliest_ms: int = EARLIEST_MS
    """E7: an earlier `time` is `time-too-old`."""
    future_ms: int = FUTURE_MS_MAX
    """E7: how far `time` may lie after the broker's timestamp."""
    consent_grace_ms: int = 5 * MINUTE_MS
    """C1: how much earlier a withdrawal from another source may be and still win."""


_FINGERPRINT_ROUNDS = 600_000
"""Some tenths of a second, once a start; `installation.SCHEME` names it in the record."""


@dataclass(frozen=True)
class Keys:
    """The keyed hashes of I4, C8, V3 and V5, all derived from one secret; raw bytes throughout."""

    secret: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """Return HMAC-SHA256(secret, purpose): one key a purpose (C8)."""
        return hmac.digest(self.secret, purpose.encode(), hashlib.sha256)

    @cached_property
    def identity(self) -> bytes:
        """The key of person ids (I4)."""
        return self.derive("identity")

    @cached_property
    def cause(self) -> bytes:
        """The key of `postroom_cause` (V3)."""
        return self.derive("cause")

    @cached_property
    def commitment(self) -> bytes:
        """The key of the salts of the disclosure log's commitments (V5)."""
        return self.derive("commitment")

    def fingerprint(self, salt: bytes) -> str:
        """Tell two secrets apart: 128 bits in hex, of a key of its own, which nothing else is made with.

        It is published, so it is slow and salted (NIST SP 800-132): of a random secret of 32 bytes nobody
        finds anything, and whoever tries words for a weak one pays for each, and for each installation anew.
        """
        made = hashlib.pbkdf2_hmac("sha256", self.derive("fingerprint"), salt, _FINGERPRINT_ROUNDS, 16)
        return made.hex()

    def person_id(self, anchor: str) -> str:
        """Name the person whose anchor is ``anchor`` (I4)."""
        return "p-" + keyed_hex(self.identity, anchor)

    def pairwise(self, agreement: Agreement) -> bytes:
        """Return the key of an agreement's pairwise subjects: shared within a group, else its own (C8)."""
        if agreement.pairwise_group is not None:
            return self.derive(f"pairwise:{agreement.subscriber}:group:{agreement.pairwise_group}")
        return self.derive(f"pairwise:{agreement.subscriber}:agreement:{agreement.agreement}")


def keyed_hex(key: bytes, text: str) -> str:
    """Return the first 32 hex digits of HMAC-SHA256(key, text)."""
    return keyed(key, text).hex()[:32]


def keyed(key: bytes, text: str) -> bytes:
    """Return HMAC-SHA256(key, text), in a third of the time that `hmac.digest` takes for a short text.

    A view costs two of them, and the keys are few: what RFC 2104 hashes before the text is hashed once.
    """
    begun_inside, begun_outside = _begun(key)
    inside, outside = begun_inside.copy(), begun_outside.copy()
    inside.update(text.encode())
    outside.update(inside.digest())
    return outside.digest()


_BLOCK_BYTES = 64
_INSIDE, _OUTSIDE = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


@lru_cache(maxsize=1024)
def _begun(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """SHA-256 begun with a key's two paddings (RFC 2104)."""
    block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(block.translate(_INSIDE)), hashlib.sha256(block.translate(_OUTSIDE))


@dataclass(frozen=True)
class Rules:
    """The rules in force, handed to every stage; two equal sets of rules decide alike."""

    contracts: Contracts
    agreements: Mapping[str, Agreement]
    keys: Keys
    limits: Limits = Limits()
    view_schema_ids: Mapping[str, int] = field(default_factory=dict)
    """The registry's id of each agreement's view schema (V1); 0 where there is no registry."""

    @cached_property
    def pairwise_keys(self) -> dict[str, bytes]:
        """The pairwise key of each agreement, derived once (C8)."""
        return {name: self.keys.pairwise(agreement) for name, agreement in self.agreements.items()}

    @cached_property
    def version(self) -> str:
        """A digest of the agreements and of what they rest on; when it changes, everyone is swept (V9).

        Every process that reads the same files finds the same. What no view rests on is not in it: a contract
        that is merely added makes nobody be looked at again.
        """
        resting = [_rests_on(self.contracts.attributes[name]) for name in self._attributes_in_use()]
        plain = ", ".join(_plain(self.agreements[name]) for name in sorted(self.agreements))
        return hashlib.sha256(f"[[{plain}], {_json(resting)}]".encode()).hexdigest()[:16]

    def _attributes_in_use(self) -> list[str]:
        """The attributes that some agreement shows, or asks to decide by (C5, C6)."""
        agreements = self.agreements.values()
        names = {grant.attribute for agreement in agreements for grant in agreement.attributes}
        names |= {a.scope_attribute for a in agreements if a.scope_attribute is not None} | {DEATH}
        return sorted(names & self.contracts.attributes.keys())


@lru_cache(maxsize=1024)
def _plain(agreement: Agreement) -> str:
    """An agreement as JSON, without the name of its file; made once, for new rules keep most agreements."""
    plain = asdict(agreement) | {"scope": [type(agreement.scope).__name__, asdict(agreement.scope)]}
    del plain["file"]
    return _json(plain)


def _json(plain: object) -> str:
    return json.dumps(plain, sort_keys=True, default=sorted)  # a set has no order of its own


def _rests_on(attribute: Attribute) -> list[object]:
    """What of an attribute decides whether, and which of its values, is shown (R5, C1, C7)."""
    stated = attribute.avro_type is not None
    return [
        attribute.name,
        attribute.category,
        attribute.sensitivity,
        attribute.items,
        attribute.trust,
        stated,
    ]
