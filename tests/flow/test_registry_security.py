"""Who may write a real registry: nobody brings a schema past the gate, and reading needs no permission.

Everybody here is a foreign client (HTTP): what is refused is refused by the registry, not by our manners.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors import find_stack
from connectors.local_security import ADMIN
from connectors.registry import MAY_NOT, Registry
from connectors.registry_users import AUDIENCE, EVERYTHING, ISSUER, local_token
from connectors.trouble import Trouble
from postroom.access import WORKER
from postroom.config import Settings
from tests.flow.secured import Secured, secured

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]

NHS = "owner.nhs"
CONTRACT = "uk.gov.health.demographics.v1-value"
UNHEARD = "uk.gov.health.unheard-of.v1-value"
VIEW = "view.council-york-carers-value"
SCHEMA = {
    "type": "record",
    "name": "Anything",
    "fields": [{"name": "x", "type": ["null", "string"], "default": None}],
}
BODY = {"schema": json.dumps(SCHEMA)}
CONFLUENT, APICURIO = "/apis/ccompat/v7", "/apis/registry/v3"
REFUSED = (401, 403)
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": ADMIN, "roles": [EVERYTHING]}


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Secured]:
    """One secured installation, its contracts registered by the administrator."""
    if request.config.getoption("--stack") != "local":
        pytest.skip("SKIPPED LOUDLY: only the local stack has users that a test may make")
    with secured(stack_settings.cache_dir, (NHS, WORKER)) as made:
        yield made


def _forged(**changes: Any) -> Callable[[Secured], str]:
    """A token of an administrator, but for one thing."""

    def make(own: Secured) -> str:
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": ADMIN,
            "roles": [EVERYTHING],
            "exp": time.time() + 300,
        }
        key: Any = (own.security.directory / "registry-tokens.pem").read_bytes()
        if changes.pop("key", None):
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(claims | changes, key, algorithm="RS256")

    return make


WHO: dict[str, Callable[[Secured], str | None]] = {
    "nobody": lambda _: None,
    "a department": lambda own: local_token(own.security, NHS)(),
    "somebody with a key of his own": _forged(key=True),
    "an administrator of yesterday": _forged(exp=1),
    "another issuer's administrator": _forged(iss="urn:somebody:else"),
    "an administrator of something else": _forged(aud="something-else"),
    "an administrator without a signature": lambda _: jwt.encode(CLAIMS, None, algorithm="none"),
}
DEEDS: dict[str, tuple[str, str, Any]] = {
    "register past the gate": ("POST", f"{CONFLUENT}/subjects/{UNHEARD}/versions", BODY),
    "a new version of a contract": ("POST", f"{CONFLUENT}/subjects/{CONTRACT}/versions", BODY),
    "a view's schema": ("POST", f"{CONFLUENT}/subjects/{VIEW}/versions", BODY),
    "lift the rule of a contract": ("PUT", f"{CONFLUENT}/config/{CONTRACT}", {"compatibility": "NONE"}),
    "lift the rule of all": ("PUT", f"{CONFLUENT}/config", {"compatibility": "NONE"}),
    "delete a version": ("DELETE", f"{CONFLUENT}/subjects/{CONTRACT}/versions/1", None),
    "delete a contract": ("DELETE", f"{CONFLUENT}/subjects/{CONTRACT}", None),
    "by the registry's own API": (
        "POST",
        f"{APICURIO}/groups/default/artifacts",
        {
            "artifactId": UNHEARD,
            "artifactType": "AVRO",
            "firstVersion": {"content": {"content": json.dumps(SCHEMA), "contentType": "application/json"}},
        },
    ),
    "change its settings": (
        "PUT",
        f"{APICURIO}/admin/config/properties/apicurio.auth.anonymous-read-access.enabled",
        {"value": "false"},
    ),
}
OF_CONTRACTS = [
    deed
    for deed in DEEDS
    if deed not in ("register past the gate", "a view's schema", "by the registry's own API")
]


@pytest.mark.parametrize("who", WHO)
def test_nobody_else_writes_the_registry(own: Secured, who: str) -> None:
    """E6: registration happens only through the gate, whoever asks and by whichever API."""
    token = WHO[who](own)
    answers = {deed: asked(own, token, *request).status_code for deed, request in DEEDS.items()}
    assert {deed: status for deed, status in answers.items() if status not in REFUSED} == {}
    assert len(registry(own).versions(CONTRACT)) == 1
    assert registry(own).versions(UNHEARD) == []


def test_a_worker_changes_no_contract(own: Secured) -> None:
    """V1: it registers the schemas of its views, and touches nothing that the gate has let through."""
    token = local_token(own.security, WORKER)()
    answers = {deed: asked(own, token, *DEEDS[deed]).status_code for deed in OF_CONTRACTS}
    assert {deed: status for deed, status in answers.items() if status not in REFUSED} == {}
    assert len(registry(own).versions(CONTRACT)) == 1


def test_a_worker_registers_the_schemas_of_its_views(own: Secured) -> None:
    """V1: and again when an agreement changes."""
    made = Registry(find_stack(own.settings).registry, token=local_token(own.security, WORKER))
    more = SCHEMA | {
        "fields": [*SCHEMA["fields"], {"name": "y", "type": ["null", "string"], "default": None}]
    }
    assert made.register(VIEW, SCHEMA) != made.register(VIEW, more)
    assert len(made.versions(VIEW)) == 2


def test_everybody_reads(own: Secured) -> None:
    """E2: a department finds the id that it writes with, a subscriber the schema that it reads by."""
    assert len(registry(own).versions(CONTRACT)) == 1
    found = asked(own, None, "GET", f"{CONFLUENT}/subjects/{CONTRACT}/versions/1", None).json()
    assert registry(own).schema_by_id(found["id"]) == json.loads(found["schema"])
    assert registry(own).find(CONTRACT, json.loads(found["schema"])) == found["id"]


def test_who_may_not_register_is_told_what_to_do(own: Secured) -> None:
    """E6: with a department's credentials our own client is refused too, and says how it would not be."""
    department = Registry(find_stack(own.settings).registry, token=local_token(own.security, NHS))
    with pytest.raises(Trouble) as refused:
        department.register(UNHEARD, SCHEMA)
    assert refused.value.mend == MAY_NOT
    own.good("contract", "register")  # by the administrator: the same again changes nothing


def registry(own: Secured) -> Registry:
    """The registry, for whoever says nothing of himself."""
    return Registry(find_stack(own.settings).registry)


def asked(own: Secured, token: str | None, method: str, path: str, body: Any) -> httpx.Response:
    """One request by a client that is not ours."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.request(
        method, find_stack(own.settings).registry + path, json=body, headers=headers, timeout=60
    )
