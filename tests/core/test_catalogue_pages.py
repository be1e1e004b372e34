"""The HTML catalogue: complete, linked, accessible in its markup, and safe; a browser test sees the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from postroom.composition import load_rules_files
from postroom.documents import made, wire_of
from schemas import DECEASED, ENROLLED, Agreement, Contracts, beginning, ending, parse_duration
from schemas.documents import catalogue, flows
from schemas.documents.html import el, link, marked
from schemas.documents.words import in_force, iso, lasting, listed, not_in_force

ROOT = Path(__file__).parents[2]
CONTRACTS, AGREEMENTS = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")


def pages_of(contracts: Contracts, agreements: Mapping[str, Agreement]) -> dict[str, str]:
    return catalogue(flows(contracts, agreements), wire_of(contracts, agreements, 3))


PAGES = pages_of(CONTRACTS, AGREEMENTS)
HTML = {name: text for name, text in PAGES.items() if name.endswith(".html")}
VOID = ("meta", "link", "br", "wbr")


@dataclass
class Seen(HTMLParser):
    """What a page is made of; the parser fails at markup that is not closed."""

    html: str
    links: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    tables: list[list[tuple[str, dict[str, str | None]]]] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [found["id"]] if found.get("id") else []  # type: ignore[list-item]
        self.links += [found["href"]] if tag == "a" else []  # type: ignore[list-item]
        if tag == "table":
            self.tables.append([])
        if "table" in self.open and self.tables:
            self.tables[-1].append((tag, found))
        if tag[0] == "h" and tag[1:].isdecimal():
            self.headings.append(int(tag[1:]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


SEEN = {name: Seen(text) for name, text in HTML.items()}


def test_every_contract_agreement_attribute_organisation_and_field_is_there():
    """Who publishes what, who receives it: nothing of the rules is missing, and all of it is in the index."""
    index = SEEN["a-z.html"].text
    for type_, contract in CONTRACTS.by_type.items():
        page = SEEN[f"contract-{type_}.html"]
        assert all(owner in page.text for owner in contract.owners)
        for name in contract.codec.type.fields:
            assert f"field-{name.name}" in page.ids
            assert name.name in index
        assert type_ in index
    for name, agreement in AGREEMENTS.items():
        page = SEEN[f"agreement-{name}.html"]
        assert agreement.subscriber in page.text
        assert agreement.purpose in page.text
        assert name in index
        for grant in agreement.attributes:
            assert grant.attribute in page.text
            assert f"receives-{grant.attribute}" in SEEN["attributes.html"].ids


@pytest.mark.parametrize("name", sorted(HTML))
def test_every_link_leads_somewhere(name: str):
    """From a file as well as from a server: only relative links, each to a page and an anchor that are."""
    for to in SEEN[name].links:
        file, _, anchor = to.partition("#")
        assert (file or name) in SEEN, f"{name}: {to}"
        if anchor:
            assert anchor in SEEN[file or name].ids, f"{name}: {to}"


@pytest.mark.parametrize("name", sorted(HTML))
def test_a_page_can_be_read_by_a_machine_that_reads_aloud(name: str):
    """WCAG: a language, one first heading, no level left out, unique ids, every table with a caption, its
    columns and rows headed, scrolling parts named and in reach of the keyboard; a way past the navigation.
    """
    seen = SEEN[name]
    tags = dict(reversed(seen.tags))
    assert tags["html"]["lang"] == "en-GB"
    assert seen.headings[0] == 1
    assert seen.headings.count(1) == 1
    assert all(later <= level + 1 for level, later in zip(seen.headings, seen.headings[1:], strict=False))
    assert len(set(seen.ids)) == len(seen.ids)
    assert seen.links[0] == "#content"
    for table in seen.tables:
        assert [tag for tag, _ in table].count("caption") == 1
        heads = [found.get("scope") for tag, found in table if tag == "th"]
        assert set(heads) <= {"col", "row"}
        assert heads.count("row") == [tag for tag, _ in table].count("tr") - 1
    for _, found in seen.tags:
        if found.get("role") == "region":
            assert found.get("tabindex") == "0"
            assert found.get("aria-label") or found.get("aria-labelledby") in seen.ids
    current = [found for tag, found in seen.tags if tag == "a" and "aria-current" in found]
    assert len(current) == 1, "the reader knows in which part of the catalogue this is"


@pytest.mark.parametrize("name", sorted(HTML))
def test_a_page_runs_no_script_and_fetches_nothing_from_elsewhere(name: str):
    """It works from a file, in a locked-down browser, and tells nobody who reads it."""
    assert not {tag for tag, _ in SEEN[name].tags} & {"script", "iframe", "img", "form", "object"}
    for _, found in SEEN[name].tags:
        assert not any(key.startswith("on") for key in found)
        assert not any("//" in (found.get(key) or "") for key in ("href", "src"))
    assert "//" not in PAGES["style.css"]
    assert "url(" not in PAGES["style.css"]


def test_what_an_agreement_leaves_out_is_said():
    """C7: Leeds' housing team sees postcode and authority, and the page says that it sees no more."""
    [row] = [
        line for line in HTML["agreement-council-leeds-housing.html"].split("<tr>") if ">address<" in line
    ]
    shown, hidden = row.split("<td>")[1:3]
    assert "postcode" in shown
    assert "authority" in shown
    assert "lines" not in shown
    assert "lines" in hidden


def test_nobodys_attribute_leads_to_a_receiver_that_has_no_agreement_for_it():
    """Who receives an attribute is those whose agreements name it, no more and no fewer."""
    found = flows(CONTRACTS, AGREEMENTS)
    for name in CONTRACTS.attributes:
        expected = {
            each.agreement for each in AGREEMENTS.values() if name in {g.attribute for g in each.attributes}
        }
        assert {receipt.agreement.agreement for receipt in found.received[name]} == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sees_restricted": True}, "Are shared too"),
        ({"honours_objection": False}, "An objection of the citizen does not stop it"),
        ({"after_death": "continue"}, "It goes on"),
        ({"scope": DECEASED, "after_death": "continue"}, "Only persons who have died"),
        ({"scope": DECEASED, "after_death": "continue"}, "While no death of the person is known"),
        ({"scope": ENROLLED}, "When the subscriber has not enrolled the person"),
        ({"delete_within": parse_duration("P2Y")}, "within 2 years"),
        ({"valid_until": ending("2030-06-30")}, "1 January 2025 to 30 June 2030"),
    ],
)
def test_an_agreement_is_read_aloud_as_it_is(change: dict[str, object], says: str):
    """C5: each of its decisions is on its page, and the page changes with it."""
    before = AGREEMENTS["council-leeds-housing"]
    after = pages_of(CONTRACTS, {before.agreement: replace(before, **change)})  # type: ignore[arg-type]
    assert says in after["agreement-council-leeds-housing.html"]
    assert says not in HTML["agreement-council-leeds-housing.html"]


def test_text_of_a_contract_never_becomes_markup():
    """A description with markup in it is shown, not obeyed."""
    nasty = '<script>alert("x")</script> & <b>bold</b>'
    attributes = {
        name: replace(each, description=nasty) if name == "name" else each
        for name, each in CONTRACTS.attributes.items()
    }
    agreement = replace(AGREEMENTS["dwp-bereavement"], gateway=nasty)
    changed = pages_of(replace(CONTRACTS, attributes=attributes), {agreement.agreement: agreement})
    for page in ("attributes.html", "agreement-dwp-bereavement.html"):
        assert "<script" not in changed[page]
        assert "&lt;script&gt;" in changed[page]
        assert nasty in Seen(changed[page]).text


def test_attributes_of_elements_are_quoted():
    """Nor does a link's address leave its quotes."""
    assert link('a" onclick="x', "<b>") == '<a href="a&quot; onclick=&quot;x">&lt;b&gt;</a>'
    assert el("p", marked("a `b<c` **d** e")) == "<p>a <code>b&lt;c</code> <strong>d</strong> e</p>\n"


def test_a_catalogue_of_nothing_is_whole():
    """No agreement yet: every page is there and says so."""
    empty = pages_of(CONTRACTS, {})
    assert all(Seen(text) for name, text in empty.items() if name.endswith(".html"))
    assert "No agreement shares it." in empty["attributes.html"]
    assert "It receives nothing." in empty["organisations.html"]


def test_the_pages_are_the_same_every_time():
    """No clock and no chance in them: they change with the rules alone, and so can be compared."""
    assert pages_of(CONTRACTS, AGREEMENTS) == PAGES
    assert made(CONTRACTS, AGREEMENTS, 3) == made(CONTRACTS, AGREEMENTS, 3)


@pytest.mark.parametrize(
    ("duration", "words", "level"),
    [
        ("P7Y", "7 years", (7, "y")),
        ("P1D", "1 day", (1, "d")),
        ("P2W", "14 days", (14, "d")),
        ("P1Y6M", "1 year and 6 months", (546, "d")),
        ("PT12H", "12 hours", (43200.0, "s")),
    ],
)
def test_a_duration_in_words_and_as_a_service_level(duration: str, words: str, level: tuple[float, str]):
    """A mixed one is a number of days, counted from 1970: a level has one number and one unit."""
    assert lasting(parse_duration(duration)) == words
    assert iso(parse_duration(duration)) == level


def test_moments_that_are_no_days_are_said_as_moments():
    """§1: a date as an end is its last day, in summer too; a timestamp is itself; the last year works."""
    agreement = AGREEMENTS["council-leeds-housing"]
    summer = replace(agreement, valid_from=beginning("2026-07-01"), valid_until=ending("2026-08-31"))
    assert in_force(summer) == "1 July 2026 to 31 August 2026"
    moment = beginning("2026-07-01T09:30:00Z")
    assert in_force(replace(summer, valid_from=moment)) == "2026-07-01T09:30:00Z to 31 August 2026"
    assert in_force(replace(summer, valid_until=ending("9999-12-31"))).endswith("to 31 December 9999")
    timed = replace(summer, valid_from=moment, valid_until=moment + 1000)
    assert not_in_force(timed, moment) is None
    assert not_in_force(timed, moment - 1) == "is not in force yet: it begins at 2026-07-01T09:30:00Z"
    assert not_in_force(timed, moment + 1000) == "is not in force any more: it ended at 2026-07-01T09:30:01Z"
    assert listed([]) == ""
    assert listed(["a", "b", "c"]) == "a, b and c"
