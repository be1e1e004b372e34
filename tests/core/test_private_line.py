"""On whose way nobody can read or change what goes by (`connectors/private_line.py`)."""

import pytest

from connectors.private_line import is_private_line, is_this_machine


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/keys", "http://localhost/", "http://[::1]:1", "https://localhost"]
)
def test_this_machine_is_known_by_its_host(url: str):
    """Whatever port or path follows: no proxy is asked for it, and plain HTTP will do."""
    assert is_this_machine(url)
    assert is_private_line(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.example.gov.uk/keys",
        "http://127.0.0.1.example.gov.uk/",
        "http://127.0.0.1@example.gov.uk/",
        "http://keys.example.gov.uk/",
        "http://[",
    ],
)
def test_a_host_that_only_begins_like_this_machine_is_an_open_line(url: str):
    """Keys and addresses of people never go by plain HTTP to a host that is somewhere else."""
    assert not is_this_machine(url)
    assert not is_private_line(url)


@pytest.mark.parametrize(
    "place", ["https://keys.example.gov.uk/jwks", "HTTPS://keys.example.gov.uk", "keys/jwks.json"]
)
def test_https_and_a_file_are_private(place: str):
    """What is encrypted on its way, and what goes no way at all."""
    assert is_private_line(place)
