"""How one value without parts is written in plain JSON, and how in Avro (E3).

*Plain* is JSON data as E3 has it (dates `YYYY-MM-DD`, decimals as text, bytes as base64); *raw* is what Avro
has when logical types are left aside (a day as the number of days). A check returns the one form in which a
value is kept, so that the same event as a JSON line and as an Avro record ends in the same data.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from . import times
from .avro_type import PARTIAL_DATE, Enum, Fixed, Primitive

Problems = list[tuple[str, str]]
"""(JSON path below the value at hand, what was expected there); never a value."""

Check = Callable[[object, Problems], object]
Convert = Callable[..., object]


class Coder(NamedTuple):
    """The three ways of one type; `to_raw` and `to_plain` are None where plain and raw are the same. A type
    with parts has no `to_raw`: it is written part by part (`avro_writer`).
    """

    check: Check
    to_raw: Convert | None = None
    to_plain: Convert | None = None


def scalar_coder(type_: Primitive | Enum | Fixed) -> Coder:
    """The coder of a type without parts."""
    match type_:
        case Enum():
            return _enum(type_)
        case Primitive(logical="decimal") | Fixed(logical="decimal"):
            return _decimal(type_)
        case Fixed():
            return _bytes(type_.size)
        case Primitive(name="bytes"):
            return _bytes(None)
        case Primitive(name="float", beside_wider=True):
            return Coder(_exact_float, None, _finite)
        case Primitive():
            return _PRIMITIVES[type_.name, type_.logical]


def _of_type(expected: str, fits: Callable[[object], bool], unsafe: bool = False) -> Coder:
    """A coder of values that are the same in plain and raw; `unsafe` when Avro can carry some that do not
    fit.
    """

    def check(value: object, problems: Problems) -> object:
        if not fits(value):
            problems.append(("", expected))
        return value

    def to_plain(raw: object) -> object:
        if not fits(raw):
            raise ValueError(expected)
        return raw

    return Coder(check, None, to_plain if unsafe else None)


def _textual(expected: str, parse: Callable[[str], object], form: Callable[..., str]) -> Coder:
    """A coder of values that JSON writes as text; `parse` and `form` raise ValueError or OverflowError."""

    def check(value: object, problems: Problems) -> object:
        if type(value) is str:
            try:
                return form(parse(value))
            except (ValueError, OverflowError):
                pass
        problems.append(("", expected))
        return None

    def to_plain(raw: object) -> object:
        try:
            return form(raw)
        except (ValueError, OverflowError):
            raise ValueError(expected) from None

    return Coder(check, parse, to_plain)


def _is_text(value: object) -> bool:
    if type(value) is not str:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and UTF-8 cannot
        return False
    return True


def _text(value: object, problems: Problems) -> object:
    """Text; an identifier that was written as a number is the usual mistake, and costs its leading zeros."""
    if not _is_text(value):
        number = type(value) is int or type(value) is float
        problems.append(("", "text, which stands in quotes" if number else "text"))
    return value


def _float(value: object, problems: Problems) -> object:
    narrowed = _narrow(value, lambda number: float(struct.unpack("<f", struct.pack("<f", float(number)))[0]))
    if narrowed is None:
        problems.append(("", "a number that fits a float"))
    return narrowed


def _exact_float(value: object, problems: Problems) -> object:
    """A float beside a double: what a float would round is the double's."""
    narrowed = _float(value, problems)
    if narrowed is not None and narrowed != value:
        problems.append(("", "a number that a float holds exactly"))
    return narrowed


def _double(value: object, problems: Problems) -> object:
    narrowed = _narrow(value, float)
    if narrowed is None:
        problems.append(("", "a number that fits a double"))
    return narrowed


def _narrow(value: object, to_width: Callable[[float], float]) -> float | None:
    """The number as Avro will carry it, so that JSON and Avro end in the same data; None when it has no
    such form.
    """
    if type(value) is not float and type(value) is not int:
        return None
    try:
        narrowed = to_width(value)
    except OverflowError:
        return None
    return narrowed if math.isfinite(narrowed) else None


def _finite(raw: float) -> float:
    if not math.isfinite(raw):
        raise ValueError("a number")
    return raw


def _integer(expected: str, bits: int) -> Coder:
    low, end = -(1 << (bits - 1)), 1 << (bits - 1)
    # fastavro reads an int as a long: what does not fit 32 bits is damage
    return _of_type(expected, lambda value: type(value) is int and low <= value < end, unsafe=True)


_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,6}))?")


def _time(expected: str, decimals: int) -> Coder:
    unit: int = 10**decimals

    def parse(text: str) -> int:
        match = _TIME.fullmatch(text)
        if match is None or len(match[4] or "") > decimals:
            raise ValueError
        seconds = (int(match[1]) * 60 + int(match[2])) * 60 + int(match[3])
        return seconds * unit + int((match[4] or "0").ljust(decimals, "0"))

    def form(raw: int) -> str:
        if not 0 <= raw < 86_400 * unit:
            raise ValueError
        return times.format_micros(raw * (1_000_000 // unit))[11:-1]

    return _textual(expected, parse, form)


_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def _is_uuid(value: object) -> bool:
    return type(value) is str and _UUID.fullmatch(value) is not None


def _is_partial_date(value: object) -> bool:
    return type(value) is str and times.is_partial_date(value)


def _bytes(size: int | None) -> Coder:
    def parse(text: str) -> bytes:
        raw = base64.b64decode(text, validate=True)
        if size not in (None, len(raw)):
            raise ValueError
        return raw

    def form(raw: bytes | str) -> str:
        if isinstance(raw, str):  # fastavro hands out a default as the schema's JSON has it
            raw = raw.encode("latin-1")
        return base64.b64encode(raw).decode()

    return _textual("base64 text" if size is None else f"base64 text of {size} bytes", parse, form)


_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")


def _decimal(type_: Primitive | Fixed) -> Coder:
    scale, precision = type_.scale, type_.precision
    size = type_.size if isinstance(type_, Fixed) else None

    def parse(text: str) -> bytes:
        match = _DECIMAL.fullmatch(text)
        if match is None or len(text) > precision + 3 or len(match[3] or "") > scale:
            raise ValueError
        digits = int(match[2] + (match[3] or "").ljust(scale, "0"))
        unscaled = -digits if match[1] else digits
        return unscaled.to_bytes(size or unscaled.bit_length() // 8 + 1, "big", signed=True)

    def form(raw: bytes | str) -> str:
        if isinstance(raw, str):
            raw = raw.encode("latin-1")
        unscaled = int.from_bytes(raw, "big", signed=True)
        if abs(unscaled) >= 10**precision:
            raise ValueError
        digits = str(abs(unscaled)).rjust(scale + 1, "0")
        whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
        return f"{'-' if unscaled < 0 else ''}{whole}{'.' + fraction if scale else ''}"

    return _textual(f"decimal text of at most {precision} digits, {scale} of them decimals", parse, form)


def _enum(type_: Enum) -> Coder:
    symbols = frozenset(type_.symbols)

    def is_symbol(value: object) -> bool:
        return type(value) is str and value in symbols

    return _of_type("one of " + ", ".join(type_.symbols), is_symbol)


_PRIMITIVES: dict[tuple[str, str | None], Coder] = {
    ("null", None): _of_type("null", lambda value: value is None),
    ("boolean", None): _of_type("true or false", lambda value: type(value) is bool),
    ("int", None): _integer("a whole number that fits an int", 32),
    ("long", None): _integer("a whole number that fits a long", 64),
    ("float", None): Coder(_float, None, _finite),
    ("double", None): Coder(_double, None, _finite),
    ("string", None): Coder(_text),
    ("string", "uuid"): _of_type("a UUID", _is_uuid, unsafe=True),
    ("string", PARTIAL_DATE): _of_type("a date YYYY, YYYY-MM or YYYY-MM-DD", _is_partial_date, unsafe=True),
    ("int", "date"): _textual("a real day YYYY-MM-DD", times.day_number, times.day_text),
    ("int", "time-millis"): _time("a time HH:MM:SS or HH:MM:SS.mmm", 3),
    ("long", "time-micros"): _time("a time HH:MM:SS, with up to six decimals", 6),
    ("long", "timestamp-millis"): _textual(
        "an RFC 3339 timestamp with an offset", times.parse_instant, times.format_instant
    ),
    ("long", "timestamp-micros"): _textual(
        "an RFC 3339 timestamp with an offset", times.parse_micros, times.format_micros
    ),
}
