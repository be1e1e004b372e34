"""Does it answer? Short questions to a Kafka cluster and to a schema registry."""

from __future__ import annotations

from typing import Any

from connectors.trouble import Unreachable


def kafka_problem(bootstrap: str, timeout_ms: int = 5000) -> str | None:
    """Ask the cluster for its brokers; return why that failed, None when at least one is there."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    admin: Any = None
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            client_id="postroom-reachable",
            bootstrap_timeout_ms=timeout_ms,
            request_timeout_ms=timeout_ms,
        )
        return None if admin.describe_cluster()["brokers"] else "it has no live broker"
    except (KafkaError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        if admin is not None:
            admin.close()


def registry_problem(url: str, timeout_seconds: float = 5.0) -> str | None:
    """List the subjects through the Confluent-compatible API; return why that failed, None when it works."""
    import httpx

    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/apis/ccompat/v7/subjects",
            timeout=timeout_seconds,
            trust_env=not url.startswith(("http://127.0.0.1", "http://localhost")),  # no proxy to ourselves
        )
        return None if answer.is_success else f"it answered {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__


def require(kafka: str, registry: str) -> None:
    """Raise `Unreachable` unless both answer."""
    if problem := kafka_problem(kafka):
        raise Unreachable(
            "Kafka is unreachable",
            where=kafka,
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
