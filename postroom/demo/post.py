"""The demo's departments at their desk: one publisher, for events that must all go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors import Stack
from connectors.registry import Registry
from postroom.errors import Exit, UserError
from postroom.inputs import publishing
from producers import Event, Line, Published, Publisher, to_lines
from schemas import Contracts


def now_ms() -> int:
    """Tell the time of this machine, UTC."""
    return time.time_ns() // 1_000_000


class Post:
    """Publishes events over the wire, as `postroom publish` does."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, events: Sequence[Event]) -> None:
        """Publish all events, or UserError for the first that did not go."""
        lines = [Line(number, line, len(line)) for number, line in enumerate(to_lines(events), start=1)]
        for result in self._publisher.publish(lines):
            if not isinstance(result, Published):
                refused = result.refused
                raise UserError(
                    f"an event of the demo was refused: {refused.reason.value}",
                    where=refused.type or "",
                    why=refused.why,
                    mend=refused.mend,
                    code=Exit.FOUND,
                )


@contextmanager
def posted(stack: Stack, registry: Registry, contracts: Contracts) -> Iterator[Post]:
    """Open the post; an unreachable broker ends it as a UserError with exit 3."""
    with publishing(stack, registry, contracts, mend="`postroom status` says what runs") as publisher:
        yield Post(publisher)
