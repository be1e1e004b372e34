"""Which services take payments, and whose events these are: the file of POSTROOM_PAY, read strictly.

GOV.UK Pay knows payers by nothing of ours. A service gives it the payer's identifier with the payment, as
custom metadata or as the payment's reference, and the file says which and of what scheme. Signing secrets
are never in the file: each is in a file that only we may read, two of them while one replaces the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from connectors.settings_file import read_settings, refuse_faults
from connectors.trouble import Trouble
from schemas import Contract
from schemas.written import ShortName, Written, matching

WHAT = "the file of payment services"
EXAMPLE = "docs/examples/pay.yaml"
MEND = f"{EXAMPLE} is one that is right"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SYSTEM = r"^[A-Za-z0-9._-]{1,64}$"
SECRETS_MAX = 3
SECRET_BYTES_MIN = 16
METADATA_KEY_MAX = 30
"""GOV.UK Pay's own bound of a metadata key (docs.payments.service.gov.uk/custom_metadata)."""

Read = Callable[[Path], bytes]
"""Reads a file that only the service may read; Trouble."""


class _Payer(Written):
    scheme: str
    metadata: str | None = Field(None, min_length=1, max_length=METADATA_KEY_MAX)
    reference: bool = False

    @model_validator(mode="after")
    def _one(self) -> _Payer:
        if (self.metadata is not None) == self.reference:
            raise ValueError("give exactly one of metadata, the key, and reference: true")
        return self


class _Service(Written):
    owner: ShortName
    system: Annotated[str, matching(SYSTEM, "letters, digits and . _ -")] = "pay"
    payer: _Payer
    secrets: list[Path] = Field(min_length=1, max_length=SECRETS_MAX)


class _File(Written):
    services: dict[str, _Service] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Service:
    """One service: as whom it publishes, where the payer's identifier stands, and who signs for it."""

    name: str
    owner: str
    system: str
    scheme: str
    metadata: str | None
    """The key of the metadata that holds the identifier; None: the payment's reference does."""
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def source(self) -> str:
        """The source of its events (E1)."""
        return f"urn:gov:{self.owner}:{self.system}"

    @property
    def systems(self) -> frozenset[str]:
        """Its one system: it publishes as that, and as nothing else of its owner's."""
        return frozenset({self.system})


def load_services(path: Path, contract: Contract, read: Read) -> dict[str, Service]:
    """Read the file; Misused says all that is wrong with it under the contract that payments go by."""
    parsed = read_settings(
        path,
        _File,
        WHAT,
        f"POSTROOM_PAY; {EXAMPLE} is one",
        MEND,
        lambda sound: _faults(sound, contract),
    )
    services, faults = {}, []
    for name, each in parsed.services.items():
        secrets, wrong = _secrets(name, each.secrets, path.parent, read)
        faults += wrong
        services[name] = Service(
            name, each.owner, each.system, each.payer.scheme, each.payer.metadata, tuple(secrets)
        )
    refuse_faults(path, WHAT, faults, MEND)
    return services


def files_of(path: Path) -> list[Path]:
    """Return the file and the secrets' files that it names, as far as it can be read at all."""
    try:
        parsed = read_settings(path, _File, WHAT, "")
    except Trouble:
        return [path]
    return [path, *(path.parent / file for each in parsed.services.values() for file in each.secrets)]


def _faults(parsed: _File, contract: Contract) -> Iterator[str]:
    schemes = contract.subject.schemes or {contract.subject.scheme}
    for name, each in parsed.services.items():
        if NAME.fullmatch(name) is None:
            yield f"services.{name}: a name is {NAME.pattern}"
        if each.owner not in contract.owners:
            owners = ", ".join(sorted(contract.owners))
            yield f"services.{name}.owner: {contract.type} is published by {owners}"
        if each.payer.scheme not in schemes:
            yield f"services.{name}.payer.scheme: {contract.type} takes {', '.join(sorted(schemes))}"


def _secrets(name: str, files: list[Path], beside: Path, read: Read) -> tuple[list[str], list[str]]:
    """The secrets, and what is wrong with them; a path is beside the file unless it is absolute."""
    found, faults = [], []
    for number, file in enumerate(files):
        place = f"services.{name}.secrets.{number}"
        try:
            secret = read(beside / file).decode().strip()
        except Trouble as trouble:
            faults.append(f"{place}: {trouble}")
        except UnicodeDecodeError:
            faults.append(f"{place}: it is not UTF-8")
        else:
            found.append(secret)
            if len(secret) < SECRET_BYTES_MIN:
                faults.append(f"{place}: shorter than {SECRET_BYTES_MIN} characters: not a signing secret")
    if len(set(found)) < len(found):
        faults.append(f"services.{name}.secrets: one secret stands twice")
    return found, faults
