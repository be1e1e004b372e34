"""The gateway as its routes see it: every part that answers, under the contracts in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.callers import Access
from connectors.doors import Bodies, Rates
from connectors.gateway.acknowledging import Acknowledging
from connectors.gateway.subscribing import Subscribing
from connectors.publishing import Judge, LastWord, Publishing, Registered
from connectors.tracing import Tell, untold
from schemas import Addressees, Contracts


@dataclass
class Gateway:
    """Everything that the routes use; `waiting_for` names what is not there yet."""

    contracts: Contracts
    access: Access
    rates: Rates
    judge: Judge
    registered: Registered
    publishing: Publishing
    subscribing: Subscribing
    acknowledging: Acknowledging
    now_ms: Callable[[], int]
    waiting_for: Callable[[], list[str]]
    streams: dict[str, int] = field(default_factory=dict)
    bodies: Bodies = field(default_factory=Bodies)
    tell: Tell = untold

    def renew(self, contracts: Contracts, last_word: LastWord, addressees: Addressees | None = None) -> None:
        """Answer by other contracts from now on; what is under way ends as it began."""
        self.contracts = contracts
        self.judge.renew(contracts, last_word, addressees)
