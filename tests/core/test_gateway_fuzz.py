"""A fuzzer over the OpenAPI document: whatever is asked, no 5xx, and no answer beyond the document."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from connectors.doors.serving import listen, server
from connectors.gateway.ports import Obligation
from tests.gateway_kit import HOUSING, rig, view_headers

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 25  # for each operation, client and kind of value: less than a minute together


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind its real server."""
    listening = listen("127.0.0.1", 0)
    serving = server(app, None)
    thread = threading.Thread(target=lambda: asyncio.run(serving.serve(sockets=[listening])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        serving.should_exit = True
        thread.join(20)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("client", ["dwp-cis", "leeds"])
def test_nothing_that_can_be_asked_is_a_defect(tmp_path: Path, client: str, mode: GenerationMode):
    """Every operation, with values that fit the document and values that do not, as each kind of client."""
    made = rig(tmp_path, events_per_s=1e9)
    made.views.write(HOUSING, "s-1", {"name": "A"}, view_headers(1))
    owed = Obligation("o-" + "1" * 32, "council-leeds", HOUSING, "s-1", ("name",), 0, 1, None)
    made.ledger.entries.append(owed)
    headers = made.auth(client)
    schema = schemathesis.openapi.from_dict(made.http.get("/openapi.json", headers=headers).json())
    asked: dict[str, int] = {}
    with served(made.app) as base_url:
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path.endswith("}/events"):
                continue  # a stream goes on; its parameters are those of the page

            @seed(7)
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                label = case.operation.label
                asked[label] = asked.get(label, 0) + 1
                if case.query:
                    case.query.pop("wait", None)  # a long poll of nothing
                if label == "POST /events" and isinstance(case.body, dict) and len(case.body) > 3:
                    # Else none would come as far as the contract.
                    case.body |= {"source": "urn:gov:dwp:cis", "type": "uk.gov.benefits.claimant.v1"}
                case.call_and_validate(base_url=base_url, headers=headers, checks=CHECKS)

            try:
                ask()
            except Unsatisfiable:
                continue  # nothing of this operation can be wrong
    assert asked["POST /events"] >= EXAMPLES
    assert len(asked) >= 6
