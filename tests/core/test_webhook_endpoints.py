"""The file of webhooks is read strictly: every problem with its field, no secret in it or in a message."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from connectors import Misused
from connectors.webhook.addresses import read_networks
from connectors.webhook.endpoints import load_endpoints, url_problems
from postroom.config import load_settings
from postroom.webhook import endpoints_of
from tests.gateway_kit import rules
from tests.webhook_kit import PRIVATE, SECRET

GOOD = """\
origin: postroom.example
endpoints:
  leeds:
    subscriber: council-leeds
    agreements: [council-leeds-housing]
    url: https://hooks.leeds.example/postroom
    keys: [{file: leeds.key}, {env: LEEDS_KEY}]
    bearer: {env: LEEDS_TOKEN}
    requests_per_minute: 120
"""
ENVIRON = {"LEEDS_KEY": SECRET, "LEEDS_TOKEN": "abc.def"}


def load(text: str, tmp_path: Path, environ=None, allowed=()):
    (tmp_path / "webhooks.yaml").write_text(text)
    (tmp_path / "leeds.key").write_text(PRIVATE + "\n")
    _, agreements = rules()
    environ = ENVIRON if environ is None else environ
    return load_endpoints(tmp_path / "webhooks.yaml", agreements, environ, Path.read_bytes, allowed)


def problems(text: str, tmp_path: Path, **more) -> str:
    with pytest.raises(Misused) as found:
        load(text, tmp_path, **more)
    assert "webhook key" in found.value.mend
    return found.value.why


def test_a_good_file_gives_endpoints(tmp_path):
    """Keys from a file beside it and from the environment; agreements of the subscriber alone."""
    found = load(GOOD, tmp_path)["leeds"]
    assert [key.scheme for key in found.keys] == ["v1a", "v1"]
    assert (found.agreements, found.bearer) == (("council-leeds-housing",), "abc.def")
    assert (found.requests_per_minute, found.host) == (120, "https://hooks.leeds.example")
    assert "abc.def" not in repr(found)


def test_without_agreements_it_receives_all_of_its_subscriber(tmp_path):
    """And never one of another subscriber."""
    found = load(GOOD.replace("    agreements: [council-leeds-housing]\n", ""), tmp_path)["leeds"]
    _, agreements = rules()
    assert set(found.agreements) == {
        name for name, agreement in agreements.items() if agreement.subscriber == "council-leeds"
    }
    assert len(found.agreements) > 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("origin: postroom.example", "origin: https://postroom"), "origin: expected a host's name"),
        (("origin: postroom.example\n", ""), "origin: is missing"),
        (("    url:", "    uri:"), "line 6: endpoints.leeds.uri: there is no such key; did you mean url?"),
        (("  leeds:", "  Leeds!:"), "endpoints.Leeds!: a name is"),
        (
            ("[council-leeds-housing]", "[council-york-carers]"),
            "agreements: council-york-carers is no agreement",
        ),
        (("[council-leeds-housing]", "[nothing]"), "endpoints.leeds.agreements: nothing is no agreement"),
        (("subscriber: council-leeds", "subscriber: nobody"), "no agreement of nobody"),
        (("[{file: leeds.key}, {env: LEEDS_KEY}]", "[]"), "endpoints.leeds.keys: expected 1 or more entries"),
        (("{file: leeds.key}", "{file: leeds.key, env: X}"), "keys.0: give exactly one"),
        (("{file: leeds.key}", "{file: absent.key}"), "No such file"),
        (("{env: LEEDS_KEY}", "{env: OTHER_KEY}"), "endpoints.leeds.keys.1.env: OTHER_KEY is not set"),
        (("{env: LEEDS_KEY}", "{env: LEEDS_TOKEN}"), "endpoints.leeds.keys.1: a signing key begins with"),
        (("requests_per_minute: 120", "requests_per_minute: 0"), "requests_per_minute: expected 1 or more"),
        (("https://", "http://"), "endpoints.leeds.url: it would be sent in the clear"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(change, why, tmp_path):
    """One line each, all at once."""
    assert change[0] in GOOD
    text = GOOD.replace(*change)
    if "absent" in change[1]:
        with pytest.raises((Misused, OSError), match=why):
            load(text, tmp_path)
        return
    assert why in problems(text, tmp_path)


def test_all_problems_are_told_at_once(tmp_path):
    """Whoever writes the file mends it once."""
    text = GOOD.replace("[council-leeds-housing]", "[nothing]").replace("https", "http")
    assert problems(text, tmp_path, environ={}).count("endpoints.leeds") == 4


def test_a_key_in_the_file_itself_is_refused_and_not_repeated(tmp_path):
    """Secrets are not in the file; a message that showed the mistake would spread it."""
    for mistake in (f"[{SECRET}]", f"[{{file: leeds.key, secret: {SECRET}}}]", f"[{{env: {SECRET}}}]"):
        why = problems(GOOD.replace("[{file: leeds.key}, {env: LEEDS_KEY}]", mistake), tmp_path)
        assert SECRET not in why
        assert "endpoints.leeds.keys.0" in why


@pytest.mark.parametrize("setting", ["POSTROOM_SECRET", "POSTROOM_KAFKA_PASSWORD"])
def test_a_secret_of_our_own_is_not_sent_to_a_receiver(setting, tmp_path):
    """Who may add a receiver could have it sent to an address of theirs, as the token beside each view."""
    for theirs in ("{env: LEEDS_TOKEN}", "{env: LEEDS_KEY}"):
        why = problems(GOOD.replace(theirs, f"{{env: {setting}}}"), tmp_path, environ={setting: "abc"})
        assert "settings of Postroom itself" in why
        assert "abc" not in why


@pytest.mark.parametrize("text", ["", "a: [", "[]", "endpoints: {}", "\x00", "origin: a\nendpoints: {a: 1}"])
def test_what_is_no_such_file_is_said(text, tmp_path):
    """Malformed input is the writer's to mend, never a traceback."""
    with pytest.raises(Misused):
        load(text, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://127.1/", "https://0/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://10.0.0.1/",
        "https://169.254.169.254/latest/", "https://[fd00:ec2::254]/", "https://[64:ff9b::a00:1]/",
        "https://[2002:7f00:1::]/", "https://localhost/", "https://intranet/", "https://hooks.example./",
        "https://user:password@hooks.example/", "https://hooks.example@10.0.0.1/", "https://hooks.example#@x/",
        "https://hooks.example:0/", "https://hooks.example:99999/", "https://hööks.example/",
        "https://hooks.example/a b", "https://hooks.example/\r\nx: y", "http://hooks.example/", "ftp://hooks.example/",
        "file:///etc/passwd", "//hooks.example/", "https://", "https:///x", "hooks.example", "https://[::1",
        "https://-a.example/", "https://a..example/", "http://localhost/", "http://127.0.0.1:8080/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_for_sending_is_refused_when_it_is_read(url):
    """As far as its text tells; connecting asks again, of the address itself."""
    assert [*url_problems(url, ())]


def test_what_an_installation_opens_is_taken():
    """Loopback for trying it, a private network where the services are; http on this machine alone."""
    allowed = read_networks("127.0.0.0/8,::1/128,10.1.0.0/16")
    for url in ("http://127.0.0.1:8080/x", "http://localhost:8080/x", "http://[::1]/", "https://10.1.2.3/x"):
        assert not [*url_problems(url, allowed)]
    for url in ("http://10.1.2.3/x", "https://10.2.0.1/x", "https://169.254.169.254/"):
        assert [*url_problems(url, allowed)]
    assert not [*url_problems("https://hooks.leeds.example:8443/a/b?c=d", ())]


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    """As every secret of an installation (ADR 0002), and through the whole composition."""
    file, key = tmp_path / "webhooks.yaml", tmp_path / "leeds.key"
    file.write_text(GOOD.replace(", {env: LEEDS_KEY}", "").replace("    bearer: {env: LEEDS_TOKEN}\n", ""))
    key.write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    settings = load_settings({"POSTROOM_WEBHOOKS": str(file)}, tmp_path.cwd())
    key.chmod(0o644)
    with pytest.raises(Misused, match="open to others"):
        endpoints_of(settings)
    key.chmod(0o600)
    assert endpoints_of(settings)["leeds"].keys[0].scheme == "v1"
