"""The frame around every page of the catalogue, and its style sheet: no script, nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import files

from .html import Html, Inside, el, inline, link

STYLE_FILE = "style.css"
STYLE = files(__package__).joinpath("catalogue.css").read_text(encoding="utf-8")
SECTIONS = (
    ("index.html", "Overview"),
    ("agreements.html", "Agreements"),
    ("contracts.html", "Contracts"),
    ("attributes.html", "Attributes"),
    ("organisations.html", "Organisations"),
    ("identifiers.html", "Identifiers"),
    ("a-z.html", "A to Z"),
)
TITLE = "Catalogue of contracts and agreements"


def page(title: str, section: str, *inside: Inside, above: tuple[str, str] | None = None) -> str:
    """A whole page; `section` is the file of the part it belongs to, `above` the page one step up."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title if title == TITLE else f"{title} – {TITLE}"),
        el("link", rel="stylesheet", href=STYLE_FILE),
    )
    body = el(
        "body",
        el("a", "Skip to the content", href="#content", class_="skip"),
        el("header", el("p", link("index.html", "Postroom"), class_="name"), _navigation(section)),
        el("main", _way_up(above), el("h1", title), *inside, id="content", tabindex="-1"),
        el(
            "footer",
            el(
                "p",
                "Made from the contracts and agreements, so it says what runs. It names no citizen.",
            ),
        ),
    )
    return "<!doctype html>\n" + el("html", head, body, lang="en-GB")


def _navigation(section: str) -> Html:
    here = {"aria_current": "page"}
    items = [
        el("li", inline("a", name, href=file, **(here if file == section else {}))) for file, name in SECTIONS
    ]
    return el("nav", el("ul", items), aria_label="Parts of the catalogue")


def _way_up(above: tuple[str, str] | None) -> Html | None:
    return None if above is None else el("p", "In: ", link(*above), class_="up")
