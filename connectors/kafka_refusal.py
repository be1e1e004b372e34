"""Why Kafka did not do what was asked, in words that a person can act on."""

from __future__ import annotations

import re

from connectors.kafka_access import KafkaAccess
from connectors.kafka_line import STATUS, UNREACHABLE, line_problem, not_believed
from connectors.trouble import NotAllowed, NotYet, Trouble, Unreachable

INNER = re.compile(r"Request Request\(.*\) needs")
"""A broker's own account of a request, of which only what was missing concerns a reader."""


def in_our_words(error: BaseException, access: KafkaAccess) -> Trouble:
    """Translate a client's error; it may name a topic or a group, never a value or a secret."""
    from kafka.errors import (
        AuthorizationError,
        BrokerResponseError,
        MetadataEmptyBrokerList,
        SaslAuthenticationFailedError,
    )

    why = INNER.sub("it needs", str(error)) or type(error).__name__
    if isinstance(error, MetadataEmptyBrokerList):
        why = "none of its brokers is let in by the controller"
    if isinstance(error, AuthorizationError):
        return not_allowed(access, why)
    if isinstance(error, SaslAuthenticationFailedError):
        return not_believed(access, access.bootstrap)
    if _passes(error):
        mend = "ask again in some seconds; `postroom doctor` if it stays"
        return NotYet("Kafka cannot do that yet", where=access.bootstrap, why=why, mend=mend)
    if isinstance(error, BrokerResponseError):
        return Trouble("Kafka did not do what was asked", where=access.bootstrap, why=why)
    return line_problem(access) or Unreachable(UNREACHABLE, where=access.bootstrap, why=why, mend=STATUS)


def _passes(error: BaseException) -> bool:
    """Whether a broker says that it will do it soon: it has just started, or something changes hands.

    What is long-running waits for that as for a Kafka that is away. A topic that is not there is none of
    these, although the protocol calls that retriable too: `topics apply` mends it, and no patience.
    """
    from kafka.errors import (
        BrokerResponseError,
        MetadataEmptyBrokerList,
        RetriableError,
        UnknownTopicIdError,
        UnknownTopicOrPartitionError,
    )

    # What a client calls retriable may also be that nobody answers.
    said = isinstance(error, BrokerResponseError | MetadataEmptyBrokerList)
    missing = (UnknownTopicOrPartitionError, UnknownTopicIdError)
    return said and isinstance(error, RetriableError) and not isinstance(error, missing)


def not_allowed(access: KafkaAccess, why: str) -> NotAllowed:
    """Return what is said to somebody whom Kafka knows and does not let."""
    return NotAllowed(
        f"Kafka does not allow {access.who} to do that",
        where=access.bootstrap,
        why=why,
        mend="`postroom access list` says who may what; use the credentials of one who may",
    )
