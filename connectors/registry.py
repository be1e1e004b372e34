"""A schema registry, through its Confluent-compatible API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.trouble import Trouble, Unreachable

API = "/apis/ccompat/v7"
FULL_TRANSITIVE = "FULL_TRANSITIVE"
NORMALISED = "?normalize=true"
"""The same schema in another order of keys, or formatting, is the same schema."""
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
NOT_FOUND, CONFLICT, UNPROCESSABLE = 404, 409, 422
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


class Registry:
    """One registry; every call answers within its time-out or raises `Unreachable`."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        import httpx

        base = url.rstrip("/")
        self.url = base if base.endswith(API) else base + API
        self._client = httpx.Client(
            timeout=timeout_s,
            headers={"content-type": CONTENT_TYPE},
            trust_env=not base.startswith(LOOPBACK),  # no proxy to ourselves
        )

    def ping(self) -> None:
        """Raise `Unreachable` unless the registry answers."""
        self._ask("GET", "/subjects")

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Register a schema under FULL_TRANSITIVE and return its id; the same schema again has the same id.

        Raises Trouble when it is not compatible with every earlier version (E6, V1).
        """
        known = self.find(subject, schema)
        if known is not None:
            return known
        self._ask("PUT", f"/config/{subject}", {"compatibility": FULL_TRANSITIVE})
        answer = self._ask(
            "POST",
            f"/subjects/{subject}/versions{NORMALISED}",
            _body(schema),
            allowed=(CONFLICT, UNPROCESSABLE),
        )
        if "id" not in answer:
            raise Trouble(
                "the registry refuses a schema",
                where=subject,
                why=str(answer.get("message", "not compatible with an earlier version")),
                mend="every earlier version must read it and be read by it; else make a new version, v<N+1>",
            )
        return int(answer["id"])

    def find(self, subject: str, schema: Mapping[str, Any]) -> int | None:
        """Return the id under which the subject has this very schema, or None."""
        answer = self._ask("POST", f"/subjects/{subject}{NORMALISED}", _body(schema), allowed=(NOT_FOUND,))
        return int(answer["id"]) if "id" in answer else None

    def schema_by_id(self, schema_id: int) -> dict[str, Any] | None:
        """Return a schema as parsed JSON, or None when the registry has no such id."""
        answer = self._ask("GET", f"/schemas/ids/{schema_id}", allowed=(NOT_FOUND,))
        if "schema" not in answer:
            return None
        schema: dict[str, Any] = json.loads(answer["schema"])
        return schema

    def versions(self, subject: str) -> list[dict[str, Any]]:
        """Return every registered version of a subject, the earliest first."""
        numbers = self._ask("GET", f"/subjects/{subject}/versions", allowed=(NOT_FOUND,))
        if not isinstance(numbers, list):
            return []
        answers = (self._ask("GET", f"/subjects/{subject}/versions/{number}") for number in numbers)
        return [json.loads(answer["schema"]) for answer in answers]

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, allowed: tuple[int, ...] = ()
    ) -> Any:
        import httpx

        try:
            answer = self._client.request(
                method, self.url + path, content=None if body is None else json.dumps(body)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        if answer.is_success or answer.status_code in allowed:
            try:
                return answer.json()
            except ValueError as error:
                raise self._unreachable(f"what answers {method} {path} is not a registry") from error
        raise self._unreachable(f"it answered {answer.status_code} to {method} {path}")

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            "the schema registry is unreachable",
            where=self.url,
            why=why,
            mend="`postroom status` says what runs; check POSTROOM_REGISTRY",
        )


def _body(schema: Mapping[str, Any]) -> dict[str, str]:
    return {"schema": json.dumps(schema, separators=(",", ":"))}
