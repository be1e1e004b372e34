"""What every HTTP door stands on: what it answers, how much it takes, and the server in front of it.

The gateway is a door, and so are those of GOV.UK services (ADR 0057); none of them knows another.
"""

from connectors.doors.bodies import json_answer, one_text, problem_answer
from connectors.doors.certificates import CERTIFICATE, Certificate
from connectors.doors.headers import RawHeaders, header
from connectors.doors.limits import (
    ATTRIBUTES_BYTES_MAX,
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    DEPTH_MAX,
    STREAMS_MAX,
    Bodies,
    Hold,
    Rates,
    is_too_deep,
    read_body,
)
from connectors.doors.problems import CONTENT_TYPE, KINDS, Problem
from connectors.doors.serving import Tls, check_transport, listen, server
from connectors.doors.small_door import UNKNOWN, door_app, service_of

__all__ = [
    # problem details (RFC 9457)
    "CONTENT_TYPE",
    "KINDS",
    "Problem",
    # what comes in and goes out
    "RawHeaders",
    "header",
    "json_answer",
    "one_text",
    "problem_answer",
    "read_body",
    # bounds
    "ATTRIBUTES_BYTES_MAX",
    "BATCH_BYTES_MAX",
    "BATCH_EVENTS_MAX",
    "Bodies",
    "DEPTH_MAX",
    "Hold",
    "Rates",
    "STREAMS_MAX",
    "is_too_deep",
    # the server
    "CERTIFICATE",
    "Certificate",
    "Tls",
    "check_transport",
    "listen",
    "server",
    # a door of a few routes
    "UNKNOWN",
    "door_app",
    "service_of",
]
