"""Which of a broker's answers is waited for, and which ends what asked (DESIGN §8)."""

from __future__ import annotations

import threading

import pytest
from kafka import errors

from connectors.kafka_access import KafkaAccess
from connectors.kafka_refusal import in_our_words
from connectors.trouble import NotAllowed, NotYet, Trouble, Unreachable
from postroom.lasting import Progress, keep_on

ACCESS = KafkaAccess("127.0.0.1:1")


@pytest.mark.parametrize(
    "error",
    [
        errors.CoordinatorNotAvailableError,  # a cluster that has just started has no groups yet
        errors.CoordinatorLoadInProgressError,
        errors.NotLeaderForPartitionError,
        errors.NotEnoughReplicasError,
        errors.KafkaStorageError,
        errors.MetadataEmptyBrokerList,  # the only broker was cut off, and is not let in again yet
    ],
)
def test_a_broker_that_says_soon_is_waited_for(error: type[Exception]):
    """A sink, a relay or a sender of webhooks outlives a failover; a command ends with 3, and says when."""
    told = in_our_words(error(), ACCESS)
    assert type(told) is NotYet
    assert "ask again" in told.mend
    stop, asked = threading.Event(), []

    def work() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise told
        stop.set()

    keep_on(work, stop, "sink", Progress())
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.UnknownTopicOrPartitionError, Trouble),
        (errors.InvalidTopicError, Trouble),
        (errors.TopicAuthorizationFailedError, NotAllowed),
    ],
)
def test_what_waiting_does_not_mend_is_not_waited_for(error: type[Exception], kind: type[Trouble]):
    """A topic that is not there, a wrong name, no permission: whoever runs it must do something."""
    assert type(in_our_words(error(), ACCESS)) is kind


@pytest.mark.parametrize("error", [errors.KafkaTimeoutError, errors.KafkaConnectionError])
def test_a_broker_that_says_nothing_is_unreachable(error: type[Exception]):
    """A client calls that retriable as well, but nobody has said that it will be soon."""
    told = in_our_words(error("nobody answers"), ACCESS)
    assert type(told) is Unreachable
    assert "unreachable" in str(told)
