import t, { type Test } from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { leftOvers, setUpTenants, type Tenants } from '../support/tenants.js'

interface Refusal {
  code: string
  errors?: Array<{ message: string }>
}
interface InPlace extends Tenants {
  /** As the superuser, with `app` and `bob` for the names of the database's user and of another role. */
  asAdmin: (statements: string) => Promise<void>
}

/** A database of one table, whose user may create no other. */
async function setUp(t: Test): Promise<InPlace> {
  const tenants = await setUpTenants(t, {
    ids: [],
    env: { DATABASE_SCOPE: 'instance' },
    database: { createdb: false, createrole: false }
  })
  const { database } = tenants
  await database.sql.unsafe(
    "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT n, 'item' FROM generate_series(1, 5) n"
  )
  const names: Record<string, string> = { app: database.name, bob: `${database.name}_bob` }
  const asAdmin = async (statements: string): Promise<void> => {
    await withSql(parseConnectionUrl(database.adminUrl), {}, async sql => {
      await sql.unsafe(statements.replaceAll(/\b(?:app|bob)\b/g, name => names[name]!))
    })
  }
  await asAdmin('CREATE ROLE bob')
  return { ...tenants, asAdmin }
}

t.test('objects of another role that the dump makes again are refused beforehand, each by its name', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql },
    asAdmin
  } = tenants
  const kinds: Array<[make: string, named: RegExp]> = [
    [
      'CREATE SCHEMA audit',
      /The schema audit belongs to the role \S+ and stays.*: run ALTER SCHEMA audit OWNER TO "test_\w+"/
    ],
    [
      'CREATE TABLE "Their Table" (a int); GRANT SELECT ON "Their Table" TO app',
      /The table public\."Their Table" .*: run ALTER TABLE public\."Their Table" OWNER TO/
    ],
    ['CREATE SEQUENCE s1; GRANT SELECT ON SEQUENCE s1 TO app', /The sequence public\.s1 /],
    ['CREATE VIEW v1 AS SELECT 1 AS a', /The view public\.v1 /],
    ['CREATE MATERIALIZED VIEW m1 AS SELECT 1 AS a', /The materialized view public\.m1 /],
    [
      "CREATE FUNCTION f1(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
      /The function public\.f1\(integer\) .*: run ALTER FUNCTION public\.f1\(integer\) OWNER TO/
    ],
    ["CREATE PROCEDURE p1() LANGUAGE sql AS 'SELECT 1'", /The procedure public\.p1\(\) /],
    ["CREATE TYPE e1 AS ENUM ('a')", /The type public\.e1 /],
    ['CREATE DOMAIN d1 AS int', /The (?:domain|type) public\.d1 /],
    ['CREATE TYPE c1 AS (a int)', /The (?:composite )?type public\.c1 /],
    ['CREATE COLLATION co1 FROM "C"', /The collation public\.co1 /],
    ['CREATE TEXT SEARCH CONFIGURATION ts1 (COPY = simple)', /The text search configuration public\.ts1 /],
    [
      'CREATE TABLE t2 (a int, b int); GRANT SELECT ON t2 TO app; CREATE STATISTICS st1 ON a, b FROM t2',
      /The statistics object public\.st1 .*: run ALTER STATISTICS public\.st1 OWNER TO/
    ],
    [
      'CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)',
      /The operator public\.===\(integer,integer\) /
    ],
    ['CREATE OPERATOR FAMILY of1 USING btree', /The operator family public\.of1 USING btree /],
    [
      "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER et1 ON ddl_command_end EXECUTE FUNCTION on_ddl()",
      /The event trigger et1 /
    ],
    ['CREATE PUBLICATION pu1', /The publication pu1 /],
    ['CREATE EXTENSION postgres_fdw; CREATE SERVER sv1 FOREIGN DATA WRAPPER postgres_fdw', /The server sv1 /]
  ]
  for (const [make] of kinds) await asAdmin(make)
  const backup = await tenants.create('database')
  for (const dryRun of [true, false]) {
    const refused = await tenants.post<Refusal>(`restore/${backup.id}`, { dryRun }, 409)
    t.equal(refused.code, 'PREFLIGHT_FAILED')
    const messages = refused.errors!.map(({ message }) => message)
    for (const [make, named] of kinds)
      t.ok(
        messages.some(message => named.test(message)),
        make
      )
  }
  t.same(await tenants.restores(), [], 'nothing was begun')
  t.equal((await sql`SELECT FROM items`).length, 5)
})

t.test('objects that have changed hands since the backup are refused by name, before anything is changed', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql },
    asAdmin
  } = tenants
  await sql.unsafe('CREATE SCHEMA "my.own"; CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS \'SELECT 1\'')
  const backup = await tenants.create('database')
  const cases: Array<[give: string, takeBack: string, expected: object]> = [
    [
      'ALTER SCHEMA "my.own" OWNER TO bob',
      'ALTER SCHEMA "my.own" OWNER TO app',
      {
        code: 'PREFLIGHT_FAILED',
        errors: [{ reason: 'object-of-another-role', message: /ALTER SCHEMA "my\.own" OWNER TO/ }]
      }
    ],
    [
      'ALTER FUNCTION f OWNER TO bob',
      'ALTER FUNCTION f OWNER TO app',
      {
        code: 'PREFLIGHT_FAILED',
        errors: [{ reason: 'object-of-another-role', message: /function public\.f\(integer\)/ }]
      }
    ],
    [
      'ALTER TABLE items OWNER TO bob; GRANT SELECT ON items TO app',
      'ALTER TABLE items OWNER TO app',
      { code: 'PREFLIGHT_FAILED', errors: [{ reason: 'object-of-another-role', message: /table public\.items/ }] }
    ]
  ]
  for (const [give, takeBack, expected] of cases) {
    await asAdmin(give)
    for (const dryRun of [true, false])
      t.match(await tenants.post(`restore/${backup.id}`, { dryRun, rollbackOnFailure: false }, 409), expected, give)
    await asAdmin(takeBack)
  }
  t.equal((await sql`SELECT FROM items`).length, 5)
  t.same(await leftOvers(tenants.database), [])
})

t.test(
  'an extension of a superuser stays where it is, and so do the privileges that other roles have given',
  async t => {
    const tenants = await setUp(t)
    const {
      database: { sql },
      asAdmin
    } = tenants
    await asAdmin(
      'ALTER SCHEMA public OWNER TO app; CREATE EXTENSION file_fdw SCHEMA public; GRANT CREATE ON SCHEMA public TO bob'
    )
    const backup = await tenants.create('database')
    await sql`DELETE FROM items`
    const { restoreId } = await tenants.restore(backup.id)
    t.equal((await sql`SELECT FROM items`).length, 5)
    t.equal((await sql`SELECT FROM pg_extension WHERE extname = 'file_fdw'`).length, 1)
    await tenants.post(`restores/${restoreId}/undo`)
    t.equal((await sql`SELECT FROM items`).length, 0)

    // Later than the backup, so in nothing that it makes again.
    await asAdmin(
      'CREATE SCHEMA audit; CREATE TABLE audit.log (a int); GRANT USAGE ON SCHEMA audit TO app; GRANT SELECT ON audit.log TO app; ALTER DEFAULT PRIVILEGES FOR ROLE bob GRANT SELECT ON TABLES TO app'
    )
    const {
      report: { warnings }
    } = await tenants.restore(backup.id, { rollbackOnFailure: false, dryRun: true })
    t.match(warnings.join('\n'), /default privileges of the role \S+_bob lose what they grant/)
    await tenants.restore(backup.id, { rollbackOnFailure: false })
    t.equal((await sql`SELECT FROM items`).length, 5)
    t.same(await sql`SELECT * FROM audit.log`, [], 'which the user may still read')
  }
)

t.test('the schema public comes back with the owner, privileges and comment that it had', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql },
    asAdmin
  } = tenants
  const look = async (): Promise<object[]> => [
    ...(await sql`
    SELECT nspowner::regrole::text AS owner, ARRAY(SELECT a::text FROM unnest(nspacl) a ORDER BY 1) AS acl, obj_description(oid, 'pg_namespace') AS comment
    FROM pg_namespace WHERE nspname = 'public'`)
  ]
  const states: Record<string, string> = {
    'as it is made': '',
    'owned by the user': 'ALTER SCHEMA public OWNER TO app',
    'without a comment, closed': 'COMMENT ON SCHEMA public IS NULL; REVOKE ALL ON SCHEMA public FROM PUBLIC',
    'with a comment, open to others':
      "COMMENT ON SCHEMA public IS 'ours'; GRANT ALL ON SCHEMA public TO PUBLIC; GRANT USAGE ON SCHEMA public TO bob WITH GRANT OPTION",
    "the database's again": 'ALTER SCHEMA public OWNER TO pg_database_owner'
  }
  const backups: Array<{ state: string; id: string; expected: object[] }> = []
  for (const [state, statements] of Object.entries(states)) {
    await asAdmin(statements)
    backups.push({ state, id: (await tenants.create('database')).id, expected: await look() })
  }
  for (const { state, id, expected } of [...backups.reverse(), backups[2]!]) {
    await tenants.restore(id, { rollbackOnFailure: false })
    t.same(await look(), expected, state)
    t.equal((await sql`SELECT FROM items`).length, 5, state)
  }
  await sql`DROP SCHEMA public CASCADE`
  await tenants.restore(backups[0]!.id)
  t.same(await look(), backups[0]!.expected, 'after it was dropped')
  await asAdmin('ALTER SCHEMA public OWNER TO bob; GRANT ALL ON SCHEMA public TO app')
  t.match(
    (await tenants.restore(backups[0]!.id)).report.database?.tables,
    [{ table: 'public.items', unchanged: 5 }],
    'of another role'
  )
})
