"""Whether data written with one schema can be read with another (Avro 1.11, "Schema Resolution"; E6).

FULL_TRANSITIVE is this question in both directions against every earlier version. The registry asks it too;
here it is answered without one, from the committed history. Five points are stricter than Avro, because an
event means its plain JSON: a logical type never changes, text never becomes bytes, a named type keeps its
full name, an enum keeps every symbol that it ever had, and a field its default (docs/adr/0077).
"""

from __future__ import annotations

from collections.abc import Iterator

from .avro_type import (
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
    branch_name,
)

Obstacle = tuple[str, str]
"""(dotted path of fields, why data cannot be read there)."""

#: What a reader may have where a writer had the key.
PROMOTIONS = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
}


def full_obstacles(new: AvroType, old: AvroType) -> list[Obstacle]:
    """Why the two are not FULL compatible: first what the new cannot read of the old, then the reverse."""
    # INVARIANT: no default stands in for what was said already, or a stored event says another thing.
    earlier = obstacles(new, old, said_already=True)
    backward = [(path, f"{why} (reading earlier data)") for path, why in earlier]
    forward = [(path, f"{why} (earlier readers of new data)") for path, why in obstacles(old, new)]
    return backward + forward


def obstacles(
    reader: AvroType, writer: AvroType, path: str = "", *, said_already: bool = False
) -> Iterator[Obstacle]:
    """Why the reader cannot read everything that the writer can write; nothing when it can.

    Of what was said already every symbol must be known; of what is yet to come an enum's default may stand
    for those that are new.
    """
    match reader, writer:
        case _, Union(branches=branches):
            for branch in branches:
                yield from obstacles(reader, branch, path, said_already=said_already)
        case Union(branches=branches), _:
            if all(any(obstacles(branch, writer, path, said_already=said_already)) for branch in branches):
                yield path, f"{branch_name(writer)} is not among {', '.join(map(branch_name, branches))}"
        case Primitive(), Primitive():
            if reader != writer and not _promotes(writer, reader):
                yield path, f"the type {_spelt(writer)} became {_spelt(reader)}"
        case Record(), Record():
            yield from _named(reader, writer, path)
            yield from _record_obstacles(reader, writer, path, said_already)
        case Enum(), Enum():
            yield from _named(reader, writer, path)
            yield from _symbol_obstacles(reader, writer, path, said_already)
        case Fixed(), Fixed():
            yield from _named(reader, writer, path)
            if _content(reader) != _content(writer):
                yield path, "a fixed changed its size or its logical type"
        case Array(items=inner), Array(items=written):
            yield from obstacles(inner, written, f"{path}[]", said_already=said_already)
        case Map(values=inner), Map(values=written):
            yield from obstacles(inner, written, f"{path}.*", said_already=said_already)
        case _:
            yield path, f"the type {branch_name(writer)} became {branch_name(reader)}"


def _symbol_obstacles(reader: Enum, writer: Enum, path: str, said_already: bool) -> Iterator[Obstacle]:
    missing = ", ".join(sorted(set(writer.symbols) - set(reader.symbols)))
    if missing and reader.default is None:
        yield path, f"the symbols {missing} are unknown, and the enum has no default"
    elif missing and said_already:
        yield path, f"the symbols {missing} are gone, and would be read as {reader.default}"


def _promotes(writer: Primitive, reader: Primitive) -> bool:
    # INVARIANT: no promotion across logical types, or a number of days would be read as one of another kind.
    plain = writer.logical is None and reader.logical is None
    # What stands beside a wider number is told apart by its branch, which a lone number does not have.
    plain = plain and not (writer.beside_wider or reader.beside_wider)
    return plain and reader.name in PROMOTIONS.get(writer.name, frozenset())


def _spelt(type_: Primitive) -> str:
    if type_.logical == "decimal":
        return f"decimal({type_.precision}, {type_.scale})"
    return type_.logical or type_.name


def _named(reader: Record | Enum | Fixed, writer: Record | Enum | Fixed, path: str) -> Iterator[Obstacle]:
    if writer.name != reader.name and writer.name not in reader.aliases:
        yield path, f"the name {writer.name} became {reader.name}"


def _content(fixed: Fixed) -> tuple[object, ...]:
    return fixed.size, fixed.logical, fixed.precision, fixed.scale


def _record_obstacles(reader: Record, writer: Record, path: str, said_already: bool) -> Iterator[Obstacle]:
    for field in reader.fields:
        here = f"{path}.{field.name}" if path else field.name
        written = _written_as(field, writer)
        if written is not None:
            found = [*obstacles(field.type, written.type, here, said_already=said_already)]
            yield from found
            if said_already and not found and _other_default(field, written):
                yield here, "the default changed, and what was said without the field would say another thing"
        elif not field.has_default:
            yield here, "the field is missing and has no default"


def _other_default(field: Field, written: Field) -> bool:
    return field.has_default and written.has_default and field.default != written.default


def _written_as(field: Field, writer: Record) -> Field | None:
    """The writer's field that the reader's field reads: of its name, else of one of its aliases."""
    names = {each.name: each for each in writer.fields}
    return next((names[name] for name in (field.name, *sorted(field.aliases)) if name in names), None)
