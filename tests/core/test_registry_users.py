"""Tokens for the registry of a secured local stack: made seldom, never one that has run out."""

from __future__ import annotations

import jwt
import pytest

from connectors.local_security import LocalSecurity
from connectors.registry_users import AUDIENCE, ISSUER, RENEWED_S, VALID_S, local_token, registry_settings

WORKER = "postroom.worker"


class Clock:
    """A clock that a test sets."""

    now_s = 1_800_000_000.9

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def security(tmp_path_factory: pytest.TempPathFactory) -> LocalSecurity:
    """A directory with the key that a registry's settings make."""
    made = LocalSecurity(tmp_path_factory.mktemp("security"))
    registry_settings(made)
    return made


def test_a_token_serves_until_it_is_renewed(security: LocalSecurity) -> None:
    """Reading the key costs more than the request that the token is for."""
    clock = Clock()
    token = local_token(security, WORKER, clock)
    first = token()
    clock.now_s += RENEWED_S - 1
    assert token() == first
    clock.now_s += 1
    assert token() != first


@pytest.mark.parametrize("step_s", [0, 1, RENEWED_S - 1, RENEWED_S, VALID_S, 10 * VALID_S, -1, -VALID_S])
def test_no_token_is_given_that_is_not_valid(security: LocalSecurity, step_s: int) -> None:
    """Most of its time is still to come, and its beginning is not; also when the clock was set back."""
    clock = Clock()
    token = local_token(security, WORKER, clock)
    token()
    clock.now_s += step_s
    claims = jwt.decode(token(), options={"verify_signature": False})
    assert claims["iat"] <= clock.now_s
    assert claims["exp"] - clock.now_s > VALID_S - RENEWED_S - 1


def test_a_token_says_who_and_as_what(security: LocalSecurity) -> None:
    """The registry's public half verifies it; a worker writes and a department reads."""
    public = registry_settings(security)["quarkus.oidc.local.public-key"]
    key = f"-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----"
    for user, role in ((WORKER, "sr-developer"), ("nhs.pds", "sr-readonly")):
        claims = jwt.decode(local_token(security, user)(), key, ["RS256"], audience=AUDIENCE, issuer=ISSUER)
        assert (claims["sub"], claims["roles"]) == (user, [role])


def test_each_user_has_a_token_of_its_own(security: LocalSecurity) -> None:
    """What one keeps, another never gets; nor does it leave the memory."""
    clock = Clock()
    worker, other = local_token(security, WORKER, clock), local_token(security, "postroom.admin", clock)
    assert worker() != other() == other()
    assert {file.name for file in security.directory.iterdir()} == {"registry-tokens.pem", "registry.lock"}
