"""GOV.UK Pay: signed webhook messages become payment events (ADR 0057).

It imports `schemas`, and of the gateway what publishing an event is. What it needs of brokers, registries and
the clock is given to it by `postroom`.
"""

from connectors.event_types import PAYMENT_TYPE
from connectors.pay.door import PayDoor, create_app
from connectors.pay.messages import Understood, understand
from connectors.pay.services import Service, load_services
from connectors.pay.signature import SIGNATURE_HEADER, is_signed

__all__ = [
    # who takes payments
    "Service",
    "load_services",
    # what a message says
    "PAYMENT_TYPE",
    "SIGNATURE_HEADER",
    "Understood",
    "is_signed",
    "understand",
    # the door
    "PayDoor",
    "create_app",
]
