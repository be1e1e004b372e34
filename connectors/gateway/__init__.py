"""The HTTP gateway: publish and subscribe for whoever does not run a Kafka client, and who may.

It imports `schemas` only; what it needs of brokers and registries are the ports, which `postroom` wires.
"""

from connectors.gateway.access import Access
from connectors.gateway.acknowledging import Acknowledging
from connectors.gateway.app import create_app, document, routes_of
from connectors.gateway.clients import Client, Clients, describe, load_clients
from connectors.gateway.cursor import Cursors
from connectors.gateway.gateway import Gateway
from connectors.gateway.judging import Judge
from connectors.gateway.keysets import Fetch, KeySet, from_file, from_url
from connectors.gateway.limits import Rates
from connectors.gateway.ports import Away, Full, Obligation
from connectors.gateway.publishing import Publishing
from connectors.gateway.subscribing import Subscribing
from connectors.gateway.tokens import Tokens

__all__ = [
    # the application
    "Gateway",
    "create_app",
    "document",
    "routes_of",
    # who may
    "Access",
    "Client",
    "Clients",
    "Fetch",
    "KeySet",
    "Rates",
    "Tokens",
    "describe",
    "from_file",
    "from_url",
    "load_clients",
    # its parts
    "Acknowledging",
    "Cursors",
    "Judge",
    "Publishing",
    "Subscribing",
    # what the world is to it
    "Away",
    "Full",
    "Obligation",
]
