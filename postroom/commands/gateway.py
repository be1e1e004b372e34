"""`postroom gateway run|token|clients|openapi`: publish and subscribe over HTTP, and who may."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import UserError
from postroom.output import Form, Output, write_json, write_rows

COLUMNS = ("client", "speaks_for", "scopes", "agreements", "proof")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "gateway", "Publish and subscribe over HTTP.", "Events")
    for verb in (run, token, clients, openapi):
        group.command()(verb)


def run() -> None:
    """Serve until SIGTERM or Ctrl-C.

    Who may do what stands in the file POSTROOM_GATEWAY_CLIENTS; tokens are checked against the issuer that
    POSTROOM_GATEWAY_ISSUER and POSTROOM_GATEWAY_JWKS name, on the local stack against a stand-in whose tokens
    `postroom gateway token` issues. Beyond this machine it serves TLS, or says that a proxy does. Start as
    many as you like: a cursor of one is a cursor of all.

    Example: POSTROOM_GATEWAY_CLIENTS=docs/examples/clients.yaml postroom gateway run
    """
    import asyncio

    from connectors import find_stack
    from postroom.console import say
    from postroom.gateway import Running
    from postroom.logs import configure_logs
    from postroom.settings import settings

    current = settings()
    configure_logs(current)
    asyncio.run(Running(current, find_stack(current)).serve(say))


def token(
    client: Annotated[str, typer.Argument(help="its id in the file of clients")],
    scope: Annotated[list[str] | None, typer.Option(help="only this scope, or these")] = None,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="how long it is valid")] = 15,
) -> None:
    """Issue an access token for a client of the local stack, by its stand-in issuer.

    The gateway checks it like any other. With an issuer of your own (POSTROOM_GATEWAY_JWKS), or an existing
    cluster, ask that issuer for tokens: this command then refuses.

    Example: curl -H "authorization: Bearer $(postroom gateway token dwp-cis)" …
    """
    from connectors.callers import load_clients
    from postroom.composition import load_rules_files
    from postroom.gateway_settings import uses_stand_in
    from postroom.settings import settings
    from postroom.stand_in_issuer import issue

    current = settings()
    if not uses_stand_in(current):
        raise UserError(
            "the stand-in issuer is for the local stack alone",
            why="an issuer or an existing cluster is configured",
            mend="ask your issuer for a token (grant_type=client_credentials)",
        )
    value = current.values
    _, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    found = load_clients(value["gateway_clients"].value, agreements).by_id.get(client)
    if found is None:
        raise UserError("there is no such client", where=client, mend="`postroom gateway clients` lists them")
    if strange := sorted(set(scope or ()) - found.scopes):
        raise UserError(f"{client} does not have the scope {', '.join(strange)}", mend="leave it out")
    typer.echo(
        issue(current.state_dir, client, scope or found.scopes, value["gateway_audience"].value, minutes)
    )


def clients(output: Output = Form.TABLE) -> None:
    """List who may use the gateway, as whom, and what for; what is wrong with the file is said.

    Example: postroom gateway clients -o jsonl
    """
    from connectors.callers import describe, load_clients, strangers
    from postroom.composition import load_rules_files
    from postroom.console import say
    from postroom.settings import settings

    current = settings()
    contracts, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    found = load_clients(current.values["gateway_clients"].value, agreements)
    write_rows(describe(found), output, COLUMNS)
    for hint in strangers(found, contracts, agreements):
        say(f"hint: {hint}")


def openapi() -> None:
    """Print the OpenAPI document, which is no secret; the gateway itself shows it to its clients only.

    Example: postroom gateway openapi > openapi.json
    """
    from connectors.gateway import document

    write_json(document())
