"""AsyncAPI, OpenAPI and data contracts: valid by their official schemas, in step, and true of what runs."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import jsonschema_rs
import pytest
import typer
import yaml

from postroom.access import OWNER, SUBSCRIBER, wanted_acls
from postroom.composition import load_rules_files
from postroom.config import load_settings
from postroom.documents import made, wire_of
from postroom.made_files import SUMS, build, check, differences, with_sums, write
from postroom.output import Form
from processors import Keys, Rules, obligations_topic, view_topic
from producers import lives, to_lines
from schemas import cloudevent_from_json, to_headers, view_schema
from tests.backbone import Backbone
from tests.command_kit import postroom

ROOT = Path(__file__).parents[2]
OFFICIAL = ROOT / "tests" / "official"
GENERATED = ROOT / "docs" / "generated"
CONTRACTS, AGREEMENTS = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
PARTITIONS = load_settings({}, ROOT / "docs").partitions
DOCUMENTS = made(CONTRACTS, AGREEMENTS, PARTITIONS)
BACKBONE = json.loads(DOCUMENTS["asyncapi.json"])
PARTIES = sorted(name for name in DOCUMENTS if name.startswith("asyncapi/"))
ODCS = sorted(name for name in DOCUMENTS if name.startswith("odcs/"))
NOW_MS = 1_780_000_000_000
DAY_MS = 24 * 3600 * 1000
FRAME_BYTES = 5


def validator(name: str) -> Any:
    return jsonschema_rs.validator_for(json.loads((OFFICIAL / name).read_text(encoding="utf-8")))


def loaded(name: str) -> dict[str, Any]:
    text = DOCUMENTS[name]
    found: dict[str, Any] = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    return found


def problems(found: Any, document: Any) -> list[str]:
    return [f"{error.instance_path}: {error.message[:200]}" for error in found.iter_errors(document)]


def at(document: Any, pointer: str) -> Any:
    """What a JSON pointer points to; KeyError when there is nothing."""
    for part in pointer.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def references(inside: Any) -> Iterator[str]:
    """Every reference of a document; Avro schemas have none."""
    if isinstance(inside, dict):
        yield from ([inside["$ref"]] if isinstance(inside.get("$ref"), str) else [])
        for each in inside.values():
            yield from references(each)
    elif isinstance(inside, list):
        for each in inside:
            yield from references(each)


# ---- in step and valid -------------------------------------------------------------------------------


def test_the_committed_documents_are_in_step():
    """Whoever changes a contract, an agreement or the gateway sees here what others will read;
    `make documents` writes them anew.
    """
    assert list(differences(DOCUMENTS, GENERATED)) == []


@pytest.mark.parametrize("name", ["asyncapi.json", *PARTIES])
def test_asyncapi_is_valid_by_its_official_schema_and_every_reference_resolves(name: str):
    """AsyncAPI 3.0.0 with its Kafka bindings; the Avro schemas in it by Avro's own."""
    document = loaded(name)
    official = validator("asyncapi-3.0.0.json")
    assert problems(official, document) == []
    found = list(references(document))
    assert found
    for pointer in found:
        at(document, pointer)


def test_openapi_is_valid_by_its_official_schema():
    """OpenAPI 3.1, which the gateway shows to its clients."""
    document = loaded("openapi.json")
    assert problems(validator("openapi-3.1.json"), document) == []
    for pointer in references(document):
        at(document, pointer)


@pytest.mark.parametrize("name", ODCS)
def test_a_data_contract_is_valid_by_its_official_schema(name: str):
    """ODCS 3.1.0."""
    assert problems(validator("odcs-3.1.0.json"), loaded(name)) == []


def test_the_official_schemas_can_refuse():
    """A check that cannot fail is none: each schema finds what is broken in a document."""
    document = loaded("asyncapi.json")
    channel = document["channels"]["uk.gov.tax.payment.v1"]
    channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] = "delete"
    assert problems(validator("asyncapi-3.0.0.json"), document)
    document = loaded("asyncapi.json")
    document["channels"]["uk.gov.tax.payment.v1"]["messages"]["event"]["payload"]["schema"]["fields"] = "none"
    assert problems(validator("asyncapi-3.0.0.json"), document)
    document = loaded(ODCS[0])
    document["schema"][0]["properties"][0]["logicalType"] = "text"
    assert problems(validator("odcs-3.1.0.json"), document)
    document = loaded("openapi.json")
    del document["info"]
    assert problems(validator("openapi-3.1.json"), document)


# ---- true of what runs -------------------------------------------------------------------------------


def test_every_contract_and_every_view_has_its_documents():
    """A channel with the schema that the registry gets, and a data contract; nothing else has one."""
    channels = BACKBONE["channels"]
    for type_, contract in CONTRACTS.by_type.items():
        assert channels[type_]["messages"]["event"]["payload"]["schema"] == contract.schema
    for name, agreement in AGREEMENTS.items():
        payload = channels[view_topic(name)]["messages"]["view-updated"]["payload"]
        assert payload["schema"] == view_schema(agreement, CONTRACTS)
    views = {view_topic(name) for name in AGREEMENTS}
    owed = {obligations_topic(agreement.subscriber) for agreement in AGREEMENTS.values()}
    assert channels.keys() == {*CONTRACTS.by_type, *views, *owed, "acknowledgements"}
    assert {Path(name).name.removesuffix(".odcs.yaml") for name in ODCS} == {*CONTRACTS.by_type, *views}


@pytest.fixture(scope="module")
def ran() -> Backbone:
    """Thirty lives through the real stages, in memory."""
    backbone = Backbone(Rules(CONTRACTS, AGREEMENTS, Keys(b"documents")), NOW_MS)
    backbone.publish(line.rstrip(b"\n") for line in to_lines(lives(5, 30, NOW_MS - DAY_MS)))
    backbone.run()
    return backbone


def test_what_the_stages_write_is_what_asyncapi_says(ran: Backbone):
    """V1 to V4: each view, retraction and obligation fits its message: headers, key and payload."""
    seen = {"view-updated": 0, "view-retracted": 0, "deletion-due": 0}
    for (topic, _), records in ran.log.items():
        if not topic.startswith(("view.", "obligations.")):
            continue
        channel = BACKBONE["channels"][topic]
        for record in records:
            kind = "deletion-due" if topic.startswith("obligations.") else _kind(record.value)
            message = channel["messages"][kind]
            headers = {name: value.decode() for name, value in record.headers}
            headers.pop("postroom_supersedes", None)
            ours = {name: value for name, value in headers.items() if not name.startswith("pr-")}
            assert problems(jsonschema_rs.validator_for(message["headers"]), ours) == []
            assert ours.keys() <= message["headers"]["properties"].keys()
            key = message["bindings"]["kafka"]["key"]
            assert problems(jsonschema_rs.validator_for(key), (record.key or b"").decode()) == []
            _fits(message["payload"], record.value)
            seen[kind] += 1
    assert all(seen.values()), f"a test of nothing: {seen}"


def _kind(value: bytes | None) -> str:
    return "view-retracted" if value is None else "view-updated"


def _fits(payload: dict[str, Any], value: bytes | None) -> None:
    if "schemaFormat" in payload:
        assert value is not None
        body = io.BytesIO(value[FRAME_BYTES:])
        fastavro.schemaless_reader(body, fastavro.parse_schema(payload["schema"]), None)
        assert body.read() == b"", "bytes are left over"
    else:
        document = None if value is None else json.loads(value)
        assert problems(jsonschema_rs.validator_for(payload), document) == []


def test_events_as_departments_send_them_are_what_asyncapi_says():
    """E2: the headers of binary mode, and the data in the schema of the message."""
    seen = set()
    for event in lives(5, 30, NOW_MS - DAY_MS):
        known = cloudevent_from_json(event)
        message = BACKBONE["channels"][known.type]["messages"]["event"]
        headers = {name: value.decode() for name, value in to_headers(known)}
        assert problems(jsonschema_rs.validator_for(message["headers"]), headers) == []
        contract = CONTRACTS.by_type[known.type]
        body = io.BytesIO(contract.to_avro(contract.from_json(known.data)))
        fastavro.schemaless_reader(body, fastavro.parse_schema(message["payload"]["schema"]), None)
        seen.add(known.type)
    assert len(seen) > 10


def test_the_headers_refuse_another_owner():
    """E1: a source that is none of the contract's owners does not fit the message."""
    message = BACKBONE["channels"]["uk.gov.tax.payment.v1"]["messages"]["event"]
    headers = dict(message["examples"][0]["headers"]) | {"content-type": "application/avro"}
    schema = jsonschema_rs.validator_for(message["headers"])
    assert problems(schema, headers) == []
    assert problems(schema, headers | {"ce_source": "urn:gov:dwp:example"})


@pytest.mark.parametrize("name", PARTIES)
def test_an_organisation_reads_of_its_own_channels_only(name: str):
    """Sharing one field too many begins with describing it: no view, no schema and no user of others is in
    an organisation's document, and what it may do is what Kafka lets it.
    """
    party = Path(name).stem
    document = loaded(name)
    acls = wanted_acls(CONTRACTS, AGREEMENTS.values())
    users = {OWNER + party, SUBSCRIBER + party}
    may = {(acl.name, acl.operation) for acl in acls if acl.user in users and acl.resource == "topic"}
    shared = {type_ for type_, c in CONTRACTS.by_type.items() if party in c.owners and len(c.owners) > 1}
    assert document["channels"].keys() == {topic for topic, _ in may} | shared
    done = set()
    for operation in document["operations"].values():
        topic = operation["channel"]["$ref"].removeprefix("#/channels/")
        [scheme] = operation["security"]
        user = scheme["$ref"].rpartition("/")[2]
        assert user in (users if topic not in shared else {"postroom.gateway"})
        done.add((topic, {"send": "write", "receive": "read"}[operation["action"]]))
    assert done == may | {(topic, "write") for topic in shared}


@pytest.mark.parametrize("name", sorted(AGREEMENTS))
def test_a_views_data_contract_has_its_fields_and_no_other(name: str):
    """V1: the fields, and the fields of fields, of the registered schema, each with its sensitivity."""
    [table] = loaded(f"odcs/{view_topic(name)}.odcs.yaml")["schema"]
    assert _names(table) == _avro_names(view_schema(AGREEMENTS[name], CONTRACTS))
    for row in table["properties"]:
        assert row["classification"] == CONTRACTS.attributes[row["name"]].sensitivity


def _names(table: dict[str, Any]) -> set[str]:
    found = set()
    for row in table.get("properties", ()):
        found |= {row["name"]} | {f"{row['name']}.{inner}" for inner in _names(row | row.get("items", {}))}
    return found


def _avro_names(type_: Any) -> set[str]:
    if isinstance(type_, list):
        return set().union(*map(_avro_names, type_))
    if not isinstance(type_, dict):
        return set()
    found = _avro_names(type_.get("items"))
    for field in type_.get("fields", ()):
        found |= {field["name"]} | {f"{field['name']}.{inner}" for inner in _avro_names(field["type"])}
    return found


def test_service_levels_are_the_promises():
    """R7, V4, V7: retention of the contract, deletion of the agreement, the second of a withdrawal."""
    contract = loaded("odcs/uk.gov.tax.payment.v1.odcs.yaml")
    [kept] = contract["slaProperties"]
    assert (kept["property"], kept["value"], kept["unit"]) == ("retention", 3, "y")
    levels = loaded("odcs/view.council-leeds-housing.odcs.yaml")["slaProperties"]
    said = {level["property"]: (level["value"], level.get("unit")) for level in levels}
    assert said["latency"] == (1, "s")
    assert said["deletion"] == (1, "d")
    assert said["retention"] == (30, "d")


def test_a_contract_that_its_owners_share_directly_names_them_as_users():
    """adr/0031: with POSTROOM_SHARED_CONTRACTS=direct the owners write the topic themselves."""
    document = json.loads(made(CONTRACTS, AGREEMENTS, 3, shared_directly=True)["asyncapi.json"])
    operation = document["operations"]["council-leeds.publishes.uk.gov.consent.decision.v1"]
    assert operation["security"] == [{"$ref": "#/components/securitySchemes/owner.council-leeds"}]
    assert "gateway" not in operation["summary"]


def test_topics_are_told_as_they_are_made():
    """The Kafka binding has the partitions and settings of `postroom topics apply`."""
    wire = wire_of(CONTRACTS, AGREEMENTS, 7)
    document = json.loads(made(CONTRACTS, AGREEMENTS, 7)["asyncapi.json"])
    for name, channel in document["channels"].items():
        told = channel["bindings"]["kafka"]
        assert told["partitions"] == wire.topics[name].partitions == 7
        settings = {key: _text(value) for key, value in told["topicConfiguration"].items()}
        assert settings == wire.topics[name].config


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


# ---- as files ----------------------------------------------------------------------------------------


def test_building_again_changes_nothing_and_removes_only_what_was_made(tmp_path: Path):
    """What a removed agreement left behind goes; a file that somebody put there stays."""
    assert len(write(DOCUMENTS, tmp_path)) == len(DOCUMENTS)
    assert write(DOCUMENTS, tmp_path) == []
    (tmp_path / "notes.txt").write_text("mine")
    fewer = {name: each for name, each in AGREEMENTS.items() if name != "hmrc-estates"}
    without = made(CONTRACTS, fewer, PARTITIONS)
    changes = dict(write(without, tmp_path))
    assert changes["odcs/view.hmrc-estates.odcs.yaml"] == "removed"
    assert not (tmp_path / "odcs" / "view.hmrc-estates.odcs.yaml").exists()
    assert not (tmp_path / "catalogue" / "agreement-hmrc-estates.html").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert list(differences(without, tmp_path)) == []


def test_a_list_that_points_outside_removes_nothing_there(tmp_path: Path):
    """A damaged or foreign list of files is no licence to delete."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    place = tmp_path / "documents"
    place.mkdir()
    (place / SUMS).write_text(f"0  ../victim\n0  {victim}\n")
    write(DOCUMENTS, place)
    assert victim.read_text() == "mine"


def test_an_interrupted_build_is_finished_by_the_next(tmp_path: Path):
    """The list is written last; what differs is named and made again."""
    write(DOCUMENTS, tmp_path)
    (tmp_path / "asyncapi.json").write_text("{")
    (tmp_path / "openapi.json").unlink()
    assert dict(differences(DOCUMENTS, tmp_path)) == {"asyncapi.json": "changed", "openapi.json": "missing"}
    assert dict(write(DOCUMENTS, tmp_path)) == {"asyncapi.json": "rewritten", "openapi.json": "written"}
    assert list(differences(DOCUMENTS, tmp_path)) == []


def test_a_build_says_what_it_did_and_a_check_what_is_out_of_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Of a file that it has just written nobody hears that it is missing."""
    first, then = (with_sums(dict.fromkeys(names, "text")) for names in (("a", "b"), ("a", "c")))
    build(first, tmp_path, Form.JSON)
    done = capsys.readouterr()
    assert {row["what"] for row in json.loads(done.out)} == {"written"}
    assert done.err == f"3 files in {tmp_path}: 3 written\n"
    with pytest.raises(typer.Exit):
        check(then, tmp_path, Form.JSON)
    assert [(row["file"], row["what"]) for row in json.loads(capsys.readouterr().out)] == [
        (SUMS, "changed"),
        ("c", "missing"),
        ("b", "surplus"),
    ]
    build(then, tmp_path, Form.JSON)
    done = capsys.readouterr()
    assert [(row["file"], row["what"]) for row in json.loads(done.out)] == [
        (SUMS, "rewritten"),
        ("c", "written"),
        ("b", "removed"),
    ]
    assert done.err == f"3 files in {tmp_path}: 1 written, 1 rewritten, 1 removed\n"
    build(then, tmp_path, Form.JSON)
    assert capsys.readouterr().err == f"3 files in {tmp_path}: as they were\n"


def test_the_command_builds_and_checks_with_its_exit_code(tmp_path: Path):
    """§8: exit 0 in step, 1 and the files' names when not, 2 where nothing can be written."""
    schemas = ROOT / "schemas"
    environ = {"POSTROOM_CONTRACTS": str(schemas), "POSTROOM_AGREEMENTS": str(schemas / "agreements")}

    def documents(*words: str) -> subprocess.CompletedProcess[str]:
        return postroom(tmp_path, "documents", *words, **environ)

    assert documents("build", "made").returncode == 0
    assert documents("check", "made").returncode == 0
    (tmp_path / "made" / "openapi.json").write_text("{}")
    done = documents("check", "made", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)) == (1, [{"file": "openapi.json", "what": "changed"}])
    (tmp_path / "file").write_text("")
    done = documents("build", "file")
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True)
