"""`postroom contract new`: a department's contract from answers (E4, E5)."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from postroom.cli import build, run
from postroom.contract import questions as contract_questions
from postroom.settings import settings
from schemas import Kind, check_directory, load_contracts
from schemas.catalogue_text import NotAdded, with_attributes, with_pairs, with_schemes
from tests.contracts_kit import ADDRESS, BENEFIT, ITEM, record, write

TYPE = "uk.gov.libraries.reading-card.v1"
PATH = "libraries/reading-card.v1.avsc"
FACT = ("--domain", "libraries", "--fact", "reading-card", "--owner", "library")
WORDS = ("--doc", "A reader got a card.", "--retention", "P3Y")
OWN_SCHEME = (
    *("--subject", "card", "--scheme-pattern", "CARD-[0-9]{6}", "--scheme-description", "A reader's card"),
    "--scheme-exclusive",
)
READING_CARD = (
    *("--attribute", "reading_card:one-of=ADULT|CHILD", "--category", "reading_card=leisure"),
    *("--describe", "reading_card=The card: whose it is.", "--sensitivity", "reading_card=standard"),
)
LIBRARY_CARD = (
    *(*FACT, *WORDS, *OWN_SCHEME, *READING_CARD, "--attribute", "address", "--same-person", "nino"),
    *("--effective", "issued_on", "--until", "ends_on:timestamp"),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    settings.cache_clear()
    return write(tmp_path / "contracts", {"civil/address.v1.avsc": record(ADDRESS)})


def new(directory: Path, *arguments: str) -> int:
    return run(["contract", "new", "--contracts", str(directory), *arguments])


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    read: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    return read


def fields(directory: Path, path: str = PATH) -> dict[str, Any]:
    schema = json.loads((directory / path).read_text(encoding="utf-8"))
    return {each["name"]: each for each in schema["fields"]}


def test_a_library_card_from_scratch_passes_the_gate_and_its_samples_are_accepted(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    """The whole kit by options alone: contract, catalogue, gate, samples."""
    assert new(directory, *LIBRARY_CARD, "--write-catalogue", "-o", "json") == 0
    said = capsys.readouterr()
    assert [(Path(row["file"]).name, row["state"]) for row in json.loads(said.out)] == [
        ("reading-card.v1.avsc", "written"),
        ("attributes.yaml", "added"),
        ("identifiers.yaml", "added"),
        ("authority.yaml", "added"),
    ]
    assert f"contract test {TYPE} --sample" in said.err
    assert run(["contract", "check", str(directory)]) == 0
    contract = load_contracts(directory).by_type[TYPE]
    assert (contract.owners, contract.subject.scheme) == (frozenset({"library"}), "card")
    assert [each.scheme for each in contract.links] == ["nino"]
    assert [each.attribute for each in contract.attributes] == ["reading_card", "address"]
    assert (contract.terms, contract.prior) == ({"effective": "issued_on", "until": "ends_on"}, "prior")
    capsys.readouterr()
    where = ["--contracts", str(directory), "--agreements", str(directory / "libraries")]  # which has none
    assert run(["contract", "test", TYPE, "--sample", *where, "-o", "json"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [line["verdict"] for line in lines] == ["accepted"] * 5


@pytest.mark.parametrize(
    ("symbols", "default"), [("ADULT|CHILD", None), ("ADULT|CHILD|OTHER", "OTHER"), ("unknown|A", "unknown")]
)
def test_a_list_of_symbols_that_can_grow_has_a_default_that_says_nothing_of_anybody(
    directory: Path, capsys: pytest.CaptureFixture[str], symbols: str, default: str | None
):
    """E6: without one no symbol can be added, which is said; ADULT as one would make adults of whom an older
    reader does not know.
    """
    card = [each.replace("ADULT|CHILD", symbols) for each in LIBRARY_CARD]
    assert new(directory, *card, "--write-catalogue") == 0
    assert fields(directory)["reading_card"]["type"].get("default") == default
    hint = "hint: reading_card: it can take no new symbol later"
    words = capsys.readouterr().err
    assert (hint in words) == (default is None)
    assert (f"`reading_card:one-of={symbols}|OTHER`" in words) == (default is None)
    assert run(["contract", "freeze", str(directory)]) == 0
    path = directory / PATH
    path.write_text(path.read_text().replace('"CHILD"', '"CHILD",\n"BABY"').replace('"A"', '"A",\n"BABY"'))
    assert run(["contract", "check", str(directory)]) == (1 if default is None else 0)


def test_without_being_asked_only_the_contract_is_written_and_the_rest_is_shown(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    """The catalogue is everybody's: its lines are shown, what remains is said by the gate; exit 1."""
    before = {path.name: path.read_text() for path in directory.glob("*.yaml")}
    assert new(directory, *LIBRARY_CARD) == 1
    said = capsys.readouterr()
    assert {path.name: path.read_text() for path in directory.glob("*.yaml")} == before
    for words in (
        f"written: {directory / PATH}",
        f"to add: {directory / 'attributes.yaml'}\n# below attributes:\n  reading_card:\n",
        f"to add: {directory / 'identifiers.yaml'}\n# below schemes:\n  card:\n",
        'pattern: "CARD-[0-9]{6}"',
        f"to add: {directory / 'authority.yaml'}\nlibrary: [[card, nino]]\n",
    ):
        assert words in said.out
    assert "unknown-attribute" in said.err
    assert "unknown-scheme" in said.err


def test_what_is_shown_is_what_has_to_be_added(directory: Path, capsys: pytest.CaptureFixture[str]):
    """A person who pastes the lines where they are said to go ends with a clean gate."""
    assert new(directory, *LIBRARY_CARD, "-o", "json") == 1
    for row in rows(capsys)[1:]:
        file = Path(row["file"])
        file.write_text(file.read_text() + row["lines"])  # each file of the kit ends where rows are added
    assert check_directory(directory)[1] == []


def test_authority_alone_remains_where_all_else_is_known(directory: Path, capsys: pytest.CaptureFixture[str]):
    """E6: an owner's authority is somebody's to give; the command says which line is missing."""
    arguments = (*FACT, *WORDS, "--subject", "nino", "--same-person", "nhs", "--attribute", "name:text")
    assert new(directory, *arguments, "-o", "json") == 1
    said = capsys.readouterr()
    assert [row["lines"] for row in json.loads(said.out)] == ["", "library: [[nhs, nino]]\n"]
    assert "no-authority: library has no authority over nhs with nino" in said.err
    more = ("--version", "2", "--owner", "dwp")  # which has that authority
    assert new(directory, *arguments, *more, "-o", "json") == 1
    assert rows(capsys)[1]["lines"] == "library: [[nhs, nino]]\n"


def test_an_existing_contract_is_never_written_over(directory: Path, capsys: pytest.CaptureFixture[str]):
    """Exit 2, and the file is as it was; the next version is another file."""
    arguments = (*FACT, *WORDS, "--subject", "nino", "--attribute", "name:text")
    assert new(directory, *arguments) == 0
    (directory / PATH).write_text("mine")
    assert new(directory, *arguments) == 2
    assert "there is such a contract already" in capsys.readouterr().err
    assert (directory / PATH).read_text() == "mine"


def test_a_scheme_and_an_attribute_of_one_name_make_two_fields(directory: Path):
    """E4: a card's number and what is said of the card; the department need not know how fields are named."""
    scheme = ("--subject", "reading-card", *OWN_SCHEME[2:])
    assert new(directory, *FACT, *WORDS, *scheme, *READING_CARD, "--write-catalogue") == 0
    assert list(fields(directory)) == ["reading_card_number", "reading_card", "prior"]


def test_an_attribute_keeps_the_type_that_it_has(directory: Path):
    """E5: one Avro type across all contracts, its description as the field's doc."""
    assert new(directory, *FACT, *WORDS, "--subject", "nino", "--attribute", "address") == 0
    made = fields(directory)["address"]
    assert made["type"] == ADDRESS["type"]
    assert (made["doc"], made["postroom"]) == ("Address", {"attribute": "address"})


def test_attributes_that_repeat_bring_an_item(directory: Path):
    """E4: exactly when they repeat; named by the option."""
    write(directory, {"money/award.v1.avsc": record(ITEM, BENEFIT)})
    arguments = (*FACT, *WORDS, "--subject", "nino", "--attribute", "benefit", "--item", "claim")
    assert new(directory, *arguments) == 0
    assert fields(directory)["claim"]["postroom"] == {"item": True}
    mine = (*READING_CARD, "--repeats", "reading_card", "--write-catalogue", "--version", "2")
    assert new(directory, *FACT, *WORDS, "--subject", "nino", *mine) == 0
    made = load_contracts(directory)
    assert made.attributes["reading_card"].items
    assert made.by_type["uk.gov.libraries.reading-card.v2"].item == "reference"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_contract_of_every_kind_can_be_made(directory: Path, kind: Kind):
    """E4, §5: each with the terms, the prior or the other identifier that it needs."""
    more = {
        Kind.FACT: ("--attribute", "address", "--same-person", "nhs", "--superseded-by", "nino"),
        Kind.LINK: ("--other", "nhs"),
        Kind.UNLINK: ("--other", "*"),
    }.get(kind, ())
    said = (*FACT, *WORDS, "--subject", "nino", "--kind", kind.value, *more, "--write-catalogue")
    assert new(directory, *said) == 0
    assert load_contracts(directory).by_type[TYPE].kind is kind


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--domain", "Libraries"), "--domain does not fit"),
        (("--retention", "3 years"), "--retention does not fit"),
        (("--kind", "fiction"), "--kind does not fit"),
        (("--owner", "The Library"), "--owner does not fit"),
        (("--subject", "ninno"), "did you mean nino? name one; if it is a new one"),
        (("--attribute", "adress"), "there is no attribute 'adress'; did you mean address?"),
        (("--attribute", "Reading-Card:text"), "it is letters, digits and _"),
        (("--attribute", "reading_card:one-of=ADULT|A CHILD", *READING_CARD[2:]), "as Avro 1.11 says"),
        (("--same-person", "library-card"), "there is no scheme 'library-card'"),
        (("--attribute", "name"), "say its type: --attribute name:TYPE"),
        (("--attribute", "address:picture"), "picture is none of text, date"),
        (("--attribute", "reading_card:text"), "--category is not given"),
        ((*READING_CARD[2:], "--attribute", "reading_card:text", "--category", "reading_card"), "NAME=…"),
        (
            (*READING_CARD, "--sensitivity", "reading_card=secret"),
            "--sensitivity does not fit: 'reading_card=secret'",
        ),
        ((*READING_CARD, "--category", "reading_card=The arts"), "--category does not fit"),
        (("--effective", "from:text"), "--effective does not fit: 'text'; one of: date, timestamp"),
        (("--effective", "nino"), "nino"),
        (("--subject", "Card"), "--subject does not fit"),
        (("--subject", "card"), "give --scheme-pattern and --scheme-description"),
        (("--subject", "card", "--scheme-pattern", "["), "not a regular expression"),
        (("--attribute", "address", "--attribute", "benefit:whole-number"), "do not stand in one contract"),
    ],
)
def test_answers_that_make_no_contract_write_nothing(
    directory: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, ...], words: str
):
    """Exit 2 with what is wrong, before any file is touched."""
    assert new(directory, *FACT, *WORDS, "--subject", "nino", *change, "--write-catalogue") == 2
    assert words in capsys.readouterr().err
    assert not (directory / "libraries").exists()


def test_every_mistake_of_the_options_is_told_in_one_round(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    """What is given and not known is not said to be missing; what it may have meant is."""
    said = (*FACT[:4], "--owner", "DWP", "--owner", "dwpp", "--doc", "X.", "--retention", "3Y")
    wrong = ("--attribute", "adress", "--attribute", "b:txt", "--category", "b", "--effective", "on:text")
    assert new(directory, *said, "--subject", "ninoo", "--same-person", "nhss", *wrong) == 2
    words = capsys.readouterr().err
    assert "attribute is not given" not in words
    for told in (
        "--owner does not fit: 'DWP'",
        "--attribute does not fit: there is no attribute 'adress'; did you mean address?",
        "txt is none of text, date",
        "--category does not fit: 'b'; --category NAME=…",
        "--describe is not given: What b is; --describe b=…",
        "--effective does not fit: 'text'",
        "there is no scheme 'ninoo'; did you mean nino?",
        "there is no scheme 'nhss'; did you mean nhs?",
        "--retention does not fit: '3Y'; not an ISO 8601 duration such as P7Y",
    ):
        assert told in words
    assert not (directory / "libraries").exists()


def test_at_a_terminal_nothing_is_asked_once_an_option_is_wrong(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    """Answers that are thrown away are nobody's time well spent; exit 2."""
    monkeypatch.setattr(contract_questions, "at_a_terminal", lambda: True)
    said = ["contract", "new", "--contracts", str(directory), "--domain", "Libraries", "--fact", "x"]
    done = CliRunner().invoke(build(), said, input="none of yours\n" * 20)
    assert done.exit_code != 0
    assert "Owners" not in done.output


def test_an_owner_that_looks_like_another_is_a_hint_and_no_mistake(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    """Every department's first contract has an owner that no contract has named."""
    near = ("--domain", "libraries", "--fact", "reading-card", "--owner", "dwpp", *WORDS, "--subject", "nino")
    assert new(directory, *near) == 0
    assert "hint: --owner dwpp: no contract names it yet; did you mean dwp?" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--domain", "--fact", "--owner", "--doc", "--retention", "--subject"])
def test_without_a_terminal_what_has_no_safe_default_must_be_said(
    directory: Path, capsys: pytest.CaptureFixture[str], missing: str
):
    """A script learns which option is missing; exit 2, nothing asked, nothing written."""
    said = [*FACT, *WORDS, "--subject", "nino"]
    at = said.index(missing)
    assert new(directory, *said[:at], *said[at + 2 :]) == 2
    assert f"{missing} is not given" in capsys.readouterr().err
    assert not (directory / "libraries").exists()


def test_a_person_is_asked_and_may_answer_again(directory: Path, monkeypatch: pytest.MonkeyPatch):
    """At a terminal: every question in turn, a wrong answer said and asked again, options not asked."""
    monkeypatch.setattr(contract_questions, "at_a_terminal", lambda: True)
    answers = (
        *("Libraries", "libraries", "reading-card", "library", "A reader got a card.", ""),
        *("card", "CARD-[0-9]{6}", "A reader's card", "yes", "none", "reading_card, address"),
        *("picture", "text", "leisure", "The card.", "standard", "", "issued_on", "none", "P3Y"),
    )
    done = CliRunner().invoke(
        build(),
        ["contract", "new", "--contracts", str(directory), "--write-catalogue"],
        input="\n".join(answers) + "\n",
    )
    assert done.exit_code == 0, done.stderr
    assert "it is lower case with hyphens" in done.stderr
    assert "picture is none of text" in done.stderr
    assert list(fields(directory)) == ["card", "reading_card", "address", "issued_on", "prior"]
    assert load_contracts(directory).schemes.declared["card"].exclusive


def test_with_an_option_given_only_what_nothing_can_stand_for_is_asked(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    """At a terminal too: a command that was pasted asks nothing that has a usual answer, so the next line
    that was pasted answers nothing; what is missing is asked for.
    """
    monkeypatch.setattr(contract_questions, "at_a_terminal", lambda: True)
    said = ["contract", "new", "--contracts", str(directory), *FACT, "--subject", "nino", *WORDS]
    done = CliRunner().invoke(build(), said, input="none of yours\n")
    assert done.exit_code == 0, done.stderr
    assert list(fields(directory)) == ["nino", "prior"]
    (directory / PATH).unlink()
    done = CliRunner().invoke(build(), said[:-2], input="seven years\nP7Y\nnone of yours\n")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("How long it counts") == 2
    assert "Other schemes" not in done.stderr


def test_what_people_wrote_in_the_catalogue_stays(directory: Path):
    """Comments, order and layout: lines are added, none is changed but the owner's own row of pairs."""
    texts = {
        "attributes": "# ours\nattributes:\n    # first\n    address: {category: contact, description: A}\n",
        "authority": "# who may\nlibrary: [[nino, nhs]]  # since 2020\n",
        "identifiers": "",
    }
    write(directory, {}, **texts)
    (directory / "identifiers.yaml").unlink()
    assert new(directory, *LIBRARY_CARD, "--write-catalogue") == 0
    written = {name: (directory / f"{name}.yaml").read_text() for name in texts}
    assert written["attributes"].startswith(
        texts["attributes"] + "    reading_card:\n        category: leisure"
    )
    assert written["authority"] == "# who may\nlibrary: [[nino, nhs], [card, nino]]  # since 2020\n"
    assert written["identifiers"].startswith("schemes:\n  card:\n")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("attributes", "attributes: {address: {category: contact, description: A}}\n"),
        ("authority", "library:\n  - [nino, nhs]\n"),
        ("identifiers", "schemes: {}\n"),
    ],
)
def test_a_file_laid_out_in_another_way_is_left_to_a_person(
    directory: Path, capsys: pytest.CaptureFixture[str], file: str, text: str
):
    """Nothing is guessed: the lines are shown, the file stays, exit 1."""
    write(directory, {}, **{file: text})
    assert new(directory, *LIBRARY_CARD, "--write-catalogue", "-o", "json") == 1
    said = capsys.readouterr()
    assert f"{file}.yaml" in said.err
    assert "add the lines by hand" in said.err
    assert (directory / f"{file}.yaml").read_text() == text
    states = {Path(row["file"]).stem: row["state"] for row in json.loads(said.out)}
    assert states[file] == "to add"
    assert sorted(states.values()) == ["added", "added", "to add", "written"]


@pytest.mark.parametrize(
    "text", ["[]", "a: [", "attributes:\n  reading_card: {}\n", "schemes: {}\nother: 1\n", "library: 7\n"]
)
def test_rows_are_added_only_where_the_file_then_says_just_that_more(text: str, directory: Path):
    """E5: whatever the text was."""
    new(directory, *LIBRARY_CARD, "--write-catalogue")
    known = load_contracts(directory)
    for add in (
        lambda: with_attributes(text, [known.attributes["reading_card"]]),
        lambda: with_schemes(text, known.schemes.declared),
        lambda: with_pairs(text, {"library": [("card", "nino")]}),
    ):
        try:
            after = add()
        except NotAdded:
            continue
        assert after.startswith(text)


def test_a_directory_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """§8: exit 2."""
    assert new(tmp_path / "nowhere", *FACT) == 2
    assert "there is no contracts directory" in capsys.readouterr().err
