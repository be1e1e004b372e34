"""What the registry's connector makes of every answer, from a registry that says what it is told to."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from connectors import Trouble, Unreachable
from connectors.registry import ATTEMPT_PAUSES_S, Registry

Answers = dict[str, list[tuple[int, object]]]
"""By method and path what is said, in order; the last is said for ever."""

SUBJECT = "s-value"
SCHEMA = {"type": "string"}
CONFIG, VERSIONS, LOOK_UP = "/config/s-value", "/subjects/s-value/versions", "/subjects/s-value"
FULL = (200, {"compatibilityLevel": "FULL_TRANSITIVE"})
NONE = (200, {"compatibilityLevel": "NONE"})
SET = (200, {"compatibility": "FULL_TRANSITIVE"})
ABSENT = (404, {"error_code": 40403, "message": "absent"})
TAKEN = (409, {"error_code": 0, "message": "A rule named 'COMPATIBILITY' already exists."})
INCOMPATIBLE = (409, {"message": "field a has no default"})
MADE = (200, {"id": 7})

Scripted = Callable[[Answers], tuple[Registry, list[str]]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """A registry that answers by the script and notes what it was asked."""
    monkeypatch.setattr("connectors.registry.ATTEMPT_PAUSES_S", (0.0,) * len(ATTEMPT_PAUSES_S))
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> tuple[Registry, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                path = self.path.removeprefix("/apis/ccompat/v7").removesuffix("?normalize=true")
                asked.append(f"{self.command} {path}")
                script = answers[asked[-1]]
                status, body = script.pop(0) if len(script) > 1 else script[0]
                content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return Registry(f"http://127.0.0.1:{server.server_port}"), asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answers(**changed: list[tuple[int, object]]) -> Answers:
    """A registry that has never heard of the subject, but for what is changed."""
    return {
        f"GET {CONFIG}": changed.get("rule", [ABSENT, FULL]),
        f"PUT {CONFIG}": changed.get("put", [SET]),
        f"POST {LOOK_UP}": changed.get("look_up", [ABSENT]),
        f"POST {VERSIONS}": changed.get("post", [MADE]),
    }


def test_the_rule_comes_before_the_schema(scripted: Scripted):
    """E6: a worker that dies between the two leaves a rule without a schema, never the other way."""
    registry, asked = scripted(answers())
    assert registry.register(SUBJECT, SCHEMA) == 7
    assert [line.split()[0] for line in asked] == ["GET", "PUT", "GET", "POST", "POST"]


def test_a_rule_that_another_sets_at_once_is_read_back(scripted: Scripted):
    """Two workers start: who is refused because the other sets the rule sees which rule it is."""
    registry, asked = scripted(answers(rule=[ABSENT, ABSENT, FULL], put=[TAKEN]))
    assert registry.register(SUBJECT, SCHEMA) == 7
    assert asked.count(f"PUT {CONFIG}") == 2


@pytest.mark.parametrize(
    ("rule", "put"),
    [([NONE], [TAKEN]), ([NONE], [SET]), ([ABSENT], [TAKEN])],
    ids=["another-rule", "not-kept", "never-there"],
)
def test_nothing_is_registered_without_the_rule(
    scripted: Scripted, rule: list[tuple[int, object]], put: list[tuple[int, object]]
):
    """E6: a rule that cannot be had is trouble, after so many attempts, and no schema was sent."""
    registry, asked = scripted(answers(rule=rule, put=put))
    with pytest.raises(Trouble, match="FULL_TRANSITIVE") as raised:
        registry.register(SUBJECT, SCHEMA)
    assert not isinstance(raised.value, Unreachable)
    assert f"POST {VERSIONS}" not in asked
    assert asked.count(f"PUT {CONFIG}") == len(ATTEMPT_PAUSES_S)


def test_a_known_schema_is_put_under_the_rule_too(scripted: Scripted):
    """E6: it may have been registered past us."""
    registry, asked = scripted(answers(rule=[NONE, FULL], look_up=[MADE]))
    assert registry.register(SUBJECT, SCHEMA) == 7
    assert f"PUT {CONFIG}" in asked
    assert f"POST {VERSIONS}" not in asked


def test_a_schema_that_another_registers_at_once_is_found(scripted: Scripted):
    """A conflict is no verdict: what the other has made is looked up before it is called incompatible."""
    registry, _ = scripted(answers(look_up=[ABSENT, MADE], post=[TAKEN]))
    assert registry.register(SUBJECT, SCHEMA) == 7


def test_a_subject_that_another_makes_at_once_is_tried_again(scripted: Scripted):
    """With another schema, which is compatible."""
    registry, _ = scripted(answers(post=[TAKEN, TAKEN, MADE]))
    assert registry.register(SUBJECT, SCHEMA) == 7


def test_what_stays_in_conflict_is_incompatible_in_the_registrys_words(scripted: Scripted):
    """E6: attempts are bounded, and the reason is the registry's own."""
    registry, asked = scripted(answers(post=[INCOMPATIBLE]))
    with pytest.raises(Trouble, match="field a has no default") as raised:
        registry.register(SUBJECT, SCHEMA)
    assert not isinstance(raised.value, Unreachable)
    assert asked.count(f"POST {VERSIONS}") == len(ATTEMPT_PAUSES_S)


def test_a_schema_that_is_none_is_refused_at_once(scripted: Scripted):
    """Asking again does not make it one."""
    registry, asked = scripted(answers(post=[(422, {"message": "not Avro"})]))
    with pytest.raises(Trouble, match="not Avro"):
        registry.register(SUBJECT, SCHEMA)
    assert asked.count(f"POST {VERSIONS}") == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_registry_that_is_starting_or_busy_is_asked_again(scripted: Scripted, status: int):
    """A few times, briefly."""
    registry, asked = scripted({"GET /subjects": [(status, "starting"), (200, [])]})
    registry.ping()
    assert len(asked) == 2


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_registry_that_stays_so_is_unreachable(scripted: Scripted, status: int):
    """§8: exit 3 is made of this."""
    registry, asked = scripted({"GET /subjects": [(status, "starting")]})
    with pytest.raises(Unreachable, match=f"it answered {status} to GET /subjects"):
        registry.ping()
    assert len(asked) == len(ATTEMPT_PAUSES_S)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, {"message": "who are you"}, "401 to GET /subjects: who are you"),
        (403, "<html>", "403 to GET /subjects"),
        (404, [], "404 to GET /subjects"),
        (409, {}, "409 to GET /subjects"),
    ],
)
def test_a_refusal_is_not_called_unreachable(scripted: Scripted, status: int, body: object, why: str):
    """It answers; what it answers is no."""
    registry, asked = scripted({"GET /subjects": [(status, body)]})
    with pytest.raises(Trouble, match=why) as raised:
        registry.ping()
    assert not isinstance(raised.value, Unreachable)
    assert "refuses" in raised.value.what
    assert len(asked) == 1


def test_what_is_not_a_registry_is_said(scripted: Scripted):
    """Something else listens there."""
    registry, _ = scripted({"GET /subjects": [(200, "<html>")]})
    with pytest.raises(Unreachable, match="not a registry"):
        registry.ping()
