"""Does it answer? Short questions to a Kafka cluster and to a schema registry."""

from __future__ import annotations

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import CONNECT_WITHIN_MS, admin_of
from connectors.private_line import is_this_machine
from connectors.trouble import Trouble, Unreachable


def kafka_problem(access: KafkaAccess, timeout_ms: int = 5000) -> str | None:
    """Ask the cluster for its brokers; return why that failed, None when at least one is there."""
    try:
        return _ask(access, timeout_ms)
    except Trouble as trouble:
        return f"{trouble}; {trouble.mend}" if trouble.mend else str(trouble)
    except ValueError as error:
        return str(error)


def registry_problem(url: str, timeout_seconds: float = 5.0) -> str | None:
    """List the subjects through the Confluent-compatible API; return why that failed, None when it works."""
    import httpx

    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/apis/ccompat/v7/subjects",
            timeout=timeout_seconds,
            trust_env=not is_this_machine(url),  # no proxy to ourselves
        )
        return None if answer.is_success else f"it answered {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__


def require(access: KafkaAccess, registry: str) -> None:
    """Raise `Unreachable` unless both answer."""
    problem = _ask(access, CONNECT_WITHIN_MS)
    if problem:
        raise Unreachable(
            "Kafka is unreachable",
            where=access.bootstrap,
            why=problem,
            mend="check POSTROOM_KAFKA and the network; without POSTROOM_KAFKA and POSTROOM_REGISTRY, "
            "`postroom up` starts a local one",
        )
    if problem := registry_problem(registry):
        raise Unreachable(
            "the schema registry is unreachable",
            where=registry,
            why=problem,
            mend="check POSTROOM_REGISTRY and the network (it must offer /apis/ccompat/v7)",
        )


def _ask(access: KafkaAccess, timeout_ms: int) -> str | None:
    with admin_of(access, "reachable", timeout_ms) as admin:
        return None if admin.describe_cluster()["brokers"] else "it has no live broker"
