"""HTML made of elements, so that no text gets into a page unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

VOID = frozenset({"meta", "link", "br", "hr", "img"})
BLOCKS = frozenset(
    {
        "html",
        "head",
        "body",
        "header",
        "main",
        "footer",
        "nav",
        "section",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "ul",
    }
    | {"dl"}
)
_MARKED = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Inside = str | Iterable["Inside"] | None


def el(name: str, /, *inside: Inside, **attributes: str | None) -> Html:
    """An element; text inside is escaped, None is nothing, `class_` and `for_` lose their last sign and other
    underscores become hyphens.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{written}>\n")
    end = "\n" if name in BLOCKS else ""
    return Html(f"<{name}{written}>{end}{''.join(_flat(inside))}</{name}>\n")


def _flat(inside: Iterable[Inside]) -> Iterable[str]:
    for each in inside:
        if isinstance(each, Html):
            yield each
        elif isinstance(each, str):
            yield escape(each, quote=False)
        elif each is not None:
            yield from _flat(each)


def inline(name: str, /, *inside: Inside, **attributes: str | None) -> Html:
    """An element inside a sentence: no line ends behind it."""
    return Html(el(name, *inside, **attributes).rstrip("\n"))


def link(to: str, text: str) -> Html:
    """A link."""
    return inline("a", text, href=to)


def code(text: str) -> Html:
    """A name as programs write it; long ones may break at dots on a narrow screen."""
    return Html("<code>" + escape(text).replace(".", ".<wbr>") + "</code>")


def marked(text: str) -> list[Inside]:
    """Text whose `code` and **strong** parts are marked as in Markdown."""
    parts: list[Inside] = []
    end = 0
    for found in _MARKED.finditer(text):
        parts += [text[end : found.start()], code(found[1]) if found[1] else inline("strong", found[2])]
        end = found.end()
    return [*parts, text[end:]]


def joined(parts: Iterable[Html], between: str = ", ") -> list[Inside]:
    """Parts with a text between them."""
    found: list[Inside] = []
    for part in parts:
        found += [between, part] if found else [part]
    return found


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[Inside]], label: str) -> Html:
    """A table whose first column heads its rows; it scrolls by itself where the screen is narrow.

    `label` is the id of its caption: a scrolling region needs a name and the keyboard's focus.
    """
    head = el("tr", [el("th", name, scope="col") for name in heads])
    body = [
        el("tr", el("th", first, scope="row"), [el("td", cell) for cell in rest]) for first, *rest in rows
    ]
    inside = el("table", el("caption", caption, id=label), el("thead", head), el("tbody", body))
    return el("div", inside, class_="scroll", role="region", aria_labelledby=label, tabindex="0")


def facts(rows: Iterable[tuple[str, Inside]]) -> Html:
    """Short answers to short questions."""
    return el("dl", [[el("dt", name), el("dd", value)] for name, value in rows])
