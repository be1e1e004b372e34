"""The outbox table as SQL: Debezium's convention, and what a CloudEvent needs besides (E1). Text only.

A department's application inserts into the columns of the convention, in its own transaction. A trigger
writes beside them the event as it goes out, so that this outbox and Debezium publish the same bytes.
"""

from __future__ import annotations

from connectors.trouble import Misused
from schemas import owner_of

TABLE = "postroom.outbox"
WRITER, RELAY = "postroom_outbox_writer", "postroom_outbox_relay"

_DDL = """\
-- The outbox of {owner}: `postroom outbox ddl {owner} --system {system}`. Run it as the database's owner;
-- running it again changes nothing.
BEGIN;

CREATE SCHEMA IF NOT EXISTS postroom;

CREATE TABLE IF NOT EXISTS postroom.outbox (
    -- The convention of Debezium's outbox event router.
    id            uuid         PRIMARY KEY DEFAULT gen_random_uuid(),   -- the event's id (E1)
    aggregatetype varchar(255) NOT NULL,
    aggregateid   varchar(255) NOT NULL,   -- events of one aggregate go out in the order of their insertion
    type          varchar(255) NOT NULL,   -- uk.gov.<domain>.<fact>.v<N>
    payload       jsonb,                   -- the data of the contract, as plain JSON (E3)
    -- What CloudEvents needs besides.
    source        text         NOT NULL DEFAULT 'urn:gov:{owner}:{system}'
                               CHECK (source LIKE 'urn:gov:{owner}:%'),
    "time"        timestamptz  NOT NULL DEFAULT clock_timestamp(),      -- when the department recorded it
    -- Not the application's: the event as it goes out, its order, and why it cannot go out.
    event         text,
    content_type  text         NOT NULL DEFAULT 'application/cloudevents+json',
    position      bigint       GENERATED ALWAYS AS IDENTITY,
    parked_reason text,
    parked_why    text,
    parked_at     timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX IF NOT EXISTS outbox_due ON postroom.outbox (position) WHERE parked_reason IS NULL;
CREATE INDEX IF NOT EXISTS outbox_aggregate ON postroom.outbox (aggregatetype, aggregateid, position)
    WHERE parked_reason IS NULL;
CREATE INDEX IF NOT EXISTS outbox_parked ON postroom.outbox (parked_at) WHERE parked_reason IS NOT NULL;

CREATE OR REPLACE FUNCTION postroom.outbox_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $function$
BEGIN
    NEW.event := jsonb_build_object(
        'specversion', '1.0',
        'id', NEW.id,
        'source', NEW.source,
        'type', NEW.type,
        'time', to_char(NEW."time" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'datacontenttype', 'application/json',
        'data', NEW.payload
    )::text;
    RETURN NEW;
END
$function$;

CREATE OR REPLACE TRIGGER outbox_event
    BEFORE INSERT OR UPDATE OF id, source, type, "time", payload ON postroom.outbox
    FOR EACH ROW EXECUTE FUNCTION postroom.outbox_event();

-- Who may what: grant the first role to the application's user, the second to that of `postroom outbox run`.
DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{writer}') THEN
        CREATE ROLE {writer} NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{relay}') THEN
        CREATE ROLE {relay} NOLOGIN;
    END IF;
END
$roles$;
REVOKE ALL ON postroom.outbox FROM PUBLIC;
GRANT USAGE ON SCHEMA postroom TO {writer}, {relay};
GRANT INSERT (id, aggregatetype, aggregateid, type, payload, source, "time"), SELECT (id)
    ON postroom.outbox TO {writer};
GRANT SELECT, DELETE, UPDATE (parked_reason, parked_why, parked_at) ON postroom.outbox TO {relay};

COMMIT;
"""


def outbox_ddl(owner: str, system: str) -> str:
    """Everything that an owner's database needs; Misused when owner or system are not as E1 has them."""
    source = f"urn:gov:{owner}:{system}"
    if owner_of(source) != owner:
        raise Misused(
            "that is no source of events",
            where=source,
            mend="an owner is [a-z][a-z0-9-]{1,30}, a system [A-Za-z0-9._-]{1,64} (E1)",
        )
    return _DDL.format(owner=owner, system=system, writer=WRITER, relay=RELAY)
