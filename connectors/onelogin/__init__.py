"""GOV.UK One Login: a verified account becomes a link to a department's identifier (ADR 0058).

It imports `schemas`, and of the gateway who asks, keys and publishing. What it needs of files, brokers and
the clock is given to it by `postroom`.
"""

from connectors.onelogin.door import LinkDoor, create_app
from connectors.onelogin.journal import UsedTokens
from connectors.onelogin.services import Provider, Service, load_provider
from connectors.onelogin.tokens import Verifier

__all__ = [
    # whom we believe, and who asks
    "Provider",
    "Service",
    "load_provider",
    # tokens
    "UsedTokens",
    "Verifier",
    # the door
    "LinkDoor",
    "create_app",
]
