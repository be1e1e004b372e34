"""deploy/connect, without running it: no secret in it, nothing that the agreement does not grant, and no
name that Kafka's permissions would refuse.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.postgres.outbox_ddl import outbox_ddl
from postroom.access import wanted_acls
from postroom.composition import load_rules_files
from processors import view_topic
from schemas.views import view_schema
from tests.flow.connect_jars import ROOTS
from tests.flow.connect_kit import DIRECTORY, FILES, installed

SCHEMAS = FILES.parents[1] / "schemas"
SECRETS = f"{DIRECTORY}/secrets.properties"
HOUSING, SUBSCRIBER = "council-leeds-housing", "subscriber.council-leeds"
CONFIGURATIONS = ("worker.properties", "outbox-source.json", "view-sink.json")
PLACEHOLDER = re.compile(r"\$\{file:([^:}]*):([^}]*)\}")


def config(name: str) -> dict[str, str]:
    found: dict[str, Any] = json.loads((FILES / name).read_text())
    assert found.keys() == {"name", "config"}
    return dict(found["config"])


def worker() -> dict[str, str]:
    lines = (FILES / "worker.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def every_setting() -> dict[str, str]:
    return worker() | config("outbox-source.json") | config("view-sink.json")


def test_no_secret_is_inline():
    """What is a password comes from the file, and only from that one."""
    secret = {name: value for name, value in every_setting().items() if re.search("password|jaas", name)}
    assert len(secret) >= 5
    for name, value in secret.items():
        assert f"${{file:{SECRETS}:" in value, name
    for name in CONFIGURATIONS:
        assert {place for place, _ in PLACEHOLDER.findall((FILES / name).read_text())} == {SECRETS}


def test_the_example_of_the_secrets_names_each_that_is_asked_for():
    """Nothing is left to be found out by a worker that does not start."""
    asked = {key for name in CONFIGURATIONS for _, key in PLACEHOLDER.findall((FILES / name).read_text())}
    lines = (FILES / "secrets.properties.example").read_text().splitlines()
    given = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert asked == given


def test_a_file_is_run_as_it_is_committed_but_for_one_directory(tmp_path: Path):
    """The flow test's own worker reads these files; nothing else in them is changed for it."""
    for name in CONFIGURATIONS:
        text = (FILES / name).read_text()
        assert installed(text, tmp_path).replace(str(tmp_path), DIRECTORY) == text


def test_every_line_is_protected_and_nobody_beyond_this_machine_reconfigures():
    """TLS and a password for each of Connect's clients; the REST interface on the loopback."""
    found = worker()
    for prefix in ("", "producer.", "consumer."):
        assert found[f"{prefix}security.protocol"] == "SASL_SSL"
        assert found[f"{prefix}ssl.truststore.type"] == "PEM"
    assert found["listeners"].startswith("http://127.0.0.1:")
    assert found["topic.creation.enable"] == "false"
    assert found["config.providers.file.param.allowed.paths"] == DIRECTORY


def test_the_sink_reads_what_was_committed_by_a_group_of_its_subscribers():
    """A view of a transaction that was aborted is none (V6), and Kafka lets it into no other group."""
    found = config("view-sink.json")
    assert found["consumer.override.isolation.level"] == "read_committed"
    contracts, agreements = load_rules_files(SCHEMAS, SCHEMAS / "agreements")
    own = [acl for acl in wanted_acls(contracts, agreements.values()) if acl.user == SUBSCRIBER]
    group = found["consumer.override.group.id"]
    assert any(acl.operation == "read" and acl.covers("group", group) for acl in own)
    assert any(acl.operation == "read" and acl.covers("topic", found["topics"]) for acl in own)
    assert found["topics"] == view_topic(HOUSING)


def test_the_sinks_columns_are_those_that_the_agreement_grants():
    """What is withdrawn must leave the configuration and the table too; lists have no column."""
    contracts, agreements = load_rules_files(SCHEMAS, SCHEMAS / "agreements")
    columns, attributes = {"postroom_key", "postroom_sequence"}, set()
    for field in view_schema(agreements[HOUSING], contracts)["fields"]:  # type: ignore[attr-defined]
        (type_,) = [branch for branch in field["type"] if branch != "null"]
        if type_["type"] == "record":
            attributes.add(field["name"])
            columns |= {f"{field['name']}_{part['name']}" for part in type_["fields"]}
    found = config("view-sink.json")
    assert set(found["transforms.granted.include"].split(",")) == attributes
    made = re.search(r"CREATE TABLE [^(]*\((.*?)\n\);", (FILES / "view-sink.sql").read_text(), re.DOTALL)
    assert made is not None
    assert {line.split()[0] for line in made[1].strip().splitlines()} == columns
    assert found["schema.evolution"] == "none"


def test_a_payload_is_in_no_message_of_the_database():
    """The driver would quote a statement with its values in its exceptions, and Connect logs these."""
    assert "logServerErrorDetail=false" in config("view-sink.json")["connection.url"]
    assert config("outbox-source.json")["driver.logServerErrorDetail"] == "false"
    assert config("view-sink.json").get("errors.log.include.messages", "false") == "false"


def test_debezium_reads_columns_that_the_outbox_has_and_may_be_read():
    """The same in its filter, its first reading, and the rights of its user; never the payload itself."""
    found = config("outbox-source.json")
    included = re.fullmatch(r"postroom\.outbox\.\((.*)\)", found["column.include.list"])
    assert included is not None
    columns = set(included[1].split("|"))
    selected = found["snapshot.select.statement.overrides.postroom.outbox"]
    assert set(selected.removeprefix("SELECT ").partition(" FROM")[0].split(", ")) == columns
    granted = re.search(r"GRANT SELECT \(([^)]*)\)", (FILES / "outbox-source.sql").read_text())
    assert granted is not None
    may = set(granted[1].split(", "))
    assert columns | {"position", "parked_reason"} == may
    ddl = outbox_ddl("dwp", "cis")
    assert all(re.search(rf"^ +{name} ", ddl, re.MULTILINE) for name in may)
    assert "payload" not in may
    assert found["slot.name"] == found["publication.name"] == "postroom_outbox"


@pytest.mark.parametrize("name", ROOTS)
def test_the_jars_are_pinned(name: str):
    """Each by its SHA-256, and none of another database or twice."""
    jars = yaml.safe_load((FILES / "jars.yaml").read_text())[name]["jars"]
    assert ROOTS[name][1] in {jar["coordinate"] for jar in jars}
    assert all(re.fullmatch("[0-9a-f]{64}", jar["sha256"]) and jar["bytes"] > 0 for jar in jars)
    assert len({jar["coordinate"].rpartition(":")[0] for jar in jars}) == len(jars)
