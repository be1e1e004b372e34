"""What two identifiers are to each other, by all that was stated about the pair (I2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from processors.messages import PairStatement

EdgeOrder = tuple[int, str, str]
"""(time, source, id): the order in which statements, and so edges, come."""


class Supersession(NamedTuple):
    """``old`` was replaced by ``new``; the earliest statement of that direction that counts."""

    time: int
    source: str
    id: str
    old: str
    new: str


class Edge(NamedTuple):
    """A linked pair, ``a`` < ``b``, under the name of the earliest statement that counts."""

    a: str
    b: str
    order: EdgeOrder
    explicit: bool
    supersessions: tuple[Supersession, ...]


class Pair(NamedTuple):
    """A pair judged: an edge, or unlinked, or (all of it annulled) nothing."""

    edge: Edge | None
    unlinked: bool
    contested: bool
    """An unlink was stated, so both sides must tell all they said, not only the earliest."""


def judge(a: str, b: str, said_by_a: Sequence[PairStatement], said_by_b: Sequence[PairStatement]) -> Pair:
    """Judge the pair ``a`` < ``b`` by what each said of the other; what is annulled is no longer among it
    (I2).
    """
    statements = [*said_by_a, *said_by_b]
    if not statements:
        return Pair(None, unlinked=False, contested=False)
    unlinks = [s.time for s in statements if s.kind == "unlink"]
    since = None
    if unlinks:
        # INVARIANT: at equal times unlinked; only a link, never a same-person field, undoes an unlink.
        relinks = [s.time for s in statements if s.kind == "link" and s.time > max(unlinks)]
        if not relinks:
            return Pair(None, unlinked=True, contested=True)
        since = min(relinks)

    def counts(statement: PairStatement) -> bool:
        return statement.kind != "unlink" and (since is None or statement.time >= since)

    counting = [s for s in statements if counts(s)]
    first = min(counting)
    edge = Edge(
        a,
        b,
        (first.time, first.source, first.id),
        explicit=any(s.kind == "link" for s in counting),
        supersessions=(
            *_earliest_supersession(a, b, filter(counts, said_by_a)),
            *_earliest_supersession(b, a, filter(counts, said_by_b)),
        ),
    )
    return Pair(edge, unlinked=False, contested=bool(unlinks))


def _earliest_supersession(old: str, new: str, said: Iterable[PairStatement]) -> tuple[Supersession, ...]:
    """The earliest statement that ``old`` was replaced by ``new``, if there is one."""
    stated = [s for s in said if s.kind == "superseded-by"]
    if not stated:
        return ()
    first = min(stated)
    return (Supersession(first.time, first.source, first.id, old, new),)


def exposed(statements: Sequence[PairStatement], contested: bool) -> tuple[PairStatement, ...]:
    """What one side needs to tell persons of a pair: the hundredth repetition changes nothing (§7).

    Every link and unlink, and the earliest of each other kind; all of it once an unlink is known, because
    then only what came after the link that undid it counts, and that need not be the earliest.
    """
    if contested or any(s.kind == "unlink" for s in statements):
        return tuple(sorted(statements))
    kept = [s for s in statements if s.kind == "link"]
    for kind in ("same-person", "superseded-by"):
        kept.extend(sorted(s for s in statements if s.kind == kind)[:1])
    return tuple(sorted(kept))
