"""A schema registry, through its Confluent-compatible API."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from connectors.private_line import is_this_machine
from connectors.registry_users import Token, no_token
from connectors.trouble import Trouble, Unreachable

if TYPE_CHECKING:
    import httpx

    from connectors.stack import Stack

API = "/apis/ccompat/v7"
FULL_TRANSITIVE = "FULL_TRANSITIVE"
NORMALISED = "?normalize=true"
"""The same schema in another order of keys, or formatting, is the same schema."""
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
NOT_FOUND, CONFLICT, UNPROCESSABLE = 404, 409, 422
FORBIDDEN = (401, 403)
MAY_NOT = "name a token that may write there with POSTROOM_REGISTRY_TOKEN_FILE; only the gate registers"
BUSY = (408, 429)
"""Refusals that ask to come again."""
ATTEMPT_PAUSES_S = (0.0, 0.02, 0.1, 0.4, 0.8)
"""Before each attempt. What collides or is not ready is asked again so many times: then it is said."""
MESSAGE_CHARACTERS_MAX = 500


class Registry:
    """One registry; every call answers within its time-out or raises `Unreachable`."""

    def __init__(self, url: str, timeout_s: float = 10.0, token: Token = no_token) -> None:
        import httpx

        base = url.rstrip("/")
        self.url = base if base.endswith(API) else base + API
        self._token = token
        self._client = httpx.Client(
            timeout=timeout_s,
            headers={"content-type": CONTENT_TYPE},
            trust_env=not is_this_machine(base),  # no proxy to ourselves
        )

    def ping(self) -> None:
        """Raise `Unreachable` unless the registry answers."""
        self._ask("GET", "/subjects")

    def clock_ms(self) -> int | None:
        """What the registry's clock said, to the second, UTC; None if it does not tell."""
        date = self._once("GET", "/subjects", None).headers.get("date")
        return None if date is None else int(parsedate_to_datetime(date).timestamp() * 1000)

    def held_to(self, subject: str) -> str:
        """The compatibility that a subject is held to; empty if it has no rule of its own."""
        status, answer = self._ask("GET", f"/config/{subject}", allowed=(NOT_FOUND,))
        return "" if status == NOT_FOUND else str(answer.get("compatibilityLevel", ""))

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Register a schema under FULL_TRANSITIVE and return its id; the same schema again has the same id.

        Any number of workers may do so at once: who comes second finds what the first has made.
        Raises Trouble when it is not compatible with every earlier version (E6, V1).
        """
        self._hold_to_the_rule(subject)  # INVARIANT: first, so that nothing is ever registered without it
        path = f"/subjects/{subject}/versions{NORMALISED}"
        for pause_s in ATTEMPT_PAUSES_S:
            _pause(pause_s)
            known = self.find(subject, schema)
            if known is not None:
                return known
            status, answer = self._ask("POST", path, _body(schema), allowed=(CONFLICT, UNPROCESSABLE))
            if status == UNPROCESSABLE:
                break
            if status != CONFLICT:
                return int(answer["id"])
            # Either it is incompatible, or another worker was making the subject: looking again tells.
        raise Trouble(
            "the registry refuses a schema",
            where=subject,
            why=_message(answer) or "not compatible with an earlier version",
            mend="every earlier version must read it and be read by it; else make a new version, v<N+1>",
        )

    def _hold_to_the_rule(self, subject: str) -> None:
        """Put a subject, made already or not, under FULL_TRANSITIVE; return when the registry says it is."""
        path = f"/config/{subject}"
        answer: Any = None
        for pause_s in ATTEMPT_PAUSES_S:
            _pause(pause_s)
            status, answer = self._ask("GET", path, allowed=(NOT_FOUND,))
            if status != NOT_FOUND and answer.get("compatibilityLevel") == FULL_TRANSITIVE:
                return
            # A conflict: another is setting the rule. Which one it set is read, not assumed.
            status, answer = self._ask("PUT", path, {"compatibility": FULL_TRANSITIVE}, allowed=(CONFLICT,))
        raise Trouble(
            "the registry does not hold a subject to FULL_TRANSITIVE",
            where=subject,
            why=_message(answer) or "it took the rule and does not keep it",
            mend="see who else sets the compatibility of this subject, and whether this client may",
        )

    def find(self, subject: str, schema: Mapping[str, Any]) -> int | None:
        """Return the id under which the subject has this very schema, or None."""
        path = f"/subjects/{subject}{NORMALISED}"
        status, answer = self._ask("POST", path, _body(schema), allowed=(NOT_FOUND,))
        return None if status == NOT_FOUND else int(answer["id"])

    def schema_by_id(self, schema_id: int) -> dict[str, Any] | None:
        """Return a schema as parsed JSON, or None when the registry has no such id."""
        status, answer = self._ask("GET", f"/schemas/ids/{schema_id}", allowed=(NOT_FOUND,))
        if status == NOT_FOUND:
            return None
        schema: dict[str, Any] = json.loads(answer["schema"])
        return schema

    def versions(self, subject: str) -> list[dict[str, Any]]:
        """Return every registered version of a subject, the earliest first."""
        status, numbers = self._ask("GET", f"/subjects/{subject}/versions", allowed=(NOT_FOUND,))
        if status == NOT_FOUND:
            return []
        answers = (self._ask("GET", f"/subjects/{subject}/versions/{number}")[1] for number in numbers)
        return [json.loads(answer["schema"]) for answer in answers]

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, allowed: tuple[int, ...] = ()
    ) -> tuple[int, Any]:
        """Ask, and return the status with the body: success, or one of the refusals that the caller expects.

        Asking again does no harm, whatever is asked: the same schema has the same id, the same rule is one.
        """
        content = None if body is None else json.dumps(body)
        for pause_s in ATTEMPT_PAUSES_S:
            _pause(pause_s)
            answer = self._once(method, path, content)
            status = answer.status_code
            if answer.is_success or status in allowed:
                return status, self._read(answer, f"{method} {path}")
            if not (answer.is_server_error or status in BUSY):
                break  # else it is starting, or has too much to do
        why = f"it answered {status} to {method} {path}"
        if answer.is_client_error and status not in BUSY:
            raise Trouble(
                "the schema registry refuses a request",
                where=self.url,
                why=f"{why}: {said}" if (said := _said(answer)) else why,
                mend=MAY_NOT if status in FORBIDDEN else "check POSTROOM_REGISTRY",
            )
        raise self._unreachable(why)

    def _once(self, method: str, path: str, content: str | None) -> httpx.Response:
        import httpx

        token = self._token()
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        try:
            return self._client.request(method, self.url + path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error

    def _read(self, answer: httpx.Response, asked: str) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise self._unreachable(f"what answers {asked} is not a registry") from error

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            "the schema registry is unreachable",
            where=self.url,
            why=why,
            mend="`postroom status` says what runs; check POSTROOM_REGISTRY",
        )


def registry_of(stack: Stack) -> Registry:
    """Return the registry of a stack, as whoever its settings say we are."""
    return Registry(stack.registry, token=stack.registry_token)


def _pause(seconds: float) -> None:
    """Wait about so long: workers that collided once should not meet again."""
    time.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311 - chance is enough to part them


def _said(answer: httpx.Response) -> str:
    """The registry's own words about a refusal, if it has some."""
    try:
        return _message(answer.json())
    except ValueError:
        return ""


def _message(answer: Any) -> str:
    return str(answer.get("message", ""))[:MESSAGE_CHARACTERS_MAX] if isinstance(answer, dict) else ""


def _body(schema: Mapping[str, Any]) -> dict[str, str]:
    return {"schema": json.dumps(schema, separators=(",", ":"))}
