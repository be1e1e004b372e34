"""One way to Kafka's administration: connected within seconds, closed again, its refusals in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from connectors.kafka_access import KafkaAccess
from connectors.kafka_line import check_line
from connectors.kafka_refusal import in_our_words

ANSWER_WITHIN_MS = 15_000
CONNECT_WITHIN_MS = 10_000


@contextmanager
def admin_of(access: KafkaAccess, purpose: str, connect_ms: int = CONNECT_WITHIN_MS) -> Iterator[Any]:
    """Hold an admin client; what Kafka refuses or does not answer leaves as `Trouble`."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    check_line(access)
    try:
        client = KafkaAdminClient(
            **access.settings(),
            client_id=f"postroom-{purpose}",
            bootstrap_timeout_ms=connect_ms,
            request_timeout_ms=ANSWER_WITHIN_MS,
        )
        with closing(client) as admin:
            yield admin
    except (KafkaError, OSError) as error:
        raise in_our_words(error, access) from error
