"""What persons keeps: an identifier's node, and the pages of the neighbours of one that has too many (I3).

A placeholder number may have hundreds of thousands of neighbours. What it says itself lies in its node; who
is linked to it lies in its node only while it is no hub, else in pages under keys of their own, which are
read one at a time. Pages split and merge one by one as their number grows and shrinks (linear hashing,
Litwin 1980), so adding a neighbour costs the same whether there are a hundred or a million, and where a
neighbour lies depends on nothing but their number.
"""

from __future__ import annotations

from collections import Counter
from zlib import crc32

import msgspec

from processors.messages import Cause, Message, PairStatement, Value
from processors.outcomes import Dispute
from processors.stage import NOTHING, Tally

DISPUTED = "disputed"
"""What is tallied of the graph: pairs whose edge joins nothing, by reason (I3)."""


class Answer(Value, frozen=True):
    """What an identifier was last told; the same answer is not sent twice."""

    person: str
    members: tuple[str, ...]
    superseded: tuple[str, ...] = ()
    restricted: bool = False
    contested: tuple[str, ...] = ()
    """The other ends of pairs that it spoke of and that an unlink was stated about."""
    disputes: tuple[tuple[str, str], ...] = ()
    """Of yesterday; nobody is told of them any more (adr/0013)."""


class Spread(Value, frozen=True):
    """A change of protection that not all neighbours have been told of: the first page left, and why."""

    page: int
    cause: Cause


class Node(Message):
    """One identifier of the graph: what it says of its pairs, its edges, what it was told.

    ``implicit`` holds the edges that are not explicit, each with whether its other end is protected; those of
    a hub lie in ``pages`` pages, or none do. ``edges`` and ``protected`` count them, wherever they lie.
    """

    identifier: str
    said: dict[str, tuple[PairStatement, ...]] = {}
    spoken_of_by: dict[str, bool] = {}
    """Of yesterday: the other ends that said something of it; empty once :attr:`counted`."""
    restricted: bool = False
    hub: bool = False
    answered: int = 0
    told: Answer | None = None
    counted: bool = False
    """Whether what follows is known; false for the bytes of yesterday."""
    explicit: dict[str, bool] = {}
    implicit: dict[str, bool] = {}
    edges: int = 0
    protected: int = 0
    pages: int = 0
    contested: dict[str, bool] = {}
    """Those of whom it said something, where an unlink was stated by either."""
    disputed: dict[str, str] = {}
    """Its disputes with greater identifiers, but for those of hubs, which follow from the edges."""
    spreading: Spread | None = None

    def tally(self) -> Tally:
        """Count its disputes with greater identifiers, by reason, and as a hub all edges that are cut at it.

        An edge between two hubs is cut at both and counts at both: neither knows what the other is.
        """
        if not self.counted:
            disputes = () if self.told is None else self.told.disputes
            return Counter(f"{DISPUTED}/{reason}" for other, reason in disputes if self.identifier < other)
        if not self.disputed and not self.hub:
            return NOTHING
        found = Counter(f"{DISPUTED}/{reason}" for reason in self.disputed.values())
        if self.hub:
            found[f"{DISPUTED}/{Dispute.HUB}"] = self.edges
        return found


class Page(Message):
    """Some of the edges of a hub: the other ends, each with whether it is protected."""

    implicit: dict[str, bool] = {}


read_node = msgspec.msgpack.Decoder(Node).decode
"""Decode a node as the stage keeps it, for whoever shows it."""

read_page = msgspec.msgpack.Decoder(Page).decode

read_dispute = msgspec.msgpack.Decoder(tuple[str, str, str]).decode
"""Decode a dispute: the smaller identifier, the other, the reason."""

_MARK = b"#"


def page_key(identifier: str, number: int) -> bytes:
    """Return the key of a page; no scheme begins like it, so that it is no identifier's (I1)."""
    return _MARK + f"{number:x} {identifier}".encode()


def is_page(key: bytes) -> bool:
    """Whether a key of the stage's states is a page's, not an identifier's."""
    return key.startswith(_MARK)


def page_of(other: str, pages: int) -> int:
    """Return the page, of so many, in which a neighbour lies."""
    fingerprint, span = crc32(other.encode()), 1 << (pages - 1).bit_length()
    place = fingerprint % span
    return place if place < pages else place - span // 2


def parent_of(page: int) -> int:
    """Return the page that this one was split from, and is merged into."""
    return page - (1 << (page.bit_length() - 1))


def pages_for(edges: int, size: int) -> int:
    """Return how many pages hold so many neighbours, ``size`` in each on average."""
    return -(-edges // size)
