"""The contracts and their language: what others may use of this package (DESIGN §9).

It imports nothing of ours, reads no clock and no environment. `registry` and Kafka are other packages'
business.
"""

from .addressed import Addressees, Warned
from .agreement import (
    DEATH,
    DECEASED,
    ENROLLED,
    EVERYONE,
    Agreement,
    AgreementProblem,
    AgreementProblems,
    Basis,
    Deceased,
    Enrolled,
    Everyone,
    Grant,
    Scope,
    Where,
    load_agreements,
)
from .agreement_file import PAIRWISE
from .avro import ContractMismatch, PlainCodec, frame, unframe
from .avro_type import AvroType, SchemaInvalid
from .catalogue import SPECIAL_CATEGORY, Attribute, Contracts, load_contracts, read_contracts
from .cloudevents import (
    OWNER_PATTERN,
    CloudEvent,
    NotACloudEvent,
    owner_of,
    parse_type,
    to_headers,
    trace_or_none,
)
from .cloudevents import from_headers as cloudevent_from_headers
from .cloudevents import from_json as cloudevent_from_json
from .contract import STATES, AttributeField, Contract, IdentifierField, Kind, Role
from .diagnosis import IN_A_FILE, Bounds, Door, Found, diagnose, how_to_mend, json_path, keys_twice
from .gate import (
    History,
    Version,
    check,
    check_directory,
    incompatible,
    read_history,
    registered_version,
    unfrozen,
    without_doc,
)
from .identifiers import ANY_SCHEME, DeclaredScheme, IdentifierInvalid, Schemes, scheme_of
from .json_text import KeyTwice, json_value
from .oddness import warnings
from .page import page
from .plain_containers import Plain
from .problem import ContractProblems, Problem, Reason, few_of, near_hint
from .rejection import ATTRIBUTES_BYTES_MAX, EARLIEST_MS, EVENT_BYTES_MAX, FUTURE_MS_MAX, Rejection
from .times import Duration, beginning, ending, format_instant, parse_duration, parse_instant
from .views import ViewCodec, view_schema

__all__ = [
    # times
    "Duration", "beginning", "ending", "format_instant", "parse_duration", "parse_instant",
    # identifiers
    "ANY_SCHEME", "DeclaredScheme", "IdentifierInvalid", "Schemes", "scheme_of",
    # events
    "OWNER_PATTERN", "CloudEvent", "NotACloudEvent", "cloudevent_from_headers", "cloudevent_from_json",
    "IN_A_FILE", "Bounds", "Door", "Found", "diagnose", "few_of", "how_to_mend", "near_hint",
    "ATTRIBUTES_BYTES_MAX", "EARLIEST_MS", "EVENT_BYTES_MAX", "FUTURE_MS_MAX", "owner_of", "parse_type",
    "to_headers", "trace_or_none", "warnings",
    # JSON
    "KeyTwice", "json_path", "json_value", "keys_twice",
    # Avro
    "AvroType", "ContractMismatch", "Plain", "PlainCodec", "SchemaInvalid", "frame", "unframe",
    # contracts
    "SPECIAL_CATEGORY", "STATES", "Attribute", "AttributeField", "Contract", "ContractProblems", "Contracts",
    "IdentifierField", "Kind", "Problem", "Reason", "Rejection", "Role", "load_contracts", "read_contracts",
    # the gate
    "History", "Version", "check", "check_directory", "incompatible", "page", "read_history",
    "registered_version", "unfrozen", "without_doc",
    # agreements and views
    "DEATH", "DECEASED", "ENROLLED", "EVERYONE", "PAIRWISE", "Addressees", "Agreement", "AgreementProblem",
    "AgreementProblems", "Basis", "Deceased", "Enrolled", "Everyone", "Grant", "Scope", "ViewCodec", "Warned",
    "Where", "load_agreements", "view_schema",
]  # fmt: skip
