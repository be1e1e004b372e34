"""Every document that is made from contracts and agreements, as files; and what differs from files that are
there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.gateway import document as gateway_document
from connectors.kafka_acls import Operation, Resource
from postroom.access import GATEWAY, OWNER, SUBSCRIBER, wanted_acls
from postroom.errors import UserError
from postroom.topics import wanted_topics
from processors import ACKNOWLEDGEMENTS_TOPIC, obligations_topic, view_topic
from processors.disclosure import OBLIGATION, SOURCE, VIEW_RETRACTED, VIEW_UPDATED
from schemas import Agreement, Contracts
from schemas.documents import Topic, Wire, as_yaml, asyncapi_documents, catalogue, data_contracts, flows

SUMS = "SHA256SUMS"
"""Lists every file that was made, as `sha256sum -c` reads it: what it does not list is not ours to remove."""


def made(
    contracts: Contracts,
    agreements: Mapping[str, Agreement],
    partitions: int,
    *,
    shared_directly: bool = False,
) -> dict[str, str]:
    """Return every document by its path."""
    wire = wire_of(contracts, agreements, partitions, shared_directly=shared_directly)
    found = flows(contracts, agreements)
    files = {
        **{name: _as_json(each) for name, each in asyncapi_documents(found, wire).items()},
        "openapi.json": _as_json(gateway_document()),
        **{f"odcs/{name}": as_yaml(each) for name, each in data_contracts(found, wire).items()},
        **{f"catalogue/{name}": text for name, text in catalogue(found, wire).items()},
    }
    return files | {SUMS: "".join(f"{_sum(text)}  {name}\n" for name, text in sorted(files.items()))}


def wire_of(
    contracts: Contracts,
    agreements: Mapping[str, Agreement],
    partitions: int,
    *,
    shared_directly: bool = False,
) -> Wire:
    """Return the topics and permissions of an installation as documents tell them."""
    acls = wanted_acls(contracts, agreements.values(), shared_directly=shared_directly)
    may: dict[tuple[str, str], set[str]] = {}
    for acl in acls:
        if acl.resource is Resource.TOPIC:
            may.setdefault((acl.name, acl.operation), set()).add(acl.user)
    topics = {
        each.name: Topic(
            each.name,
            each.partitions,
            each.config,
            frozenset(may.get((each.name, Operation.WRITE), ())),
            frozenset(may.get((each.name, Operation.READ), ())),
        )
        for each in wanted_topics(contracts, agreements.values(), partitions)
    }
    return Wire(
        topics=topics,
        view_topic=view_topic,
        obligations_topic=obligations_topic,
        acknowledgements_topic=ACKNOWLEDGEMENTS_TOPIC,
        owner_user=lambda name: OWNER + name,
        subscriber_user=lambda name: SUBSCRIBER + name,
        gateway_user=GATEWAY,
        view_updated=VIEW_UPDATED.decode(),
        view_retracted=VIEW_RETRACTED.decode(),
        deletion_due=OBLIGATION.decode(),
        source=SOURCE.decode(),
    )


def differences(wanted: Mapping[str, str], directory: Path) -> Iterator[tuple[str, str]]:
    """Say of each file that is not as it would be made: (path, `missing`, `changed` or `surplus`)."""
    for name, text in sorted(wanted.items()):
        path = directory / name
        if not path.is_file():
            yield name, "missing"
        elif path.read_bytes() != text.encode():
            yield name, "changed"
    for name in sorted(_listed(directory) - wanted.keys()):
        if (directory / name).is_file():
            yield name, "surplus"


def write(wanted: Mapping[str, str], directory: Path) -> list[tuple[str, str]]:
    """Make a directory as wanted and return what was changed; a file that was not made here stays.

    UserError when something cannot be written.
    """
    changes = list(differences(wanted, directory))
    try:
        for name, what in changes:
            path = directory / name
            if what == "surplus":
                path.unlink()
            elif name != SUMS:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(wanted[name].encode())
        # INVARIANT: the list is written last, so that what an interrupted run left behind is made again.
        directory.mkdir(parents=True, exist_ok=True)
        (directory / SUMS).write_bytes(wanted[SUMS].encode())
    except OSError as error:
        raise UserError(
            "the documents cannot be written", where=str(directory), why=error.strerror or str(error)
        ) from error
    return changes


def _listed(directory: Path) -> set[str]:
    """What an earlier run made; a path that leads out of the directory is nobody's."""
    try:
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    names = {line.partition("  ")[2] for line in lines}
    return {name for name in names if name and not Path(name).is_absolute() and ".." not in Path(name).parts}


def _as_json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
