"""A subscriber's table, from its agreement: columns, the SQL that makes and changes it, a view as a row.

Scalars have types of SQL, values with parts are jsonb (docs/adr/0032). A type never changes under its name
(V1), so a table follows its agreement by added and dropped columns alone. Text and values only: nothing
here asks.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.trouble import Misused
from schemas import Agreement, AvroType, Contracts, PlainCodec, ViewCodec
from schemas.avro_type import Enum, Fixed, Primitive, Record, without_null

VIEWS, SINK = "postroom_views", "postroom_sink"
STATE = f"{SINK}.views"
ROLE = "postroom_sink"
NAME_BYTES_MAX = 63
READER = "_reader"

KEY, SEQUENCE = "postroom_key", "postroom_sequence"
OWN: Mapping[str, str] = {
    KEY: "text",
    SEQUENCE: "bigint",
    "postroom_agreement": "text",
    "postroom_published": "timestamp with time zone",
    "postroom_supersedes": "text[]",
}
"""The columns of every view's table: the headers of V3. No attribute begins so."""

_SCALARS: Mapping[tuple[str, str | None], str] = {
    ("boolean", None): "boolean",
    ("int", None): "integer",
    ("long", None): "bigint",
    ("float", None): "real",
    ("double", None): "double precision",
    ("string", None): "text",
    ("string", "uuid"): "uuid",
    ("string", "partial-date"): "text",
    ("bytes", None): "bytea",
    ("int", "date"): "date",
    ("int", "time-millis"): "time without time zone",
    ("long", "time-micros"): "time without time zone",
    ("long", "timestamp-millis"): "timestamp with time zone",
    ("long", "timestamp-micros"): "timestamp with time zone",
}


@dataclass(frozen=True, slots=True)
class ViewTable:
    """The table of one agreement: its attributes' columns with their types, and the shape of what is in
    them.
    """

    agreement: str
    version: int
    columns: Mapping[str, str]
    shapes: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name in the schema of views; an agreement's is a word of letters, digits and hyphens (C5)."""
        return bare_name(self.agreement)

    @property
    def qualified(self) -> str:
        """Its name with the schema, to be written into SQL."""
        return f"{VIEWS}.{quoted(self.name)}"

    @property
    def every_column(self) -> dict[str, str]:
        """Its own columns and the attributes'."""
        return {**OWN, **self.columns}

    @property
    def shape(self) -> str:
        """What tells whether a table was filled by what is granted now: narrowed fields change it, docs do
        not.
        """
        whole = json.dumps([self.agreement, dict(self.shapes)], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()

    def only(self, present: Mapping[str, str]) -> ViewTable:
        """The same with those columns only that a table has."""
        columns = {name: type_ for name, type_ in self.columns.items() if name in present}
        return replace(self, columns=columns, shapes={name: self.shapes[name] for name in columns})

    def missing(self, present: Mapping[str, str]) -> list[str]:
        """Columns that the table lacks."""
        return [name for name in self.every_column if name not in present]

    def withdrawn(self, present: Mapping[str, str]) -> list[str]:
        """Columns of the table that the agreement does not grant."""
        return [name for name in present if name not in self.every_column]

    def mistyped(self, present: Mapping[str, str]) -> list[str]:
        """Columns whose type is another."""
        wanted = self.every_column
        return [name for name, type_ in present.items() if name in wanted and wanted[name] != type_]


def bare_name(agreement: str) -> str:
    """A table's name: the agreement's, with underscores; a long one is cut and told apart by a hash."""
    name = agreement.replace("-", "_")
    most = NAME_BYTES_MAX - len(READER)
    if len(name) <= most:
        return name
    return f"{name[: most - 17]}_{hashlib.sha256(agreement.encode()).hexdigest()[:16]}"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def view_table(agreement: Agreement, contracts: Contracts) -> ViewTable:
    """The table that an agreement wants; Misused for an attribute whose name no column can have."""
    type_ = PlainCodec(ViewCodec(agreement, contracts).schema).type
    assert isinstance(type_, Record)  # noqa: S101 - V1 generates nothing else
    for field in type_.fields:
        if field.name in OWN or len(field.name.encode()) > NAME_BYTES_MAX:
            raise Misused(
                "an attribute cannot be a column", where=field.name, why="its name is ours, or long"
            )
    columns = {field.name: sql_type(field.type) for field in type_.fields}
    shapes = {field.name: repr(_shape(field.type)) for field in type_.fields}
    return ViewTable(agreement.agreement, agreement.version, columns, shapes)


def sql_type(type_: AvroType) -> str:
    """The type of a column, as PostgreSQL itself spells it."""
    match without_null(type_):
        case Primitive(logical="decimal") | Fixed(logical="decimal") as decimal:
            return f"numeric({decimal.precision},{decimal.scale})"
        case Primitive(name=name, logical=logical):
            return _SCALARS[name, logical]
        case Enum():
            return "text"
        case Fixed():
            return "bytea"
        case _:
            return "jsonb"


def _shape(type_: AvroType) -> object:
    """A type without its documentation, so that words alone make no table be read again."""
    match type_:
        case Record(fields=fields):
            return ("record", *((field.name, _shape(field.type)) for field in fields))
        case _ if hasattr(type_, "items"):
            return ("array", _shape(type_.items))
        case _ if hasattr(type_, "values"):
            return ("map", _shape(type_.values))
        case _ if hasattr(type_, "branches"):
            return ("union", *map(_shape, type_.branches))
        case _:
            return type_


class Rows:
    """Views as rows of a table, and never a field more than its agreement grants now."""

    def __init__(self, agreement: Agreement, contracts: Contracts) -> None:
        self.table = view_table(agreement, contracts)
        self._codec = ViewCodec(agreement, contracts)
        self._bytes = [name for name, type_ in self.table.columns.items() if type_ == "bytea"]

    def row(
        self, value: Mapping[str, object], writer: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """A view's attributes by column. What an older version of the agreement gave besides, at any depth,
        is left out: the value goes through the schema of this one. ContractMismatch.
        """
        # INVARIANT: only what this schema names gets through; a record of the same schema has nothing else.
        known = value if writer == self._codec.schema else self._codec.decode(self._codec.encode(value))
        row = {name: without_nul(known.get(name)) for name in self.table.columns}
        for name in self._bytes:
            if isinstance(row[name], str):
                row[name] = "\\x" + base64.b64decode(str(row[name])).hex()
        return row


def without_nul(value: object) -> object:
    """A value that PostgreSQL can hold: it knows no U+0000, which becomes U+FFFD, the character for such."""
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case list():
            return [without_nul(each) for each in value]
        case dict():
            return {without_nul(name): without_nul(each) for name, each in value.items()}
        case _:
            return value


def sink_ddl(table: ViewTable) -> str:
    """What makes a view's table, or changes it to what its agreement is now: the same text for both."""
    lines = [f"    {quoted(name)} {type_}{_constraint(name)}" for name, type_ in table.every_column.items()]
    adds = [
        f"ALTER TABLE {table.qualified} ADD COLUMN IF NOT EXISTS {quoted(name)} {type_};"
        for name, type_ in table.columns.items()
    ]
    return _DDL.format(
        agreement=table.agreement,
        version=table.version,
        views=VIEWS,
        sink=SINK,
        state=STATE,
        table=table.qualified,
        columns=",\n".join(lines),
        adds="\n".join(adds),
        names=", ".join(text(name) for name in table.every_column),
        name=text(table.qualified),
        role=ROLE,
        reader=quoted(table.name + READER),
        reader_name=text(table.name + READER),
        agreement_text=text(table.agreement),
    )


def _constraint(name: str) -> str:
    return " PRIMARY KEY" if name == KEY else " NOT NULL" if name == SEQUENCE else ""


_DDL = """\
-- The table of the view {agreement}, version {version}: `postroom sink ddl {agreement}`. Run it as the
-- database's owner, again after each change of the agreement: it adds what is new and takes away what is
-- withdrawn.
BEGIN;

CREATE SCHEMA IF NOT EXISTS {views};
CREATE SCHEMA IF NOT EXISTS {sink};

CREATE TABLE IF NOT EXISTS {table} (
{columns}
);
{adds}

-- What the agreement no longer grants is emptied first: a column that is dropped leaves its values on the
-- disk.
DO $withdrawn$
DECLARE
    withdrawn name;
BEGIN
    FOR withdrawn IN
        SELECT attname FROM pg_attribute
        WHERE attrelid = {name}::regclass AND attnum > 0 AND NOT attisdropped
          AND attname <> ALL (ARRAY[{names}]::name[])
    LOOP
        EXECUTE format('UPDATE {table} SET %I = NULL WHERE %I IS NOT NULL', withdrawn, withdrawn);
        EXECUTE format('ALTER TABLE {table} DROP COLUMN %I', withdrawn);
    END LOOP;
END
$withdrawn$;

-- How far each view was read, in the same database as the rows, so that both are committed together.
CREATE TABLE IF NOT EXISTS {state} (
    agreement   text PRIMARY KEY,
    topic_id    text,
    positions   bigint[],
    shape       text,
    at_end      timestamp with time zone
);
INSERT INTO {state} (agreement) VALUES ({agreement_text}) ON CONFLICT DO NOTHING;

-- Who may what: grant the first role to the user of `postroom sink run`, the second to the service that
-- reads.
DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {reader_name}) THEN
        CREATE ROLE {reader} NOLOGIN;
    END IF;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO {role}', current_database());
END
$roles$;
REVOKE ALL ON {table}, {state} FROM PUBLIC;
GRANT USAGE ON SCHEMA {views}, {sink} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};
GRANT SELECT, UPDATE ON {state} TO {role};
GRANT USAGE ON SCHEMA {views} TO {reader};
GRANT SELECT ON {table} TO {reader};

COMMIT;
"""


def conflict_update(columns: Sequence[str]) -> str:
    """`SET` of what an update takes from the new row; the keys that a row carries on stay with it."""
    held = "postroom_supersedes"
    both = f"(SELECT array_agg(DISTINCT old) FROM unnest(held.{held} || EXCLUDED.{held}) AS old)"  # noqa: S608 - ours
    return ", ".join(
        f"{quoted(name)} = {both if name == held else f'EXCLUDED.{quoted(name)}'}"
        for name in columns
        if name != KEY
    )
