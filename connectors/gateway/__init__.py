"""The HTTP gateway: publish and subscribe for whoever does not run a Kafka client.

Who may is `connectors/callers/`, what it answers `connectors/doors/`. What it needs of brokers and registries
are ports, to which `postroom` gives the real things.
"""

from connectors.gateway.acknowledging import Acknowledging
from connectors.gateway.app import create_app, document, routes_of
from connectors.gateway.cursor import Cursors
from connectors.gateway.gateway import Gateway
from connectors.gateway.ports import Obligation
from connectors.gateway.subscribing import Subscribing

__all__ = [
    # the application
    "Gateway",
    "create_app",
    "document",
    "routes_of",
    # its parts
    "Acknowledging",
    "Cursors",
    "Subscribing",
    # what the world is to it
    "Obligation",
]
