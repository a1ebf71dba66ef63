import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import type { Backup } from '../../src/repository/record.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { testJob } from '../support/job.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { coreOf, createFolders } from '../support/restore-site.js'

type Outcome = 'restored' | 'warned' | 'left out'

/** What pg_dump writes (pg_dump_sort.c, dbObjectTypePriority), and what comes of it. */
interface ObjectType {
  /** As in the dump's comments. */
  type: string
  /** By the owner of the database; what starts with a star by a superuser. */
  sql: string
  instance: Outcome
  organization: Outcome
  /** Where it differs: of a user who may create no database. */
  inPlace?: 'refused'
  /** How a warning names it. */
  named?: RegExp
  /** The object that PostgreSQL refuses to the role that loads. */
  fails?: string
  /** That it is there after a restore. */
  there?: string
}

const both = (outcome: Outcome): Pick<ObjectType, 'instance' | 'organization'> => ({
  instance: outcome,
  organization: outcome
})
const wholeOnly = (outcome: Outcome): Pick<ObjectType, 'instance' | 'organization'> => ({
  instance: outcome,
  organization: 'left out'
})

const types: ObjectType[] = [
  { type: 'SCHEMA', sql: 'CREATE SCHEMA app', ...both('restored'), there: `'app'::regnamespace` },
  {
    type: 'TYPE, enum',
    sql: `CREATE TYPE app.mood AS ENUM ('good', 'bad')`,
    ...both('restored'),
    there: `'app.mood'::regtype`
  },
  {
    type: 'TYPE, composite',
    sql: 'CREATE TYPE app.pair AS (a int, b int)',
    ...both('restored'),
    there: `'app.pair'::regtype`
  },
  {
    type: 'TYPE, range',
    sql: 'CREATE TYPE app.span AS RANGE (subtype = float8)',
    ...both('restored'),
    there: `'app.span'::regtype`
  },
  {
    type: 'DOMAIN',
    sql: `CREATE DOMAIN app.short AS text CHECK (length(VALUE) < 9)`,
    ...both('restored'),
    there: `'app.short'::regtype`
  },
  {
    type: 'FUNCTION',
    sql: `CREATE FUNCTION app.one() RETURNS int LANGUAGE sql IMMUTABLE SET work_mem = '8MB' AS 'SELECT 1'`,
    ...both('restored'),
    there: `'app.one()'::regprocedure`
  },
  {
    type: 'FUNCTION, BEGIN ATOMIC',
    sql: 'CREATE FUNCTION app.two() RETURNS int BEGIN ATOMIC SELECT 2; END',
    ...both('restored'),
    there: `'app.two()'::regprocedure`
  },
  {
    type: 'PROCEDURE',
    sql: `CREATE PROCEDURE app.act() LANGUAGE plpgsql SET search_path = app AS 'BEGIN END'`,
    ...both('restored'),
    there: `'app.act()'::regprocedure`
  },
  {
    type: 'AGGREGATE',
    sql: 'CREATE AGGREGATE app.total (int) (SFUNC = int4pl, STYPE = int)',
    ...both('restored'),
    there: `'app.total(int)'::regprocedure`
  },
  {
    type: 'OPERATOR',
    sql: 'CREATE OPERATOR app.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)',
    ...both('restored'),
    there: `'app.===(int,int)'::regoperator`
  },
  {
    type: 'COLLATION',
    sql: "CREATE COLLATION app.plain (LOCALE = 'C')",
    ...both('restored'),
    there: `'app.plain'::regcollation`
  },
  {
    type: 'CONVERSION',
    sql: `CREATE CONVERSION app.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8`,
    ...both('restored'),
    there: `(SELECT oid FROM pg_conversion WHERE conname = 'latin')`
  },
  {
    type: 'CAST',
    sql: 'CREATE CAST (app.pair AS text) WITH INOUT',
    ...both('restored'),
    inPlace: 'refused',
    named: /the cast or transform \(app\.pair AS text\), as long as/,
    there: `(SELECT oid FROM pg_cast WHERE castsource = 'app.pair'::regtype)`
  },
  {
    type: 'TEXT SEARCH DICTIONARY',
    sql: 'CREATE TEXT SEARCH DICTIONARY app.words (TEMPLATE = simple)',
    ...both('restored'),
    there: `'app.words'::regdictionary`
  },
  {
    type: 'TEXT SEARCH CONFIGURATION',
    sql: 'CREATE TEXT SEARCH CONFIGURATION app.config (PARSER = "default")',
    ...both('restored'),
    there: `'app.config'::regconfig`
  },
  {
    type: 'EXTENSION, trusted',
    sql: 'CREATE EXTENSION pgcrypto',
    ...both('restored'),
    there: `(SELECT oid FROM pg_extension WHERE extname = 'pgcrypto')`
  },
  { type: 'SEQUENCE', sql: 'CREATE SEQUENCE app.numbers', ...both('restored'), there: `'app.numbers'::regclass` },
  {
    type: 'TABLE',
    sql: `CREATE TABLE app.items (id int PRIMARY KEY DEFAULT nextval('app.numbers'), org text NOT NULL REFERENCES organizations, m app.mood, s app.short, r int4range,
    two int GENERATED ALWAYS AS (id * app.one()) STORED, EXCLUDE USING gist (r WITH &&))`,
    ...both('restored'),
    there: `'app.items'::regclass`
  },
  {
    type: 'TABLE, partitioned',
    sql: 'CREATE TABLE app.parts (id int, org text NOT NULL REFERENCES organizations, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE app.part_1 PARTITION OF app.parts FOR VALUES FROM (1) TO (9)',
    ...both('restored'),
    there: `'app.part_1'::regclass`
  },
  {
    type: 'INDEX',
    sql: 'CREATE INDEX lengths ON app.items (length(s)) WHERE id > 0',
    ...both('restored'),
    there: `'app.lengths'::regclass`
  },
  {
    type: 'STATISTICS',
    sql: 'CREATE STATISTICS app.both ON id, m FROM app.items',
    ...both('restored'),
    there: `(SELECT oid FROM pg_statistic_ext WHERE stxname = 'both')`
  },
  {
    type: 'VIEW',
    sql: 'CREATE VIEW app.seen AS SELECT * FROM app.items',
    ...both('restored'),
    there: `'app.seen'::regclass`
  },
  {
    type: 'MATERIALIZED VIEW',
    sql: 'CREATE MATERIALIZED VIEW app.kept AS SELECT count(*) FROM app.items',
    ...both('restored'),
    there: `'app.kept'::regclass`
  },
  {
    type: 'RULE',
    sql: 'CREATE RULE quiet AS ON INSERT TO app.seen DO INSTEAD NOTHING',
    ...both('restored'),
    there: `(SELECT oid FROM pg_rewrite WHERE rulename = 'quiet')`
  },
  {
    type: 'TRIGGER',
    sql: `CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER touching BEFORE UPDATE ON app.items FOR EACH ROW EXECUTE FUNCTION app.touch()`,
    ...both('restored'),
    there: `(SELECT oid FROM pg_trigger WHERE tgname = 'touching')`
  },
  {
    type: 'POLICY',
    sql: `CREATE POLICY own ON app.parts USING (org = current_setting('app.org', true)); ALTER TABLE app.parts ENABLE ROW LEVEL SECURITY`,
    ...both('restored'),
    there: `(SELECT oid FROM pg_policy WHERE polname = 'own')`
  },
  {
    type: 'COMMENT',
    sql: `COMMENT ON TABLE app.items IS 'the items'`,
    ...both('restored'),
    there: `nullif(obj_description('app.items'::regclass), '')`
  },
  {
    type: 'ACL',
    sql: 'GRANT SELECT ON app.items TO PUBLIC; GRANT USAGE ON SCHEMA app TO PUBLIC',
    ...both('restored'),
    there: `(SELECT relacl::text FROM pg_class WHERE oid = 'app.items'::regclass AND relacl::text LIKE '%=r/%')`
  },
  {
    type: 'DEFAULT ACL',
    sql: 'ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC',
    ...both('restored'),
    there: `(SELECT oid FROM pg_default_acl WHERE defaclobjtype = 'r')`
  },
  {
    type: 'BLOB',
    sql: "SELECT lo_from_bytea(4711, 'x')",
    ...wholeOnly('restored'),
    inPlace: 'refused',
    named: /the large objects \(1\), as long as/,
    there: `(SELECT oid FROM pg_largeobject_metadata WHERE oid = 4711)`
  },
  {
    type: 'PUBLICATION, tables',
    sql: 'CREATE PUBLICATION chosen FOR TABLE app.items',
    ...wholeOnly('restored'),
    there: `(SELECT oid FROM pg_publication WHERE pubname = 'chosen')`
  },

  {
    type: 'PUBLICATION, all tables',
    sql: '*CREATE PUBLICATION everything FOR ALL TABLES',
    ...wholeOnly('warned'),
    fails: 'the publication everything',
    named: /the publication everything FOR ALL TABLES, /
  },
  {
    type: 'PUBLICATION TABLES IN SCHEMA',
    sql: '*CREATE PUBLICATION rt FOR TABLES IN SCHEMA public',
    ...wholeOnly('warned'),
    fails: 'the publication tables in schema public.rt public',
    named: /the publication rt FOR TABLES IN SCHEMA public, .* publish the tables by name/
  },
  {
    type: 'EXTENSION, not trusted',
    sql: '*CREATE EXTENSION pageinspect',
    ...both('warned'),
    fails: 'the extension pageinspect',
    named: /the extension pageinspect, /
  },
  {
    type: 'EVENT TRIGGER',
    sql: `*CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER looking ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION look()`,
    ...both('warned'),
    fails: 'the event trigger looking',
    named: /the event trigger looking, /
  },
  {
    type: 'FUNCTION, untrusted language',
    sql: "*CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4pl'",
    ...both('warned'),
    fails: 'the function public.plus(integer, integer)',
    named: /the function .*plus\(integer,integer\).* in a language/
  },
  {
    type: 'FUNCTION, leakproof',
    sql: "*CREATE FUNCTION three() RETURNS int LEAKPROOF LANGUAGE sql AS 'SELECT 3'",
    ...both('warned'),
    fails: 'the function public.three()',
    named: /the function .*three\(\) that is marked LEAKPROOF/
  },
  {
    type: "FUNCTION, superuser's setting",
    sql: "*CREATE FUNCTION fs() RETURNS int LANGUAGE sql AS 'SELECT 4'; ALTER FUNCTION fs() SET log_min_duration_statement = 0",
    ...both('warned'),
    fails: 'the function public.fs()',
    named: /the function .*fs\(\) \(log_min_duration_statement\).*ALTER FUNCTION \.\.\. RESET/
  },
  {
    type: "PROCEDURE, superuser's setting",
    sql: "*CREATE PROCEDURE ps() LANGUAGE sql AS 'SELECT 4'; ALTER PROCEDURE ps() SET session_replication_role = replica",
    ...both('warned'),
    fails: 'the procedure public.ps()',
    named: /ps\(\) \(session_replication_role\)/
  },
  {
    type: 'OPERATOR CLASS',
    sql: '*CREATE OPERATOR CLASS public.sorted FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4)',
    ...both('warned'),
    fails: 'the operator class public.sorted',
    named: /the operator class public\.sorted, /
  },
  {
    type: 'OPERATOR FAMILY',
    sql: '*CREATE OPERATOR FAMILY public.relatives USING btree',
    ...both('warned'),
    fails: 'the operator family public.relatives',
    named: /the operator family public\.relatives, /
  },
  {
    type: 'CAST, between built-in types',
    sql: '*CREATE CAST (text AS bool) WITH INOUT AS IMPLICIT',
    ...both('warned'),
    fails: 'the cast CAST (text AS boolean)',
    named: /the cast \(text AS boolean\), /
  },
  {
    type: 'PROCEDURAL LANGUAGE',
    sql: '*CREATE LANGUAGE mine HANDLER plpgsql_call_handler',
    ...both('warned'),
    fails: 'the procedural language mine',
    named: /the language mine, /
  },
  {
    type: 'ACCESS METHOD',
    sql: '*CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler',
    ...both('warned'),
    fails: 'the access method pile',
    named: /the access method pile, /
  },
  {
    type: 'FOREIGN DATA WRAPPER',
    sql: '*CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far; CREATE USER MAPPING FOR PUBLIC SERVER away; CREATE FOREIGN TABLE there (id int) SERVER away',
    ...both('warned'),
    fails: 'the foreign data wrapper far',
    named: /the foreign-data wrapper far, /
  },
  {
    type: 'TEXT SEARCH PARSER',
    sql: '*CREATE TEXT SEARCH PARSER chop (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)',
    ...both('warned'),
    fails: 'the text search parser public.chop',
    named: /the text search parser chop, /
  },
  {
    type: 'TEXT SEARCH TEMPLATE',
    sql: '*CREATE TEXT SEARCH TEMPLATE form (LEXIZE = dsimple_lexize)',
    ...both('warned'),
    fails: 'the text search template public.form',
    named: /the text search template form, /
  },
  {
    type: 'TYPE, base',
    sql: `*CREATE TYPE raw; CREATE FUNCTION raw_in(cstring) RETURNS raw IMMUTABLE STRICT LANGUAGE internal AS 'textin'; CREATE FUNCTION raw_out(raw) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
    CREATE TYPE raw (INPUT = raw_in, OUTPUT = raw_out)`,
    ...both('warned'),
    fails: 'the type public.raw',
    named: /raw_in\(cstring\).* in a language/
  },
  {
    type: 'ACL, of a system object',
    sql: '*REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(float8) FROM PUBLIC',
    ...wholeOnly('warned'),
    named: /the changed privileges of .*pg_sleep\(double precision\)/
  },
  {
    type: 'CHECK that queries a later table',
    sql: `CREATE TABLE zones (org text PRIMARY KEY REFERENCES organizations); CREATE FUNCTION zoned(o text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM public.zones WHERE org = o)';
    CREATE FUNCTION is_fine(o text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN zoned(o); END';
    CREATE TABLE addresses (org text PRIMARY KEY REFERENCES organizations, CONSTRAINT zoned CHECK (is_fine(org)))`,
    ...both('warned'),
    named: /the CHECK zoned of (public\.)?addresses: its function names (public\.)?zones/
  },
  {
    type: 'MATERIALIZED VIEW that reads a later one by a function',
    sql: `CREATE MATERIALIZED VIEW kept_2 AS SELECT 1 AS n; CREATE FUNCTION kept_n() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT n FROM public.kept_2); END';
    CREATE VIEW kept_seen AS SELECT kept_n() AS n; CREATE MATERIALIZED VIEW kept_1 AS SELECT * FROM kept_seen; CREATE MATERIALIZED VIEW kept_3 AS SELECT * FROM kept_seen`,
    ...wholeOnly('warned'),
    named: /the rows of the materialized view (public\.)?kept_1: its function names (public\.)?kept_2,/
  },
  {
    type: "TABLE in the service's own schema",
    sql: 'CREATE SCHEMA dumbassets_backup; CREATE TABLE dumbassets_backup.mine (id int)',
    ...both('warned'),
    named: /not bring back dumbassets_backup\.mine, since/
  }
]

t.test('objects that come back', async t => {
  const chosen = types.filter(({ instance }) => instance === 'restored')
  const { core, create, database } = await open(t, chosen)
  for (const scope of ['instance', 'organization'] as const) {
    const { schemaProof, warnings } = await create(scope)
    t.match(schemaProof, { state: 'loaded', fingerprint: /^[0-9a-f]{64}$/ }, scope)
    t.same(
      warnings.filter(text => /^A restore/.test(text)),
      [],
      scope
    )
  }
  const { id } = await create('instance')
  await restoreBackup(
    core('instance'),
    {
      organizationId: 'A',
      backupId: id,
      validateChecksum: false,
      rollbackOnFailure: false,
      dryRun: false,
      startedBy: 't'
    },
    testJob({ core: core('instance') })
  )
  await withSql(database.connection, {}, async sql => {
    for (const { type, there } of chosen)
      t.ok(Object.values((await sql.unsafe(`SELECT (${there})::text AS there`))[0]!)[0], type)
  })
})

t.test('objects that no restore can make again are warned of by name', async t => {
  const chosen = types.filter(({ instance }) => instance === 'warned')
  const { create } = await open(t, chosen)
  for (const scope of ['instance', 'organization'] as const) {
    const { schemaProof, warnings } = await create(scope)
    t.match(schemaProof, { state: 'failed', failures: [] }, scope)
    const failed = schemaProof!.failures!.map(({ object }) => object).join('\n')
    t.notOk(
      warnings.some(text => text.includes('kept_3')),
      'a materialized view that is filled later'
    )
    for (const { type, named, [scope]: outcome } of chosen) {
      t.equal(
        warnings.filter(
          text => /^A restore (will|can) /.test(text) && named!.test(text) && / For the operator: /.test(text)
        ).length,
        outcome === 'warned' ? 1 : 0,
        `${scope}: ${type}`
      )
    }
    for (const { type, fails } of chosen.filter(({ [scope]: outcome }) => outcome === 'warned'))
      if (fails !== undefined) t.match(failed, fails, `and it is true: ${type}`)
  }
})

t.test('the same in place, where nothing can be tried beforehand', async t => {
  const chosen = types.filter(
    ({ instance, inPlace, sql }) =>
      inPlace === undefined && (instance === 'restored' || (instance === 'warned' && /publication|fs\(\)/i.test(sql)))
  )
  const { core, create, database } = await open(
    t,
    chosen.filter(({ instance }) => instance === 'restored'),
    { createdb: false, createrole: false }
  )
  const restore = async (backupId: string): Promise<unknown> =>
    await restoreBackup(
      core('instance'),
      {
        organizationId: 'A',
        backupId,
        validateChecksum: false,
        rollbackOnFailure: false,
        dryRun: true,
        startedBy: 't'
      },
      testJob({ core: core('instance') })
    )
  const { id, schemaProof } = await create('instance')
  t.match(schemaProof, { state: 'not-tried' })
  await t.resolves(restore(id), 'objects that come back')
  for (const { type, sql, named } of types.filter(({ inPlace }) => inPlace === 'refused')) {
    await withSql(database.connection, {}, async owner => {
      await owner.unsafe(sql)
    })
    const { id, warnings } = await create('instance')
    await t.rejects(restore(id), { code: /^(PREFLIGHT_FAILED|RESTORE_CONFLICT)$/ }, type)
    if (named !== undefined)
      t.ok(
        warnings.some(text => named.test(text)),
        type
      )
  }
  const warned = chosen.filter(({ instance }) => instance === 'warned')
  await withSql(parseConnectionUrl(database.adminUrl), {}, async admin => {
    for (const { sql } of warned) await admin.unsafe(sql.slice(1))
  })
  const { warnings } = await create('instance')
  for (const { type, named } of warned)
    t.ok(
      warnings.some(text => named!.test(text)),
      type
    )
})

async function open(
  t: Parameters<typeof createTestDatabase>[0],
  chosen: ObjectType[],
  role = {}
): Promise<{
  core: (scope: 'instance' | 'organization') => ReturnType<typeof coreOf>
  create: (scope: 'instance' | 'organization') => Promise<Backup>
  database: TestDatabase
}> {
  const database = await createTestDatabase(t, role)
  await database.sql.unsafe("CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('A')")
  await withSql(parseConnectionUrl(database.adminUrl), {}, async admin => {
    for (const { sql } of chosen) await (sql.startsWith('*') ? admin.unsafe(sql.slice(1)) : database.sql.unsafe(sql))
  })
  await database.sql.end({ timeout: 1 })
  const folders = await createFolders(t, database.url)
  const core = (scope: 'instance' | 'organization'): ReturnType<typeof coreOf> => coreOf({ ...folders, scope })
  const create = async (scope: 'instance' | 'organization'): Promise<Backup> =>
    await createBackup(
      core(scope),
      { organizationId: 'A', type: 'database', createdBy: 't', createdByEmail: null },
      testJob()
    )
  return { core, create, database }
}
