"""What a reader of an Avro topic says of a record that no worker wrote."""

from __future__ import annotations

from typing import cast

import pytest

from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import RawRecord
from connectors.kafka_views import AvroReader
from connectors.registry import Registry
from connectors.trouble import Trouble

SCHEMA = {"type": "record", "name": "view", "fields": [{"name": "postcode", "type": "string"}]}


class Known:
    """A registry that knows one schema, whatever it is asked for."""

    url = "http://registry.invalid"

    def schema_by_id(self, _: int) -> object:
        return SCHEMA


@pytest.mark.parametrize(
    "value",
    [
        b"\xde\xad\xbe\xef",
        b"",
        b"\x00\x00",
        b"\x00\x00\x00\x00\x01\x10LS1",
        b"\x00\x00\x00\x00\x01\x06\xff\xff\xff",
    ],
)
def test_a_record_that_no_worker_wrote_is_named_by_its_place_and_not_by_what_it_holds(value: bytes) -> None:
    """An operator is told where it lies; it ended `postroom view` with a traceback before (§8)."""
    reader = AvroReader(KafkaAccess("kafka.invalid:9092"), cast("Registry", Known()))
    with pytest.raises(Trouble) as told:
        reader.decoded(RawRecord("view.council-leeds-housing", 1, 186, 0, b"k", value, ()))
    assert told.value.where == "view.council-leeds-housing, partition 1, offset 186"
    assert told.value.mend.endswith("PostroomForeignRecords.md")
    assert "LS1" not in str(told.value)
