"""What every test may use: a stack (Kafka and registry) for the whole run, and a quiet environment."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from connectors import Stack, Trouble, ensure_stack, stop_stack
from postroom.config import Settings, load_settings
from postroom.console import ConsoleReport

# A busy machine is slow and proves nothing: no property fails by the clock (a hang meets the test's timeout).
settings.register_profile("postroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("postroom")

STACKS = ("local", "testcontainers", "env")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=STACKS,
        default="local",
        help="the Kafka and registry of flow tests: started here (local), in Docker (testcontainers), or the "
        "ones that POSTROOM_KAFKA and POSTROOM_REGISTRY name (env)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let `kill` end the run as Ctrl-C does, so that the stack is stopped then too."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    ours = [name for name in os.environ if name.startswith("POSTROOM_") and "_SEED" not in name]
    given = {name: os.environ.pop(name) for name in ours}  # seeds are the run's, not the installation's
    config.stash[GIVEN] = given  # no test depends on the developer's own settings


GIVEN: pytest.StashKey[dict[str, str]] = pytest.StashKey()


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Structlog's `capture_logs` leaves it configured, and what comes after would write no JSON."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def stack_settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of the shared stack; its state is thrown away. The cache of downloads is the user's own."""
    given: dict[str, str] = request.config.stash[GIVEN]
    state = Path(tempfile.mkdtemp(prefix="postroom-test-"))
    environ = {"POSTROOM_STATE": str(state)}
    environ |= {name: given[name] for name in ("POSTROOM_CACHE",) if name in given}
    environ |= {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ}
    if request.config.getoption("--stack") == "env":
        names = ("POSTROOM_KAFKA", "POSTROOM_REGISTRY")
        if not all(name in given for name in names):
            pytest.exit("--stack=env needs POSTROOM_KAFKA and POSTROOM_REGISTRY", returncode=2)
        environ |= {name: given[name] for name in names} | {"POSTROOM_SECRET": "tests"}
    try:
        yield load_settings(environ, state)
    finally:
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Stack]:
    """One Kafka and one registry for all tests of this run: name topics so that tests do not meet."""
    if request.config.getoption("--stack") == "testcontainers":
        from tests.stack_testcontainers import containers

        with containers() as found:
            yield found
        return
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        try:
            found = ensure_stack(stack_settings, ConsoleReport())
        except Trouble as trouble:
            pytest.fail(f"the stack did not start: {trouble}", pytrace=False)
    try:
        yield found
    finally:
        if found.local:  # INVARIANT: an existing cluster is never stopped by a test
            stop_stack(stack_settings)
