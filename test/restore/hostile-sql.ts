import { randomBytes } from 'node:crypto'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { withSql } from '../../src/database/connection/connection.js'
import { loadDump } from '../../src/database/load/load-dump.js'
import { limitsFor, withinLimits, type LoadLimits } from '../../src/database/load/load-limits.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { createScratch, dropScratch, type Loader } from '../../src/database/load/scratch.js'
import { compareCode } from '../../src/restore/code-diff.js'
import { AppError } from '../../src/errors.js'
import { superuser } from '../support/cluster.js'
import { sharedCluster } from '../support/shared-cluster.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

t.setTimeout(600_000)

const locale = { encoding: 'UTF8', collate: 'C', ctype: 'C', localeProvider: 'c', icuLocale: null }
const generous: LoadLimits = { maxBytes: 1 << 30, maxMs: 300_000, everyMs: 50 }
let tried = 0
let stopped = 0
t.teardown(() => {
  t.comment(`${tried} hostile statements, ${stopped} stopped`)
})

interface Scratch {
  database: string
  loader: Loader | null
}

/** Loads it as a restore does, statement by statement and in one transaction, and tells how that ended. */
async function load(database: TestDatabase, sql: string, limits = generous): Promise<string> {
  const ends = new Set<string>()
  for (const inOneTransaction of [false, true]) {
    ends.add(
      await inScratch(
        database,
        limits.maxBytes,
        async scratch => await loadInto(scratch, database, sql, limits, inOneTransaction)
      )
    )
  }
  return [...ends].join(' or ')
}

/** Nothing of it is left. */
async function inScratch<Result>(
  { connection }: TestDatabase,
  maxBytes: number,
  use: (scratch: Scratch) => Promise<Result>
): Promise<Result> {
  const suffix = randomBytes(16).toString('hex')
  const database = `dab_restore_${suffix}`
  const names = { database, loader: `dab_loader_${suffix}` }
  try {
    const { loader } = await createScratch(connection, names, locale, maxBytes)
    return await use({ database, loader })
  } finally {
    await dropScratch(connection, names)
  }
}

async function loadInto(
  { database, loader }: Scratch,
  { connection }: TestDatabase,
  sql: string,
  limits: LoadLimits,
  inOneTransaction: boolean
): Promise<string> {
  tried += 1
  const tools = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: 15 })
  try {
    await withinLimits(
      connection,
      database,
      limits,
      new AbortController().signal,
      async signal =>
        await loadDump(connection, tools, {
          database,
          loader,
          hasDefaultPrivileges: false,
          inOneTransaction,
          signal,
          sql: (async function* () {
            yield Buffer.from(sql)
          })()
        })
    )
    return 'loaded'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    stopped += 1
    return error.code
  }
}

t.test('every psql command is off', async t => {
  const database = await createTestDatabase(t)
  // psql manual, "Meta-Commands"; what they would do does not matter, since none may be run.
  const commands = [
    '!',
    '?',
    'a',
    'bind',
    'c',
    'conninfo',
    'C',
    'cd',
    'copy',
    'copyright',
    'crosstabview',
    'd',
    'dconfig',
    'di',
    'e',
    'echo',
    'ef',
    'elif',
    'else',
    'encoding',
    'endif',
    'errverbose',
    'ev',
    'f',
    'g',
    'gdesc',
    'getenv',
    'gexec',
    'gset',
    'gx',
    'h',
    'H',
    'i',
    'if',
    'ir',
    'include',
    'l',
    'list',
    'lo_export',
    'lo_import',
    'lo_list',
    'lo_unlink',
    'o',
    'out',
    'p',
    'password',
    'prompt',
    'pset',
    'q',
    'qecho',
    'r',
    'restrict',
    's',
    'set',
    'setenv',
    'sf',
    'sv',
    't',
    'T',
    'timing',
    'unset',
    'w',
    'warn',
    'watch',
    'x',
    'z'
  ]
  // None leaves anything, so one database takes them all.
  await inScratch(database, generous.maxBytes, async scratch => {
    for (const command of commands) {
      for (const inOneTransaction of [false, true]) {
        t.equal(
          await loadInto(scratch, database, `SELECT 1\\${command} x y\n;\n`, generous, inOneTransaction),
          'DUMP_INVALID',
          command
        )
      }
    }
  })
})

t.test('no statement reaches outside of the scratch database', async t => {
  const database = await createTestDatabase(t)
  const { sql, name } = database
  await sql`CREATE TABLE live (id int)`
  const folder = await mkdtemp(join(tmpdir(), 'dab-attack-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const proof = join(folder, 'proof')
  const statements: Record<string, string> = {
    'drop the live database': `COMMIT; DROP DATABASE ${name};`,
    'drop it in a transaction of its own': `BEGIN; COMMIT; DROP DATABASE ${name} WITH (FORCE);`,
    'rename it': `ALTER DATABASE ${name} RENAME TO stolen;`,
    'its settings': `ALTER DATABASE ${name} SET search_path = stolen;`,
    'a program that writes': `COPY (SELECT 1) TO PROGRAM 'touch ${proof}';`,
    'a program that reads': `CREATE TABLE x (t text); COPY x FROM PROGRAM 'touch ${proof}';`,
    'a file that is written': `COPY (SELECT 1) TO '${proof}';`,
    'a file that is read': "CREATE TABLE x (t text); COPY x FROM '/etc/passwd';",
    'an untrusted extension': 'CREATE EXTENSION file_fdw;',
    another: 'CREATE EXTENSION dblink;',
    'an untrusted language': 'CREATE LANGUAGE plpython3u;',
    'a function in C': "CREATE FUNCTION x () RETURNS int LANGUAGE c AS 'libc', 'system';",
    'a wrapper': 'CREATE FOREIGN DATA WRAPPER x;',
    'a role': 'CREATE ROLE dab_intruder;',
    superuser: 'ALTER ROLE CURRENT_USER SUPERUSER;',
    "another's password": `ALTER ROLE ${name} PASSWORD 'stolen';`,
    'another session user': `SET SESSION AUTHORIZATION ${name};`,
    'the one before': `RESET ROLE; RESET SESSION AUTHORIZATION; SET ROLE ${name};`,
    membership: `GRANT ${name} TO CURRENT_USER;`,
    "reading the server's files": "SELECT pg_read_file('/etc/passwd');",
    'listing them': "SELECT pg_ls_dir('/');",
    'a file as a large object': "SELECT lo_import('/etc/passwd');",
    'a large object as a file': `SELECT lo_export(lo_from_bytea(0, 'x'), '${proof}');`,
    dblink: "SELECT dblink_connect('dbname=postgres');",
    'server settings': "ALTER SYSTEM SET archive_command = 'touch x';",
    'a library': "LOAD '/tmp/x.so';",
    preloaded: "SET session_preload_libraries = 'x'; ALTER ROLE CURRENT_USER SET session_preload_libraries = 'x';",
    'a tablespace': `CREATE TABLESPACE x LOCATION '${folder}';`,
    'a subscription': "CREATE SUBSCRIPTION x CONNECTION 'dbname=postgres' PUBLICATION x;",
    'an event trigger':
      "CREATE FUNCTION x () RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION x();",
    'other sessions': `DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'; RAISE 'none'; END $$;`,
    passwords: 'SELECT rolpassword FROM pg_authid;',
    'the catalog': 'UPDATE pg_catalog.pg_class SET relname = relname;'
  }
  for (const [what, statement] of Object.entries(statements))
    t.equal(await load(database, statement), 'DUMP_INVALID', what)
  t.equal((await sql`SELECT FROM live`).length, 0, 'the live database is there, and our session in it')
  t.equal((await sql`SELECT FROM pg_roles WHERE rolname = 'dab_intruder'`).length, 0)
  await t.rejects(access(proof))
})

t.test('a NUL, however it is written, is refused and hides nothing', async t => {
  const database = await createTestDatabase(t)
  const rows = (text: string): string => `CREATE TABLE x (t text);\nCOPY x FROM stdin;\nbefore\n${text}\nafter\n\\.\n`
  const cases: Record<string, string> = {
    'a byte in a row': rows('a\0b'),
    'a row that is one byte': rows('\0'),
    'an octal escape in a row': rows('a\\000b'),
    'a hexadecimal escape in a row': rows('a\\x00b'),
    'a byte in a string': "SELECT 'a\0b';\n",
    'an escape in a string': "SELECT E'a\\000b';\n",
    'a Unicode escape': "SELECT U&'a\\0000b';\n",
    'a character': 'SELECT chr(0);\n',
    'in JSON': 'SELECT \'{"a": "\\u0000"}\'::jsonb;\n',
    'a command behind one': 'SELECT 1;\0\n\\! true\n',
    'a command on its line': '\0\\! true\n;SELECT 1/0;\n'
  }
  for (const [what, statement] of Object.entries(cases)) t.equal(await load(database, statement), 'DUMP_INVALID', what)
})

t.test('what never ends, or grows without end, is stopped by time and by size', async t => {
  const database = await createTestDatabase(t)
  const soon = { ...generous, maxMs: 3000 }
  const small = { ...generous, maxBytes: 40 << 20 }
  const cases: Array<[string, string, LoadLimits]> = [
    ['a loop', 'SET statement_timeout = 0; DO $$ BEGIN LOOP END LOOP; END $$;', soon],
    [
      'a recursive query',
      'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) FROM r;',
      soon
    ],
    ['sleep', 'SELECT pg_sleep(100000);', soon],
    [
      'a loop that catches its end',
      'DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN OTHERS OR query_canceled THEN NULL; END; END LOOP; END $$;',
      soon
    ],
    [
      '10 TB of rows',
      'CREATE TABLE x AS SELECT n, repeat(md5(n::text), 30) AS t FROM (SELECT generate_series(1, 10000000000) AS n) s;',
      small
    ],
    [
      '10 TB of rows one by one',
      'CREATE TABLE x (t text); DO $$ BEGIN LOOP INSERT INTO x SELECT repeat(md5(random()::text), 30) FROM generate_series(1, 1000); END LOOP; END $$;',
      small
    ],
    [
      'large objects',
      "DO $$ BEGIN LOOP PERFORM lo_from_bytea(0, decode(repeat(md5(random()::text), 20000), 'hex')); END LOOP; END $$;",
      small
    ]
  ]
  for (const [what, statement, limits] of cases)
    t.equal(await load(database, statement, limits), 'LOAD_LIMIT_EXCEEDED', what)
  const seesFiles = await createTestDatabase(t, { role: 'superuser' })
  t.equal(
    await load(seesFiles, 'SELECT count(*) FROM generate_series(1, 100000000000) n;', small),
    'LOAD_LIMIT_EXCEEDED',
    'temporary files'
  )
  // Those who can't see the files may be allowed to limit them.
  await withSql(
    seesFiles.connection,
    {},
    async sql => await sql.unsafe(`GRANT SET ON PARAMETER temp_file_limit TO ${database.name}`)
  )
  t.teardown(async () => {
    await withSql(
      superuser(await sharedCluster()),
      {},
      async sql => await sql.unsafe(`REVOKE SET ON PARAMETER temp_file_limit FROM ${database.name}`)
    )
  })
  t.equal(
    await load(database, 'SELECT count(*) FROM generate_series(1, 100000000000) n;', small),
    'LOAD_LIMIT_EXCEEDED',
    'temporary files'
  )
  t.equal(
    await load(database, 'SET temp_file_limit = -1;', small),
    'DUMP_INVALID',
    "the limit is not the dump's to lift"
  )
  t.equal(
    await load(database, 'CREATE TABLE x AS SELECT n FROM generate_series(1, 1000) n;', {
      ...small,
      ...soon,
      maxMs: 60_000
    }),
    'loaded',
    'an honest dump is not'
  )
  tried -= 1
  t.same(
    await database.sql`SELECT datname FROM pg_database WHERE datname LIKE 'dab_restore_%' AND datdba = (SELECT oid FROM pg_roles WHERE rolname = ${database.name})`,
    []
  )
})

t.test("limits follow from the archive, and a stranger's from its size alone", t => {
  const honest = limitsFor(1e9, { dumpBytes: 1e8, trusted: true, timeoutMs: null })
  t.equal(honest.maxBytes, 4e9 + 2 ** 30)
  t.equal(honest.maxMs, 15 * 60_000 + 1e6)
  t.equal(limitsFor(1e15, { dumpBytes: 1000, trusted: false, timeoutMs: 5 }).maxBytes, 400_000 + 2 ** 30)
  t.equal(limitsFor(1e15, { dumpBytes: 1000, trusted: false, timeoutMs: 5 }).maxMs, 5)
  t.end()
})

t.test('what runs by itself and would be another is listed', async t => {
  const live = await createTestDatabase(t)
  const restored = await createTestDatabase(t)
  const common = `CREATE TABLE assets (id int); CREATE VIEW seen AS SELECT id FROM assets;
    CREATE FUNCTION same () RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);`
  await live.sql.unsafe(
    `${common} CREATE FUNCTION price () RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION gone () RETURNS int LANGUAGE sql AS 'SELECT 1'`
  )
  await restored.sql.unsafe(`${common} CREATE FUNCTION price () RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 2';
    CREATE FUNCTION spy () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER spies BEFORE INSERT ON assets FOR EACH ROW EXECUTE FUNCTION spy();
    ALTER TABLE assets ENABLE ROW LEVEL SECURITY; CREATE POLICY everything ON assets USING (true);
    CREATE RULE hide AS ON DELETE TO assets DO INSTEAD NOTHING;
    CREATE OR REPLACE VIEW seen AS SELECT id + 1 - 1 AS id FROM assets;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC`)
  t.same(await compareCode(live.connection, { live: live.name, restored: live.name }), [])
  const superuser = await withSql(
    restored.connection,
    {},
    async sql => await sql<[{ name: string }]>`SELECT current_user AS name`
  )
  await restored.sql.unsafe(`GRANT CONNECT ON DATABASE ${restored.name} TO PUBLIC`)
  const changes = await compareCode({ ...restored.connection }, { live: live.name, restored: restored.name }).catch(
    (error: unknown) => error
  )
  t.match(changes, [
    {
      object: new RegExp(`^default privileges of ${superuser[0].name} for new objects of kind r in public$`),
      change: 'added'
    },
    { object: 'function public.gone()', change: 'removed' },
    { object: 'function public.price()', change: 'changed' },
    { object: 'function public.spy()', change: 'added' },
    { object: 'policy everything on public.assets', change: 'added' },
    { object: 'row security of public.assets', change: 'added' },
    { object: 'rule hide on public.assets', change: 'added' },
    { object: 'trigger spies on public.assets', change: 'added' },
    { object: 'view public.seen', change: 'changed' }
  ])
})
