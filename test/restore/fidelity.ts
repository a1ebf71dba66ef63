import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { toEnvironment, withSql, type Connection } from '../../src/database/connection/connection.js'
import { readDatabaseDetails } from '../../src/database/database-details.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { runProgram } from '../../src/io/process.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { createTestDatabase } from '../support/postgres.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, databaseFingerprint, organizationId } from '../support/restore-site.js'

const everything = (name: string): string => `
CREATE ROLE "${name}_o'ther" NOLOGIN; GRANT "${name}_o'ther" TO CURRENT_USER; CREATE ROLE ${name}_reader NOLOGIN;
CREATE EXTENSION pgcrypto; CREATE EXTENSION citext; CREATE EXTENSION "uuid-ossp";
CREATE SCHEMA "odd ""schema"; GRANT USAGE, CREATE ON SCHEMA "odd ""schema" TO "${name}_o'ther"; GRANT USAGE ON SCHEMA "odd ""schema" TO ${name}_reader;
CREATE TYPE mood AS ENUM ('sad', 'o''k', E'back\\\\slash'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE "odd ""schema"."T a\\b;le" ("i d" int GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 3) PRIMARY KEY, t text DEFAULT E'\\\\.\\n', m mood,
  p positive, twice int GENERATED ALWAYS AS (p * 2) STORED, c citext UNIQUE, u uuid DEFAULT uuid_generate_v4(), j jsonb, b bytea, n numeric, f float8, z timestamptz,
  a text[], r int4range, s span, x pair, "select" bool);
INSERT INTO "odd ""schema"."T a\\b;le" (t, m, p, c, j, b, n, f, z, a, r, s, x, "select") VALUES
  (E'\\\\.', 'sad', 1, 'A', '{"k": [1, null, "é"]}', '\\x00ff', 'NaN', 'Infinity', 'infinity', ARRAY['a,b', NULL, '"'], '[1,5)', '[0.5,2]', ROW(1, 'x,y'), true),
  (E'tab\\tline\\r\\nquote'' " \\\\', E'back\\\\slash', 2, 'b', 'null', '', 1e-30, '-0', '1900-01-01 00:00:00+05:30', '{}', 'empty', NULL, NULL, NULL),
  ('\\unrestrict x', 'o''k', 3, NULL, NULL, NULL, 12345678901234567890.123, 'NaN', '-infinity', NULL, NULL, NULL, NULL, false);
COMMENT ON TABLE "odd ""schema"."T a\\b;le" IS 'it''s'; COMMENT ON COLUMN "odd ""schema"."T a\\b;le".t IS E'two\\nlines';
CREATE TABLE parts (at date NOT NULL, v int) PARTITION BY RANGE (at); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parts_d PARTITION OF parts DEFAULT; INSERT INTO parts VALUES ('2024-02-02', 1), ('2030-01-01', 2); CREATE INDEX ON parts (v);
CREATE SEQUENCE counter START 7 MAXVALUE 100 CYCLE; SELECT nextval('counter');
CREATE VIEW seen AS SELECT * FROM parts WHERE v > 0; CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM parts;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.v := coalesce(NEW.v, 0); RETURN NEW; END $f$;
CREATE TRIGGER noting BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE parts DISABLE TRIGGER noting;
CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = 0);
CREATE TABLE secret (id serial PRIMARY KEY, who text REFERENCES public.parents DEFERRABLE INITIALLY DEFERRED); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret FOR SELECT TO ${name}_reader USING (who = current_user);
GRANT SELECT ON seen TO ${name}_reader WITH GRANT OPTION; GRANT SELECT (v), UPDATE (v) ON parts TO "${name}_o'ther"; REVOKE EXECUTE ON FUNCTION note() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${name}_reader; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO "${name}_o'ther";
CREATE TABLE "odd ""schema".theirs (id int); ALTER TABLE "odd ""schema".theirs OWNER TO "${name}_o'ther";
CREATE STATISTICS st ON at, v FROM parts; CREATE RULE nope AS ON DELETE TO seen DO INSTEAD NOTHING;
SELECT lo_from_bytea(4711, '\\xdeadbeef'); GRANT SELECT ON LARGE OBJECT 4711 TO ${name}_reader; COMMENT ON LARGE OBJECT 4711 IS 'big';
ALTER DATABASE ${name} SET search_path = public, "odd ""schema"; ALTER DATABASE ${name} SET work_mem = '7MB';
ALTER ROLE ${name}_reader IN DATABASE ${name} SET statement_timeout = '5s';
COMMENT ON DATABASE ${name} IS 'the ''database'''; ALTER DATABASE ${name} CONNECTION LIMIT 33;
REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC; GRANT CREATE ON DATABASE ${name} TO ${name}_reader WITH GRANT OPTION;`

async function dump(connection: Connection): Promise<string> {
  const { pgDump } = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: 12 })
  const text = await runProgram(pgDump, ['--format=plain', '--no-sync'], { env: toEnvironment(connection) })
  return text.replaceAll(/^\\(un)?restrict .*\n/gm, '')
}

t.test('a database with everything in it is the same after a restore, by an ordinary owner', async t => {
  const { url, connection, name, sql } = await createTestDatabase(t)
  await sql.unsafe('CREATE TABLE public.parents (name text PRIMARY KEY)')
  await sql.unsafe(everything(name))
  await sql.end()
  const core = coreOf(await createFolders(t, url))
  const facts = async () =>
    await withSql(connection, {}, async sql => {
      const { sizeBytes: _, ...details } = await readDatabaseDetails(sql)
      return details
    })
  const before = { dump: await dump(connection), rows: await databaseFingerprint(connection), details: await facts() }
  const { id, warnings } = await createBackup(
    core,
    { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
    testJob()
  )
  t.same(warnings, [])
  await withSql(connection, {}, async sql => {
    await sql.unsafe('DROP TABLE parts CASCADE; SELECT lo_unlink(4711)')
  })
  t.not(await dump(connection), before.dump)

  const request = {
    organizationId,
    backupId: id,
    validateChecksum: true,
    rollbackOnFailure: false,
    dryRun: false,
    startedBy: 't'
  }
  const { report } = await restoreBackup(core, request, testJob({ core }))
  t.same(report.warnings, [])
  t.equal(await dump(connection), before.dump)
  t.equal(await databaseFingerprint(connection), before.rows)
  t.same(await facts(), before.details)
})
