"""Events that are judged as intake judges them (E7) and written once, for every door that publishes."""

from connectors.publishing.judging import Bound, Judge, Judged, Refused
from connectors.publishing.kafka_sink import KafkaSink
from connectors.publishing.ports import LastWord, Registered, Sink
from connectors.publishing.publishing import KNOWN, NOT_DELIVERED, WRITTEN, Publishing, not_published
from connectors.publishing.submitting import Submitting

__all__ = [
    # whether an event may go
    "Bound",
    "Judge",
    "Judged",
    "Refused",
    # what becomes of it
    "KNOWN",
    "NOT_DELIVERED",
    "Publishing",
    "Submitting",
    "WRITTEN",
    "not_published",
    # what the world is to it
    "KafkaSink",
    "LastWord",
    "Registered",
    "Sink",
]
