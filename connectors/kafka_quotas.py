"""How much a user may ask of each broker: what is set, how that differs from what is wanted, making it so.

kafka-python has the messages for it and no method, so this file sends them itself; `PRIVATE` names what it
uses for that, and a test fails when an upgrade changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of

PRIVATE = ("_manager",)
"""Of KafkaAdminClient: `run(send, request)` returns the answer to a request."""

KEYS = ("producer_byte_rate", "consumer_byte_rate", "request_percentage")
"""Bytes a second, and the share of a broker's threads, in percent of one."""
EXACTLY, ANY_NAMED = 0, 2
USER = "user"


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """One difference; `wanted` None takes the bound away."""

    user: str
    key: str
    now: float | None
    wanted: float | None


class Quotas:
    """A cluster's quotas of users; `ours` tells the users that we answer for."""

    def __init__(self, access: KafkaAccess, ours: Callable[[str], bool]) -> None:
        self.access, self._ours = access, ours

    def plan(self, wanted: Mapping[str, Mapping[str, float]]) -> list[QuotaChange]:
        """Compare what is wanted with what is set."""
        now = self._found()
        return [
            QuotaChange(user, key, was, will)
            for user in sorted(now.keys() | wanted.keys())
            for key in KEYS
            for was in [now.get(user, {}).get(key)]
            for will in [wanted.get(user, {}).get(key)]
            if was != will
        ]

    def apply(self, changes: Sequence[QuotaChange]) -> None:
        """Make the changes of a plan."""
        from kafka.protocol.admin import AlterClientQuotasRequest as Request

        by_user: dict[str, list[Any]] = {}
        for change in changes:
            operation = Request.EntryData.OpData(
                key=change.key, value=change.wanted or 0.0, remove=change.wanted is None
            )
            by_user.setdefault(change.user, []).append(operation)
        entries = [
            Request.EntryData(
                entity=[Request.EntryData.EntityData(entity_type=USER, entity_name=user)], ops=operations
            )
            for user, operations in by_user.items()
        ]
        if entries:
            self._send(Request(entries=entries, validate_only=False))

    def _found(self) -> dict[str, dict[str, float]]:
        from kafka.protocol.admin import DescribeClientQuotasRequest as Request

        component = Request.ComponentData(entity_type=USER, match_type=ANY_NAMED, match=None)
        answer = self._send(Request(components=[component], strict=True))
        return {
            user: {value.key: value.value for value in entry.values}
            for entry in answer.entries or ()
            for user in [next(part.entity_name for part in entry.entity)]
            if user is not None and self._ours(user)
        }

    def _send(self, request: Any) -> Any:
        from kafka.errors import for_code

        with admin_of(self.access, "quotas") as admin:
            answer = admin._manager.run(admin._manager.send, request)
            for part in (answer, *(answer.entries or ())):
                if code := getattr(part, "error_code", 0):
                    raise for_code(code)(part.error_message)
        return answer
