"""What the gateway answers when it does not do what was asked: problem details (RFC 9457).

One table says every kind of problem with its status and title. A problem names places and expectations,
never a value of the event, and never more than the caller may know: what does not exist and what is
another's look the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas import Rejection

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:postroom:problem:"


class Kind(NamedTuple):
    """One kind of problem."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    # Intake's reasons (E7), in its order.
    Rejection.OVERSIZED: Kind(413, "The event is larger than 1 MiB."),
    Rejection.UNDECODABLE: Kind(400, "This is not a CloudEvent 1.0."),
    Rejection.NULL_VALUE: Kind(422, "The event has no data."),
    Rejection.UNKNOWN_TYPE: Kind(422, "There is no contract of this type."),
    Rejection.NOT_THE_OWNER: Kind(403, "This client may not publish this event."),
    Rejection.CONTRACT_MISMATCH: Kind(422, "The data is not what the contract says."),
    Rejection.IDENTIFIER_INVALID: Kind(422, "An identifier is not valid."),
    Rejection.TIME_TOO_OLD: Kind(422, "The event's time is before the year 2000."),
    Rejection.TIME_IN_FUTURE: Kind(422, "The event's time is more than 5 minutes ahead."),
    # The door's own.
    "invalid-request": Kind(400, "The request is not one that the gateway knows."),
    "invalid-cursor": Kind(400, "The cursor is not one that was given out for this."),
    "unauthenticated": Kind(401, "No valid credentials were given."),
    "insufficient-scope": Kind(403, "The credentials do not allow this."),
    "not-found": Kind(404, "There is nothing here for this client."),
    "method-not-allowed": Kind(405, "This resource does not take that method."),
    "too-slow": Kind(408, "The request came too slowly."),
    "different-content": Kind(409, "Another event with this source and id was published."),
    "retracted": Kind(410, "The view was retracted."),
    "cursor-expired": Kind(410, "The cursor is too old to be resumed."),
    "too-large": Kind(413, "The request is too large."),
    "unsupported-media-type": Kind(415, "The gateway does not take this content type."),
    "too-many-requests": Kind(429, "The client asks more often than it may."),
    "busy": Kind(429, "The gateway has taken as much as it can hold."),
    "not-delivered": Kind(503, "The broker has not acknowledged the event."),
    "unavailable": Kind(503, "What the answer needs is not available now."),
    "defect": Kind(500, "A defect of Postroom."),
}
"""Every kind, by the name that ends its type URI."""


class Problem(Exception):  # noqa: N818 - it is the answer, in the words of RFC 9457
    """Ends a request. ``why`` goes to the audit line where it may say more than the answer does."""

    def __init__(
        self,
        name: str,
        detail: str = "",
        *,
        problems: Sequence[Mapping[str, str]] = (),
        retry_after_s: float | None = None,
        why: str = "",
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name)
        self.name = str(name)
        self.kind = KINDS[name]
        self.detail = detail
        self.problems = problems
        self.retry_after_s = retry_after_s
        self.why = why or self.name
        self.more = dict(more or {})
        self.own_headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the document."""
        said: dict[str, Any] = {
            "type": TYPE_PREFIX + self.name,
            "title": self.kind.title,
            "status": self.kind.status,
        }
        if self.detail:
            said["detail"] = self.detail
        if self.problems:
            said["problems"] = [dict(problem) for problem in self.problems]
        return said | self.more

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer; whole seconds for Retry-After, never zero."""
        headers = {"cache-control": "no-store", **self.own_headers}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        return headers
