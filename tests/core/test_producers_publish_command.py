"""`postroom publish` as a person meets it: bad lines named, values never shown, the right exit code."""

import gzip
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import run
from postroom.settings import settings
from producers import Line, Published
from schemas import Contracts

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "first-event.jsonl"
CANARY = "NC424242"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def publish(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """Run the command in an empty directory, with the demo's contracts and no stack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTROOM_CONTRACTS", str(ROOT / "schemas"))

    def publish(*arguments: str) -> tuple[int, str, str]:
        settings.cache_clear()
        code = run(["publish", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    yield publish
    settings.cache_clear()


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A good line, a blank one, no JSON, and an invalid number that must never be shown."""
    bad = json.loads(EXAMPLE.read_text().splitlines()[1]) | {"data": {"nino": CANARY, "title": CANARY}}
    invalid = bad | {"data": {"nino": CANARY}}
    good = EXAMPLE.read_text().splitlines()[0]
    file = tmp_path / "mixed.jsonl"
    file.write_text("\n".join([good, "", f'{{"{CANARY}"', json.dumps(bad), json.dumps(invalid)]))
    return file


def test_a_good_file_is_counted(publish: Run):
    """Exit 0, and what would go by type."""
    code, out, err = publish("--dry-run", str(EXAMPLE), "-o", "json")
    assert code == 0
    told = json.loads(out)
    assert (told["published"], told["refused"], told["dry_run"]) == (5, 0, True)
    assert told["types"]["uk.gov.health.registration.v1"] == 1
    assert "5 would be published, 0 refused" in err


def test_a_name_that_no_agreement_knows_is_told_and_goes(
    publish: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Exit 0: the agreement may come later; the line, the field and the near name are said."""
    monkeypatch.setenv("POSTROOM_AGREEMENTS", str(ROOT / "schemas" / "agreements"))
    lines = EXAMPLE.read_text().splitlines()
    [consent] = [line for line in lines if "uk.gov.consent" in line]
    event = json.loads(consent)
    event["data"]["subscriber"] = event["data"]["subscriber"][:-1]
    file = tmp_path / "typo.jsonl"
    file.write_text(json.dumps(event))
    code, _, err = publish("--dry-run", str(file))
    assert code == 0
    assert "line 1: warning" in err
    assert "$.data.subscriber: no agreement knows this subscriber" in err
    assert "did you mean" in err


def test_bad_lines_are_named_and_the_others_go(publish: Run, mixed: Path):
    """Number and reason of each, exit 1."""
    code, out, _ = publish("--dry-run", str(mixed), "-o", "jsonl")
    *bad, counts = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [(row["line"], row["reason"]) for row in bad] == [
        (3, "undecodable"),
        (4, "contract-mismatch"),
        (5, "identifier-invalid"),
    ]
    assert counts == {"published": 1, "refused": 3, "dry_run": True}


def test_every_problem_of_a_line_is_named_by_its_path(publish: Run, tmp_path: Path):
    """E7: one round is enough to mend all, and each of them says where; no value is shown."""
    wrong = json.loads(EXAMPLE.read_text().splitlines()[1])
    wrong |= {"time": "2199-01-01T00:00:00Z", "data": {"nino": CANARY, "title": CANARY, "since": "1/6/2026"}}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(wrong))
    _, out, _ = publish("--dry-run", "wrong.jsonl", "-o", "json")
    (line,) = json.loads(out)["lines"]
    found = {each["path"]: each["reason"] for each in line["problems"]}
    assert found["$.time"] == "time-in-future"
    assert found["$.data.title"] == "contract-mismatch"
    assert found["$.data.nino"] == "identifier-invalid"
    _, _, err = publish("--dry-run", "wrong.jsonl")
    assert all(f"\n  {path}: " in err for path in found)
    assert CANARY not in out + err


def test_each_reason_of_a_line_is_told_with_what_mends_it(publish: Run, tmp_path: Path):
    """E7's first is the line's reason; whoever mended that alone would be refused again for the next."""
    wrong = json.loads(EXAMPLE.read_text().splitlines()[1])
    wrong |= {"time": "2199-01-01T00:00:00Z", "source": "urn:gov:nobody:x"}
    wrong["data"] |= {"nino": CANARY}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(wrong))
    _, _, err = publish("--dry-run", "wrong.jsonl")
    heads = [line.partition(";") for line in err.splitlines() if not line.startswith("  ")]
    assert [head for head, _, _ in heads[:-1]] == [
        "line 1: not-the-owner",
        "and identifier-invalid",
        "and time-in-future",
    ]
    assert "contract's owners" in heads[0][2]
    assert "at its source" in heads[1][2]
    assert "clock" in heads[2][2]
    _, out, _ = publish("--dry-run", "wrong.jsonl", "-o", "jsonl")
    told = json.loads(out.splitlines()[0])["problems"]
    assert {each["reason"]: each["mend"] for each in told}["identifier-invalid"].endswith("at its source")


def test_every_attribute_that_is_wrong_has_advice_of_its_own(publish: Run, tmp_path: Path):
    """One reason, `undecodable`, and three things to do."""
    event = json.loads(EXAMPLE.read_text().splitlines()[0]) | {"source": "dwp", "id": "", "time": "noon"}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(event))
    _, _, err = publish("--dry-run", "wrong.jsonl")
    assert all(advice in err for advice in ("an id of its own", "urn:gov:dwp:cis", "2026-03-02T09:00:00Z"))


def test_a_line_with_a_hundred_mistakes_is_no_wall_of_text(publish: Run, tmp_path: Path):
    """A person reads some and how many more there are; a program is told of all."""
    wrong = json.loads(EXAMPLE.read_text().splitlines()[0])
    wrong["data"] = {"field_" + "a" * number: 1 for number in range(1, 61)}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(wrong))
    _, _, err = publish("--dry-run", "wrong.jsonl")
    assert len(err.splitlines()) < 20
    _, out, _ = publish("--dry-run", "wrong.jsonl", "-o", "jsonl")
    told = json.loads(out.splitlines()[0])["problems"]
    assert f"and {len(told) - 12} more problems" in err


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ({"source": "dwp"}, "urn:gov:dwp:cis"),
        ({"id": ""}, "an id of its own"),
        ({"time": "1/6/2026"}, "2026-03-02T09:00:00Z"),
        ({"type": "claimant"}, "postroom contract docs"),
    ],
)
def test_an_attribute_is_mended_by_its_own_advice(
    publish: Run, tmp_path: Path, change: dict[str, str], mend: str
):
    """What is wrong with a source is not mended by how a time is written."""
    event = json.loads(EXAMPLE.read_text().splitlines()[0]) | change
    (tmp_path / "wrong.jsonl").write_text(json.dumps(event))
    _, _, err = publish("--dry-run", "wrong.jsonl")
    first = err.splitlines()[0]
    assert mend in first
    assert ("2026-03-02T09:00:00Z" in first) == ("time" in change)


def test_an_event_over_several_lines_is_told_how_to_be_one(publish: Run, tmp_path: Path):
    """JSON as an editor lays it out is the commonest first file."""
    (tmp_path / "laid-out.jsonl").write_text(json.dumps({"specversion": "1.0"}, indent=2))
    _, _, err = publish("--dry-run", "laid-out.jsonl")
    assert "jq -c . FILE" in err.splitlines()[0]


@pytest.mark.parametrize("form", ["table", "json", "jsonl"])
def test_no_value_of_an_event_is_shown(publish: Run, mixed: Path, form: str):
    """What is wrong, never what it is."""
    _, out, err = publish("--dry-run", str(mixed), "-o", form)
    assert CANARY not in out + err


def test_a_person_reads_words_beside_the_table(publish: Run, mixed: Path):
    """The table is on stdout, the bad lines on stderr."""
    code, out, err = publish("--dry-run", str(mixed))
    assert code == 1
    assert "uk.gov.health.registration.v1" in out
    assert "line 3: undecodable" in err
    assert "line 3" not in out


def test_stdin_is_read_with_a_dash(publish: Run, monkeypatch: pytest.MonkeyPatch):
    """So that another program can write the events."""
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(EXAMPLE.read_bytes())))
    code, out, _ = publish("--dry-run", "-", "-o", "json")
    assert code == 0
    assert json.loads(out)["published"] == 5


def test_an_empty_file_publishes_nothing(publish: Run, tmp_path: Path):
    """Nothing to do is not an error."""
    (tmp_path / "empty.jsonl").touch()
    code, _, err = publish("--dry-run", "empty.jsonl")
    assert code == 0
    assert "0 would be published" in err
    assert "no event stands in empty.jsonl" in err


@pytest.mark.parametrize(
    ("content", "problem", "mend"),
    [
        (b'[{"id": "a"}]', "not an array", "jq -c '.[]' FILE"),
        ("{}".encode("utf-16"), "text in UTF-8, not in UTF-16", "written as UTF-8"),
        ('{"id": "é"}'.encode("latin-1"), "text in UTF-8", "iconv"),
        (gzip.compress(b"{}", mtime=0), "not what gzip made of it", "one CloudEvent 1.0 in JSON"),
        (b"PK\x03\x04rest", "a spreadsheet", "one CloudEvent 1.0 in JSON"),
        (b"id,source\n", "looks like CSV", "docs/files.md"),
        (b'"Form";"Rate"\nF-1;1,5\n', "looks like CSV", "docs/files.md"),
        (b"id: a\n", "expected JSON: ", "one CloudEvent 1.0 in JSON"),
    ],
    ids=["array", "UTF-16", "Latin-1", "gzip", "spreadsheet", "CSV", "CSV in quotes", "YAML"],
)
def test_a_file_that_is_something_else_is_called_by_its_name(
    publish: Run, tmp_path: Path, content: bytes, problem: str, mend: str
):
    """What departments send first: the problem says what it is, the mend how it becomes a file of events."""
    (tmp_path / "other.jsonl").write_bytes(content)
    _, _, err = publish("--dry-run", "other.jsonl")
    first, second = err.splitlines()[:2]
    assert problem in second
    assert mend in first


def test_a_byte_order_mark_before_the_first_event_is_no_mistake(publish: Run, tmp_path: Path):
    """RFC 8259 lets a reader ignore it; Windows writes it without asking."""
    (tmp_path / "marked.jsonl").write_bytes(b"\xef\xbb\xbf" + EXAMPLE.read_bytes())
    assert publish("--dry-run", "marked.jsonl")[0] == 0


def test_the_same_mistake_in_every_line_is_told_of_five_and_counted(publish: Run, tmp_path: Path):
    """A person reads what is wrong once; a program is told of each line."""
    event = json.loads(EXAMPLE.read_text().splitlines()[0]) | {"source": "dwp"}
    lines = [json.dumps(event | {"id": f"e-{number}"}) for number in range(300)]
    (tmp_path / "all.jsonl").write_text("\n".join([*lines, json.dumps(event | {"time": "noon"})]))
    _, _, err = publish("--dry-run", "all.jsonl")
    told = [line.partition(":")[0] for line in err.splitlines() if line.startswith("line ")]
    assert told == ["line 1", "line 2", "line 3", "line 4", "line 5", "line 301"]
    assert "295 more lines, the last of them 300: undecodable" in err
    _, out, _ = publish("--dry-run", "all.jsonl", "-o", "jsonl")
    assert [json.loads(line).get("line") for line in out.splitlines()][:-1] == list(range(1, 302))


class Ending(BytesIO):
    """A stream behind whose second line somebody asks the process to end."""

    def __init__(self, content: bytes, number: signal.Signals) -> None:
        super().__init__(content)
        self._number, self._read = number, 0

    def readline(self, size: int | None = -1) -> bytes:
        self._read += 1
        if self._read == 3:
            os.kill(os.getpid(), self._number)
        return super().readline(-1 if size is None else size)


@pytest.fixture
def heard() -> Iterator[None]:
    """SIGHUP as a terminal's end means it: under `nohup` these tests inherit that it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_in_the_middle_is_told_how_far_it_went(
    publish: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    """§8, E1: the counts of what went, the line behind which nothing did, and how to go on. Exit 130, and
    the signal means again what it meant before.
    """
    monkeypatch.setattr("sys.stdin", TextIOWrapper(Ending(EXAMPLE.read_bytes(), number)))
    before = signal.getsignal(number)
    code, out, err = publish("--dry-run", "-", "-o", "json")
    assert code == 130
    assert json.loads(out)["published"] == 2
    assert "stopped behind line 2" in err
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("heard")
def test_under_nohup_it_goes_on_to_the_end(publish: Run, monkeypatch: pytest.MonkeyPatch):
    """Who had SIGHUP ignored meant it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(Ending(EXAMPLE.read_bytes(), signal.SIGHUP)))
    assert publish("--dry-run", "-")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_under_way_when_it_is_ended_is_waited_for(
    publish: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    """E1: each line that was handed to Kafka is counted by what Kafka said of it, and a signal that comes
    while it is waited for breaks nothing off.
    """

    def published(
        lines: Iterable[Line], contracts: Contracts, named: object, of: object, tally: Any, seen: object
    ) -> None:
        under_way = [line.number for line in lines]
        os.kill(os.getpid(), number)
        tally.take(Published(each, "uk.gov.benefits.claimant.v1") for each in under_way)

    monkeypatch.setattr("postroom.commands.publish._publish", published)
    stream = TextIOWrapper(Ending(EXAMPLE.read_bytes(), number))
    monkeypatch.setattr("sys.stdin", stream)
    code, out, err = publish("-", "-o", "json")
    assert (code, json.loads(out)["published"]) == (130, 2)
    assert "send it all again, nothing counts twice" in err
    monkeypatch.setattr("postroom.commands.publish._opened", lambda _: nullcontext(fresh(number)))
    code, _, err = publish("my events.jsonl")
    assert code == 130
    assert "`tail -n +3 'my events.jsonl' | postroom publish -` goes on behind it" in err


def fresh(number: signal.Signals) -> Ending:
    return Ending(EXAMPLE.read_bytes(), number)


def test_one_id_with_two_contents_in_one_file_is_told_with_both_lines(publish: Run, tmp_path: Path):
    """E1: the backbone would keep one of the two, whichever was meant; the same again is no matter."""
    first = json.loads(EXAMPLE.read_text().splitlines()[0])
    other = first | {"time": "2026-03-03T09:00:00Z"}
    elsewhere = other | {"source": first["source"] + "-2"}
    (tmp_path / "twice.jsonl").write_text("\n".join(map(json.dumps, [first, first, "", elsewhere, other])))
    code, out, err = publish("--dry-run", "twice.jsonl", "-o", "json")
    told = json.loads(out)
    assert (code, told["published"]) == (1, 3), err
    [no_event, reused] = told["lines"]
    assert (no_event["line"], reused["line"], reused["reason"]) == (3, 5, "id-reused")
    assert reused["why"].startswith("line 1 has the same source and id")
    assert "an id of its own" in reused["mend"]
    _, _, err = publish("--dry-run", "twice.jsonl")
    assert "line 5: id-reused: line 1 has the same source and id" in err
    assert first["id"] not in err


@pytest.mark.parametrize("file", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_wrong_use(publish: Run, file: str):
    """Exit 2, with the file's name."""
    code, out, err = publish("--dry-run", file)
    assert code == 2
    assert out == ""
    assert "the file cannot be read" in err
    assert "Traceback" not in err


def test_contracts_that_are_not_in_order_are_wrong_use(
    publish: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Exit 2, and the way to the gate."""
    (tmp_path / "half.avsc").write_text('{"type": "record"', encoding="utf-8")
    monkeypatch.setenv("POSTROOM_CONTRACTS", str(tmp_path))
    code, _, err = publish("--dry-run", str(EXAMPLE))
    assert code == 2
    assert "postroom contract check" in err


def test_a_directory_of_contracts_that_is_not_there_is_wrong_use(
    publish: Run, monkeypatch: pytest.MonkeyPatch
):
    """Exit 2, and which setting names it."""
    monkeypatch.setenv("POSTROOM_CONTRACTS", "nowhere")
    code, _, err = publish("--dry-run", str(EXAMPLE))
    assert code == 2
    assert "there is no contracts directory" in err
    assert "POSTROOM_CONTRACTS" in err


def test_without_a_stack_the_command_says_how_to_get_one(publish: Run):
    """Exit 3, nothing published, nothing started."""
    code, _, err = publish(str(EXAMPLE))
    assert code == 3
    assert "postroom up" in err


def test_an_unreachable_cluster_is_exit_3(publish: Run, monkeypatch: pytest.MonkeyPatch):
    """An address where nobody listens."""
    monkeypatch.setenv("POSTROOM_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("POSTROOM_REGISTRY", "http://127.0.0.1:9")
    code, _, err = publish(str(EXAMPLE))
    assert code == 3
    assert "Traceback" not in err
