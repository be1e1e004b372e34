"""One event from one request, judged and then written: what a door does that takes one thing at a time."""

from __future__ import annotations

from collections.abc import Callable

from connectors.doors import Problem
from connectors.publishing.judging import Bound, Judge, Judged
from connectors.publishing.ports import LastWord
from connectors.publishing.publishing import Publishing, not_published
from schemas import Contracts


class Submitting:
    """Judges by the contracts in force, which it shows to whoever makes the events."""

    def __init__(
        self, contracts: Contracts, last_word: LastWord, publishing: Publishing, now_ms: Callable[[], int]
    ) -> None:
        self.contracts = contracts
        self._judge = Judge(contracts, last_word)
        self._publishing, self._now_ms = publishing, now_ms

    def renew(self, contracts: Contracts, last_word: LastWord) -> None:
        """Publish under other contracts from now on."""
        self.contracts = contracts
        self._judge.renew(contracts, last_word)

    async def submit(self, line: bytes, bound: Bound) -> str:
        """Publish one CloudEvent in JSON; return `written` or `known`.

        Problem says why it is not: why intake would reject it (E7), or that the broker has not acknowledged.
        """
        verdict = self._judge.judge(line, bound, (), self._now_ms())
        if not isinstance(verdict, Judged):
            raise Problem(verdict.reason)
        published = await self._publishing.publish([verdict])
        # INVARIANT: nothing is answered as taken that is not acknowledged.
        if not published.whole:
            raise not_published(published)
        return published.outcomes[0]
