"""How a cell becomes a value of a contract (E3): by the type that it wants, and what a mapping adds.

A cell is text (CSV) or a value of JSON. What is not text and needs no translation stays as it is: the
contract has the last word. No message here holds a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from producers.mapped.forms import CellForm
from producers.mapped.moments import to_day, to_timestamp
from schemas import AvroType, IdentifierInvalid, Schemes
from schemas.avro_type import Array, Map, Primitive, Record, without_null
from schemas.plain_containers import coder

Convert = Callable[[object], object]


class Unfit(ValueError):  # noqa: N818 - what is so of a cell
    """A cell that is no such value: what was expected, and what to do about it."""

    def __init__(self, expected: str, mend: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.mend = mend


class CannotConvert(ValueError):  # noqa: N818 - what is wrong with a mapping
    """A cell's form that does not go with the type of its field."""


AT_SOURCE = "correct it where it comes from"


def unfit(value: object, type_: AvroType) -> list[str]:
    """What the contract expects where a mapping's own value does not fit; nothing: it fits."""
    problems: list[tuple[str, str]] = []
    coder(type_, named_branches=False).check(value, problems)
    return [f"{expected} at {path.strip('.')}" if path else expected for path, expected in problems]


def converter(form: CellForm, type_: AvroType, schemes: Schemes) -> Convert:
    """The function of one column for a field of this type; CannotConvert when the two do not go together."""
    wanted = without_null(type_)
    if form.split is not None:
        return _list(form, wanted, schemes)
    if form.values is not None:
        return _table(form.values, type_)
    if form.scheme is not None:
        return _identifier(form.scheme, wanted, schemes)
    if form.date is not None or form.timestamp is not None:
        return _moment(form, wanted)
    if form.thousands is not None or form.decimal != ".":
        if kind(wanted) not in _NUMBERS:
            raise CannotConvert("thousands and decimal are for numbers, and the contract wants none here")
        return _texts(_number(kind(wanted), form.thousands or "", form.decimal))
    if isinstance(wanted, Record | Map | Array):
        return _parts
    made = _BY_KIND.get(kind(wanted))
    return _texts(str) if made is None else _texts(made)


def kind(type_: AvroType) -> str:
    """The logical type of a field, else its primitive one, else nothing."""
    return (
        (type_.logical or type_.name)
        if isinstance(type_, Primitive)
        else getattr(type_, "logical", None) or ""
    )


def _texts(convert: Callable[[str], object]) -> Convert:
    """Apply to text; what JSON has as something else needs none, but a whole number may be meant as text."""

    def of(cell: object) -> object:
        if type(cell) is str:
            return convert(cell)
        if type(cell) is int and convert is str:
            return str(cell)
        return cell

    return of


def _parts(cell: object) -> object:
    if type(cell) is str:
        raise Unfit("several values", "map its parts by name (`name.family_name`), or `split` a list")
    return cell


def text_of(cell: object) -> str | None:
    """A cell as a table's key: text, or JSON's true, false or whole number as it is written; else None."""
    if type(cell) is str:
        return cell
    if type(cell) is bool:
        return "true" if cell else "false"
    return str(cell) if type(cell) is int else None


def _table(values: dict[str, str | int | float | bool | None], type_: AvroType) -> Convert:
    for text, value in values.items():
        if problems := unfit(value, type_):
            raise CannotConvert(f"values: {text}: expected {problems[0]}")

    def of(cell: object) -> object:
        text = text_of(cell)
        if text is None or text not in values:
            raise Unfit("one of the texts under `values`", f"{AT_SOURCE}, or add it to `values`")
        return values[text]

    return of


def _list(form: CellForm, wanted: AvroType, schemes: Schemes) -> Convert:
    if not isinstance(wanted, Array):
        raise CannotConvert("split makes a list, and the contract wants none here")
    item = converter(form.model_copy(update={"split": None}), wanted.items, schemes)
    separator = str(form.split)

    def of(cell: object) -> object:
        if type(cell) is not str:
            raise Unfit("a text to split", AT_SOURCE)
        return [item(part.strip()) for part in cell.split(separator) if part.strip()]

    return of


def _identifier(scheme: str, wanted: AvroType, schemes: Schemes) -> Convert:
    if kind(wanted) != "string":
        raise CannotConvert("scheme is for a text, and the contract wants none here")
    if scheme not in schemes:
        raise CannotConvert(f"there is no scheme {scheme}; there are {', '.join(schemes.names)}")

    def of(cell: object) -> object:
        try:
            return schemes.canonical(scheme, text_of(cell) or "")
        except IdentifierInvalid as invalid:
            raise Unfit(f"an identifier ({invalid})", AT_SOURCE) from None

    return of


def _moment(form: CellForm, wanted: AvroType) -> Convert:
    key, text = ("date", form.date) if form.date is not None else ("timestamp", form.timestamp)
    fits = ("date", "partial-date") if key == "date" else ("timestamp-millis", "timestamp-micros")
    if kind(wanted) not in fits:
        raise CannotConvert(f"{key} is for a {key} of the contract, and it wants something else here")
    read = to_day(str(text)) if key == "date" else to_timestamp(str(text), form.zone)

    def of(cell: object) -> object:
        try:
            return read(str(text_of(cell)))
        except ValueError:
            raise Unfit(f"a real moment written {text}", f"{AT_SOURCE}, or say how it is written") from None

    return of


_WHOLE = re.compile(r"[-+]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_NUMBERS = ("int", "long", "float", "double", "decimal")


def _number(name: str, thousands: str = "", decimal: str = ".") -> Callable[[str], object]:
    """Numbers of a spreadsheet: groups only where they belong, so that 1,5 is not read as 15."""
    mark = re.escape(thousands)
    grouped = re.compile(rf"[-+]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?![0-9])") if thousands else None

    def of(text: str) -> object:
        plain = text
        if grouped is not None and thousands in plain:
            if (group := grouped.match(plain)) is None:
                raise Unfit(f"a number whose groups of three are marked {thousands!r}", AT_SOURCE)
            plain = group[0].replace(thousands, "") + plain[group.end() :]
        if decimal != ".":
            if "." in plain:
                raise Unfit(f"a number with {decimal!r} before its decimals", AT_SOURCE)
            plain = plain.replace(decimal, ".")
        return _finished(name, plain)

    return of


def _finished(name: str, plain: str) -> object:
    if name in ("int", "long"):
        if _WHOLE.fullmatch(plain) is None:
            raise Unfit("a whole number", f"{AT_SOURCE}, or say how it is written (`thousands`)")
        return int(plain)
    if _DECIMAL.fullmatch(plain) is None:
        raise Unfit("a number", f"{AT_SOURCE}, or say how it is written (`thousands`, `decimal`)")
    if name != "decimal":
        return float(plain)
    sign = "-" if plain[0] == "-" else ""
    whole, _, rest = plain.lstrip("+-").partition(".")
    return sign + (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")


def _boolean(text: str) -> object:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise Unfit("true or false", "say what its texts mean: `values: {Y: true, N: false}`")
    return lowered == "true"


_BY_KIND: dict[str, Callable[[str], object]] = {
    **{name: _number(name) for name in _NUMBERS},
    "boolean": _boolean,
}
