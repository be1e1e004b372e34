"""The department's side: files of events, the publisher, and synthetic departments to try it with.

Imports `schemas` only. Departments integrate over the wire (DESIGN §9): this package is one publisher among
others, not a library that they need.
"""

from producers.citizens import disordered, in_order_of_time, lives
from producers.departments import Event
from producers.files import Line, read_lines, to_lines
from producers.publisher import BrokerUnreachable, NotPublished, Published, Publisher, connect, disconnect
from producers.ready import Ready, Reason, Refused, Undelivered, make_ready, mend_of, remedies
from producers.reused import Seen, reused

__all__ = [
    # files
    "Line",
    "read_lines",
    "to_lines",
    # one line
    "Ready",
    "Reason",
    "Undelivered",
    "Refused",
    "make_ready",
    "mend_of",
    "remedies",
    "Seen",
    "reused",
    # to Kafka
    "BrokerUnreachable",
    "NotPublished",
    "Published",
    "Publisher",
    "connect",
    "disconnect",
    # synthetic departments
    "Event",
    "disordered",
    "in_order_of_time",
    "lives",
]
