"""What several commands are given alike: a moment, a file of events, a way to publish."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from postroom.console import counted
from postroom.errors import Exit, UserError

if TYPE_CHECKING:
    from connectors import Stack
    from connectors.registry import Registry
    from producers import Publisher
    from schemas import Addressees, Contracts, Schemes


def moment(at: str) -> int:
    """Parse `--at` to UTC ms; UserError says how to write it."""
    from schemas import parse_instant

    try:
        return parse_instant(at)
    except ValueError as error:
        raise UserError(
            "--at is not a moment", why=str(error), mend="write it as 2026-06-01T12:00:00Z"
        ) from error


def require_identifier(schemes: Schemes, identifier: str) -> None:
    """Refuse what is not an identifier in canonical form (I1); UserError says how one is written."""
    from schemas import IdentifierInvalid

    try:
        schemes.parse(identifier)
    except IdentifierInvalid as invalid:
        raise UserError(
            "that is not a canonical identifier",
            why=str(invalid),
            mend=f"write it as nino:AB123456C; the schemes are {', '.join(sorted(schemes.names))}",
        ) from invalid


def opened(file: Path | str) -> IO[bytes]:
    """Open a file of events, `-` being stdin; UserError says why that failed."""
    if str(file) == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError("the file cannot be read", where=str(file), why=why) from error


def contracts_at(directory: Path) -> Contracts:
    """The contracts of a directory; UserError names the first problem and how to see the others."""
    from schemas import ContractProblems, load_contracts

    if not directory.is_dir():
        raise UserError(
            "there is no contracts directory",
            where=str(directory.absolute()),
            mend="go to the directory that it lies in, or name it with POSTROOM_CONTRACTS",
        )
    try:
        return load_contracts(directory)
    except ContractProblems as problems:
        first, count = problems.problems[0], len(problems.problems)
        raise UserError(
            "the contracts are not in order",
            where=f"{directory}, {counted(count, 'problem')}",
            why=f"{first.file}: {first.field}: {first.reason}"
            if first.field
            else f"{first.file}: {first.reason}",
            mend="`postroom contract check` names each of them; POSTROOM_CONTRACTS is the directory",
        ) from problems


def addressees_at(directory: Path, contracts: Contracts) -> Addressees | None:
    """Whom statements may name, by the agreements of a directory; None, and a word why, where there are none
    that can be used: a department may have contracts only.
    """
    from postroom.console import say
    from schemas import Addressees, AgreementProblems, load_agreements

    if not directory.is_dir():
        return None
    try:
        return Addressees(load_agreements(directory, contracts), contracts)
    except AgreementProblems:
        say("agreements are not in order, so nobody looks whom consents name; `postroom agreement check`")
        return None


@contextmanager
def publishing(
    stack: Stack,
    registry: Registry,
    contracts: Contracts,
    mend: str,
    addressees: Addressees | None = None,
) -> Iterator[Publisher]:
    """Hold a publisher as a department would; an unreachable broker ends it as a UserError with exit 3."""
    with producing(stack, mend) as producer:
        yield publisher_on(producer, stack, registry, contracts, addressees=addressees)


@contextmanager
def producing(stack: Stack, mend: str) -> Iterator[Any]:
    """Hold what publishers publish with; an unreachable broker ends it as a UserError with exit 3."""
    from connectors.kafka_line import check_line
    from producers import BrokerUnreachable, connect, disconnect

    check_line(stack.access)
    try:
        producer = connect(stack.kafka, **stack.access.protection())
        try:
            yield producer
        finally:
            disconnect(producer)
    except BrokerUnreachable as error:
        raise UserError(
            "Kafka is unreachable", where=error.where, why=error.why, mend=mend, code=Exit.UNREACHABLE
        ) from error


def publisher_on(
    producer: Any,
    stack: Stack,
    registry: Registry,
    contracts: Contracts,
    speaks_for: str | None = None,
    addressees: Addressees | None = None,
) -> Publisher:
    """Make a publisher under these contracts; it asks the registry and Kafka once for each of them."""
    from producers import Publisher

    return Publisher(
        producer,
        contracts,
        lambda contract: registry.find(f"{contract.type}-value", contract.schema),
        now_ms=lambda: time.time_ns() // 1_000_000,
        where=stack.kafka,
        speaks_for=speaks_for,
        addressees=addressees,
    )
