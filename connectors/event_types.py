"""Types of events that connectors make themselves, of what other services say.

Apart from the doors that make them: permissions are derived from them too, and no plan needs a server.
"""

from __future__ import annotations

PAYMENT_TYPE = "uk.gov.payments.card-payment.v1"
LINK_TYPE = "uk.gov.identity.account-link.v1"
