"""A view's table: columns by type, the SQL that makes and changes it, a view as a row of it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from connectors.postgres.view_table import (
    NAME_BYTES_MAX,
    OWN,
    Rows,
    bare_name,
    sink_ddl,
    view_table,
    without_nul,
)
from postroom.composition import load_rules_files
from schemas import Agreement, Contracts, Grant, ViewCodec
from schemas.avro_parse import parse
from schemas.avro_type import Record

ROOT = Path(__file__).resolve().parents[2]
HOUSING = "council-leeds-housing"


@cache
def rules() -> tuple[Contracts, dict[str, Agreement]]:
    return load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")


def rows(*grants: Grant) -> Rows:
    contracts, agreements = rules()
    agreement = agreements[HOUSING]
    return Rows(replace(agreement, attributes=grants) if grants else agreement, contracts)


@pytest.mark.parametrize(
    ("avro", "sql"),
    [
        ("string", "text"),
        ("boolean", "boolean"),
        ("int", "integer"),
        ("long", "bigint"),
        ("float", "real"),
        ("double", "double precision"),
        ("bytes", "bytea"),
        ({"type": "int", "logicalType": "date"}, "date"),
        ({"type": "long", "logicalType": "timestamp-millis"}, "timestamp with time zone"),
        ({"type": "long", "logicalType": "timestamp-micros"}, "timestamp with time zone"),
        ({"type": "long", "logicalType": "time-micros"}, "time without time zone"),
        ({"type": "string", "logicalType": "uuid"}, "uuid"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "numeric(9,2)"),
        ({"type": "array", "items": "string"}, "jsonb"),
        ({"type": "map", "values": "long"}, "jsonb"),
    ],
)
def test_scalars_have_types_and_values_with_parts_are_jsonb(avro: object, sql: str):
    """As PostgreSQL itself spells the type, so that a table can be compared with it."""
    from connectors.postgres.view_table import sql_type

    field = {"name": "value", "type": ["null", avro], "default": None}
    record = parse({"type": "record", "name": "View", "namespace": "t", "fields": [field]})
    assert isinstance(record, Record)
    assert sql_type(record.fields[0].type) == sql


def test_every_agreement_has_a_table():
    """Each of the repository's, with the headers of V3 beside its attributes."""
    contracts, agreements = rules()
    for agreement in agreements.values():
        table = view_table(agreement, contracts)
        names = {grant.attribute for grant in agreement.attributes}
        assert table.columns.keys() == {n for n in names if contracts.attributes[n].avro_type is not None}
        assert table.every_column.keys() == OWN.keys() | table.columns.keys()


def test_a_change_of_agreement_is_columns_to_add_and_to_take_away():
    """And no more: a type never changes under its name (V1)."""
    before, after = (
        rows(Grant("name", None), Grant("benefit", None)),
        rows(Grant("name", None), Grant("address", None)),
    )
    present = before.table.every_column
    assert after.table.missing(present) == ["address"]
    assert after.table.withdrawn(present) == ["benefit"]
    assert after.table.mistyped(present) == []
    assert after.table.mistyped(present | {"name": "text"}) == ["name"]
    assert after.table.only(present).columns.keys() == {"name"}


def test_a_narrowed_field_makes_another_shape_and_words_do_not():
    """The shape tells a sink that rows of the table hold what is granted no longer."""
    whole, narrow = rows(Grant("address", None)), rows(Grant("address", ("postcode",)))
    assert whole.table.columns == narrow.table.columns
    assert whole.table.shape != narrow.table.shape
    assert rows(Grant("address", None)).table.shape == whole.table.shape


def test_a_row_has_only_what_is_granted_now_at_any_depth():
    """A record of an older, wider agreement gives no field more than the present one (V1, C7)."""
    wide, narrow = rows(Grant("address", None), Grant("name", None)), rows(Grant("address", ("postcode",)))
    contracts, agreements = rules()
    codec = ViewCodec(
        replace(agreements[HOUSING], attributes=(Grant("address", None), Grant("name", None))), contracts
    )
    address = {"lines": ["1 Sample Row"], "postcode": "LS1 1OV", "authority": "leeds"}
    value = codec.decode(codec.encode({"address": address, "name": {"given_names": "Ada"}}))
    assert narrow.row(value, codec.schema) == {"address": {"postcode": "LS1 1OV"}}
    row = wide.row(value, codec.schema)
    assert row["address"] == value["address"]
    assert row["name"] == value["name"]


def test_postgresql_holds_no_nul():
    """A text with U+0000 never stops a view: it becomes the character that stands for such."""
    assert without_nul({"a\0": ["b\0c", {"d": "\0"}, 1, None]}) == {
        "a\ufffd": ["b\ufffdc", {"d": "\ufffd"}, 1, None]
    }


def test_long_names_are_cut_and_stay_apart():
    """PostgreSQL cuts names after 63 bytes, in silence; the role of readers must fit too."""
    names = [bare_name("a" * 100 + suffix) for suffix in ("-one", "-two")]
    assert len({*names}) == 2
    assert all(len(name + "_reader") <= NAME_BYTES_MAX for name in names)
    assert bare_name(HOUSING) == "council_leeds_housing"


def test_the_ddl_says_everything_and_may_run_again():
    """Table, columns that came later, columns that went, positions, roles; nothing that fails the second
    time.
    """
    sql = sink_ddl(rows().table)
    for name in rows().table.columns:
        assert f'ADD COLUMN IF NOT EXISTS "{name}"' in sql
    assert "DROP COLUMN %I" in sql
    assert sql.index("SET %I = NULL") < sql.index("DROP COLUMN %I")
    assert not re.search(r"CREATE (TABLE|SCHEMA) (?!IF NOT EXISTS)", sql)
    assert sql.startswith("--")
    assert sql.rstrip().endswith("COMMIT;")
