-- What Debezium needs beside `postroom outbox ddl`: run it once, as the owner of the database and of its roles, then
-- give the user its password: \password postroom_connect_source. The server needs wal_level = logical.
BEGIN;

-- REPLICATION is not inherited, so this is a user and no group. It may follow any publication of any database that
-- pg_hba.conf lets it into: let it into this one alone, and not into "replication", which copies the whole server.
DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postroom_connect_source') THEN
        CREATE ROLE postroom_connect_source LOGIN REPLICATION;
    END IF;
END
$roles$;
GRANT USAGE ON SCHEMA postroom TO postroom_connect_source;
GRANT SELECT (id, aggregatetype, aggregateid, type, event, content_type, position, parked_reason)
    ON postroom.outbox TO postroom_connect_source;

-- Insertions alone: what `outbox run` parks or takes away is none of Debezium's business.
DO $publication$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'postroom_outbox') THEN
        CREATE PUBLICATION postroom_outbox FOR TABLE postroom.outbox WITH (publish = 'insert');
    END IF;
END
$publication$;

COMMIT;
