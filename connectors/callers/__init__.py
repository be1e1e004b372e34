"""Who asks at an HTTP door, and whether they may: clients, tokens and certificates, issuers' keys."""

from connectors.callers.access import Access, Caller
from connectors.callers.clients import (
    ACKNOWLEDGE,
    PUBLISH,
    SUBSCRIBE,
    Client,
    Clients,
    describe,
    load_clients,
    strangers,
)
from connectors.callers.jwts import (
    TIME_REASONS,
    TOKEN_REASONS,
    TokenInvalid,
    moment,
    require_in_time,
    verified,
)
from connectors.callers.keysets import Fetch, KeySet, from_file, from_url
from connectors.callers.tokens import Tokens

__all__ = [
    # clients
    "ACKNOWLEDGE",
    "Access",
    "Caller",
    "Client",
    "Clients",
    "PUBLISH",
    "SUBSCRIBE",
    "describe",
    "load_clients",
    "strangers",
    # tokens
    "Fetch",
    "KeySet",
    "TIME_REASONS",
    "TOKEN_REASONS",
    "TokenInvalid",
    "Tokens",
    "from_file",
    "from_url",
    "moment",
    "require_in_time",
    "verified",
]
