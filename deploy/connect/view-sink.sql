-- The table that view-sink.json fills: run it as the database's owner, then give the user its password:
-- \password postroom_connect_sink. The columns are those of the view's records, flattened, without its lists.
BEGIN;

CREATE SCHEMA IF NOT EXISTS postroom_connect;
CREATE TABLE IF NOT EXISTS postroom_connect.council_leeds_housing (
    postroom_key text PRIMARY KEY,
    postroom_sequence bigint,
    name_given_names text,
    name_family_name text,
    name_title text,
    address_postcode text,
    address_authority text,
    practice_ods_code text
);

DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postroom_connect_sink') THEN
        CREATE ROLE postroom_connect_sink LOGIN;
    END IF;
END
$roles$;
REVOKE ALL ON postroom_connect.council_leeds_housing FROM PUBLIC;
GRANT USAGE ON SCHEMA postroom_connect TO postroom_connect_sink;
GRANT SELECT, INSERT, UPDATE, DELETE ON postroom_connect.council_leeds_housing TO postroom_connect_sink;

COMMIT;
