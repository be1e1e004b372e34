"""`postroom pay run|check`: GOV.UK Pay's webhook messages become payment events."""

from __future__ import annotations

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows

COLUMNS = ("service", "path", "source", "payer", "from", "secrets")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "pay", "Payments of GOV.UK Pay as events.", "Events")
    for verb in (run, check):
        group.command()(verb)


def run() -> None:
    """Take GOV.UK Pay's webhook messages and publish them, until SIGTERM or Ctrl-C.

    Which services take payments stands in the file POSTROOM_PAY; a newer one, and a newer signing secret,
    are taken up while it runs. A message is answered with 2xx once the broker has its event, and GOV.UK Pay
    sends again what was not. Beyond this machine it serves TLS, or says that a proxy does. Start as many as
    you like.

    Example: POSTROOM_PAY=docs/examples/pay.yaml postroom pay run
    """
    import asyncio

    from connectors import find_stack
    from postroom.logs import configure_logs
    from postroom.pay import RunningPay
    from postroom.settings import settings

    current = settings()
    configure_logs(current)
    asyncio.run(RunningPay(current, find_stack(current)).serve())


def check(output: Output = Form.TABLE) -> None:
    """Say all that is wrong with the file of payment services and its secrets (exit 2); else list them.

    Example: postroom pay check -o jsonl
    """
    from connectors.pay import PAYMENT_TYPE
    from postroom.composition import load_rules_files
    from postroom.door import require_contract
    from postroom.pay import services_of
    from postroom.settings import settings

    current = settings()
    contracts, _ = load_rules_files(current.contracts_dir, current.agreements_dir)
    contract = require_contract(contracts, PAYMENT_TYPE, current, "pay")
    rows = [
        {
            "service": each.name,
            "path": f"/pay/{each.name}",
            "source": each.source,
            "payer": each.scheme,
            "from": "reference" if each.metadata is None else f"metadata {each.metadata}",
            "secrets": len(each.secrets),
        }
        for each in services_of(current, contract).values()
    ]
    write_rows(rows, output, COLUMNS)
