"""The first steps as they are typed: a contract of one's own is made, and its events are taken under it."""

import json
import re
import shlex
from pathlib import Path
from shutil import copytree

import pytest

from postroom.cli import run
from postroom.settings import settings
from producers import Ready, make_ready
from schemas import Contracts, load_contracts, parse_instant

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "first-steps.md").read_text(encoding="utf-8")
NOW_MS = parse_instant("2026-06-05T12:00:00Z")


def written(name: str) -> str:
    """What the page has the reader write into a file."""
    (content,) = re.findall(rf"^cat > {re.escape(name)} <<'END'\n(.*?)^END$", PAGE, re.DOTALL | re.MULTILINE)
    return str(content)


@pytest.fixture
def contracts(tmp_path: Path) -> Contracts:
    """The contracts once the page's `contract new` was typed."""
    rules = tmp_path / "rules"
    copytree(ROOT / "schemas", rules)
    (typed,) = re.findall(r"^postroom (contract new .*?--write-catalogue)$", PAGE, re.DOTALL | re.MULTILINE)
    settings.cache_clear()
    assert run([*shlex.split(typed.replace("\\\n", " ")), "--contracts", str(rules)]) == 0
    settings.cache_clear()
    return load_contracts(rules)


def test_what_is_typed_and_what_is_answered_stand_apart():
    """A block is pasted as it stands: no prompt is in front of a command, and no answer behind one."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert {kind for kind, _ in blocks} == {"sh", ""}
    assert not [line for _, block in blocks for line in block.splitlines() if line.startswith("$ ")]
    typed = re.compile(r"^(?:postroom|curl|as|export|cat|sed|cp) ", re.MULTILINE)
    assert not [block for kind, block in blocks if not kind and typed.search(block)]


def test_the_events_of_the_page_go_out_under_the_contract_of_the_page(contracts: Contracts):
    """The card by curl, and the consent under the card's number."""
    (consent,) = re.findall(r"^echo '(.*\"card-3\".*)' \| postroom publish -$", PAGE, re.MULTILINE)
    for event in (json.loads(written("my-card.json")), json.loads(consent)):
        ready = make_ready(json.dumps(event).encode(), contracts, NOW_MS)
        assert isinstance(ready, Ready), ready


def test_the_client_of_the_page_is_bound_to_the_source_of_the_card():
    """The gateway takes the card: its owner and its system are the client's."""
    source = json.loads(written("my-card.json"))["source"]
    assert "leeds-cards: {owner: council-leeds, scopes: [publish], systems: [cards]}" in written(
        "my-clients.yaml"
    )
    assert source == "urn:gov:council-leeds:cards"


def test_the_program_of_the_page_is_python():
    """It is copied as it stands."""
    compile(written("my-cards.py"), "my-cards.py", "exec")
