"""`postroom onelogin run|check`: verified GOV.UK One Login accounts become links."""

from __future__ import annotations

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows

COLUMNS = ("service", "path", "client", "links", "contract", "trust", "confidence")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "onelogin", "GOV.UK One Login accounts as links.", "Events")
    for verb in (run, check):
        group.command()(verb)


def run() -> None:
    """Take the tokens of sign-ins from departments' services and publish links, until SIGTERM or Ctrl-C.

    Whose tokens count and which services may ask stands in the file POSTROOM_ONELOGIN; the services say who
    they are as the gateway's clients do (POSTROOM_GATEWAY_CLIENTS, _ISSUER, _JWKS). Which sign-in was used
    for what is in the state directory: keep that on a disk that stays. One process serves; another waits for
    it to end.

    Example: POSTROOM_ONELOGIN=docs/examples/onelogin.yaml postroom onelogin run
    """
    from connectors import find_stack
    from postroom.logs import configure_logs
    from postroom.onelogin import RunningOneLogin
    from postroom.settings import settings

    current = settings()
    configure_logs(current)
    RunningOneLogin(current, find_stack(current)).serve()


def check(output: Output = Form.TABLE) -> None:
    """Say all that is wrong with the file of One Login services (exit 2); else list them.

    Example: postroom onelogin check -o jsonl
    """
    from postroom.composition import load_rules_files
    from postroom.onelogin import provider_of
    from postroom.settings import settings

    current = settings()
    contracts, _ = load_rules_files(current.contracts_dir, current.agreements_dir)
    provider, _ = provider_of(current, contracts)
    rows = [
        {
            "service": each.name,
            "path": f"/onelogin/{each.name}",
            "client": each.client,
            "links": each.scheme,
            "contract": each.contract,
            "trust": each.trust,
            "confidence": each.confidence,
        }
        for each in provider.services.values()
    ]
    write_rows(rows, output, COLUMNS)
