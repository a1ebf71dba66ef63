import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withSql } from '../../../src/database/connection/connection.js'
import { loadDump, type Load } from '../../../src/database/load/load-dump.js'
import { createScratch, dropScratch } from '../../../src/database/load/scratch.js'
import { tools } from '../../support/organization.js'
import { createTestDatabase, startCluster, type TestDatabase } from '../../support/postgres.js'

const locale = { encoding: 'UTF8', collate: 'C', ctype: 'C', localeProvider: 'c', icuLocale: null }

async function setUp(t: Test) {
  const { connection }: TestDatabase = await createTestDatabase(t)
  const suffix = randomBytes(16).toString('hex')
  const names = { database: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
  const { loader } = await createScratch(connection, names, locale, 1 << 30)
  t.teardown(async () => {
    await dropScratch(connection, names)
  })
  return {
    loader: names.loader,
    inside: async <Result>(statement: string): Promise<Result> =>
      (await withSql(
        connection,
        { database: names.database, ...loader! },
        async sql => await sql.unsafe(statement)
      )) as Result,
    load: async (sql: string | Load['sql'], changes: Partial<Load> = {}) =>
      await loadDump(connection, tools, {
        database: names.database,
        loader,
        hasDefaultPrivileges: false,
        signal: new AbortController().signal,
        sql:
          typeof sql === 'string'
            ? (async function* () {
                yield Buffer.from(sql)
              })()
            : sql,
        ...changes
      })
  }
}

t.test('rows that look like commands are rows', async t => {
  const { load, inside } = await setUp(t)
  const rows = [
    '\\\\! touch /tmp/x',
    '\\\\restrict a',
    '\\\\unrestrict a',
    '\\\\q',
    '\\\\.',
    '--',
    'COPY a FROM stdin;',
    '\\N'
  ]
  await load(`CREATE TABLE a (t text);\nCOPY a FROM stdin;\n${rows.join('\n')}\n\\.\nINSERT INTO a VALUES ('after');\n`)
  t.same(
    (await inside<Array<{ t: string | null }>>('SELECT t FROM a')).map(({ t }) => t),
    ['\\! touch /tmp/x', '\\restrict a', '\\unrestrict a', '\\q', '\\.', '--', 'COPY a FROM stdin;', null, 'after']
  )
})

t.test("the reason is PostgreSQL's, without the rows", async t => {
  const { load } = await setUp(t)
  const failures: Record<string, [string, RegExp]> = {
    'a statement': ['CREATE TABLE b (n int);\nSELECT 1/0;\n', /could not be loaded: division by zero$/],
    'a row': [
      'CREATE TABLE c (n int);\nCOPY c FROM stdin;\n1\nsecret row\n\\.\n',
      /could not be loaded: invalid input syntax for type integer/
    ],
    'a key': [
      "CREATE TABLE d (n text PRIMARY KEY);\nINSERT INTO d VALUES ('secret'), ('secret');\n",
      /duplicate key value violates unique constraint "d_pkey"$/
    ],
    'a syntax error': ['CREATE TABEL e ();\n', /syntax error at or near "TABEL"/],
    'a command': ['\\! id\n', /could not be loaded: .*restrict/]
  }
  for (const [what, [sql, message]] of Object.entries(failures)) {
    await t.rejects(load(sql + 'SELECT 1;\n'.repeat(200_000)), { code: 'DUMP_INVALID', message }, what)
  }
})

t.test('a source that breaks, a job that is cancelled, a session that is ended', async t => {
  const { load, inside, loader } = await setUp(t)
  const broken = new Error('the archive is broken')
  await t.rejects(
    load(
      (async function* () {
        yield Buffer.from('CREATE TABLE half (n int);\n')
        throw broken
      })()
    ),
    broken
  )

  const cancelled = new AbortController()
  const reason = new Error('cancelled')
  // Each for a time of its own: the session of a psql that was killed goes on for a while.
  const waits = async function* (seconds: number, then: () => Promise<void> | void): AsyncGenerator<Buffer> {
    // The filters hold an entry back until the next one begins, and the dump's end.
    yield Buffer.from(
      `SELECT pg_sleep(${seconds});\n\n--\n-- Name: a; Type: TABLE; Schema: public; Owner: -\n--\n${'-- a comment\n'.repeat(1000)}`
    )
    // Until the statement runs.
    while (
      (
        await inside<object[]>(
          `SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(${seconds})%' AND usename = '${loader}' AND state = 'active'`
        )
      ).length === 0
    );
    await then()
  }
  await t.rejects(
    load(
      waits(600, () => {
        cancelled.abort(reason)
      }),
      { signal: cancelled.signal }
    ),
    reason
  )
  await t.rejects(
    load(
      waits(601, async () => {
        await inside(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(601)%' AND usename = current_user"
        )
      })
    ),
    { code: 'DATABASE_UNAVAILABLE', reason: 'connection-lost' }
  )
})

t.test('default privileges are left to those who may set them', async t => {
  const { load, inside } = await setUp(t)
  const dump =
    '--\n-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: -; Owner: postgres\n--\n\nALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO PUBLIC;\n\n\n' +
    '--\n-- Name: a; Type: TABLE; Schema: public; Owner: me\n--\n\nCREATE TABLE a ();\n'
  await t.rejects(load(`\n${dump}`), {
    code: 'DUMP_INVALID',
    reason: 'load-failed',
    message: /member of role "postgres"|permission denied/
  })
  await load(`\n${dump}`, { hasDefaultPrivileges: true })
  t.match(await inside("SELECT to_regclass('a')::text AS a"), [{ a: 'a' }])
})

t.test('a server that does not let the loader in is told with the line that it needs', async t => {
  const { connection: admin, files } = await startCluster(t)
  const { connection, user } = await createTestDatabase(t, { cluster: files })
  const lines = ['postgres', user].map(role => `host all ${role} 127.0.0.1/32 scram-sha-256\n`)
  await writeFile(join(files.dataDirectory, 'pg_hba.conf'), lines.join(''))
  await withSql(admin, {}, async sql => await sql`SELECT pg_reload_conf()`)
  const suffix = randomBytes(16).toString('hex')
  const names = { database: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
  const { loader } = await createScratch(connection, names, locale, 1 << 30)
  t.teardown(async () => {
    await dropScratch(connection, names)
  })
  const load: Load = {
    database: names.database,
    loader,
    hasDefaultPrivileges: false,
    signal: new AbortController().signal,
    sql: (async function* () {
      yield Buffer.from('SELECT 1;\n')
    })()
  }
  await t.rejects(loadDump(connection, tools, load), {
    code: 'DATABASE_UNAVAILABLE',
    reason: 'loader-role-refused',
    remedy: /pg_hba\.conf.*scram-sha-256.*CREATEROLE/
  })
})

t.test('one transaction leaves all of a dump or nothing', async t => {
  const { load, inside } = await setUp(t)
  const dump = 'CREATE TABLE made (n int);\nCOPY made FROM stdin;\n1\n\\.\n'
  await t.rejects(load(`${dump}SELECT 1/0;\n`, { inOneTransaction: true }), {
    code: 'DUMP_INVALID',
    reason: 'load-failed',
    message: /division by zero/
  })
  t.same(await inside("SELECT to_regclass('made') AS made"), [{ made: null }])
  await load(dump, { inOneTransaction: true })
  t.same(await inside('SELECT n FROM made'), [{ n: 1 }])
})

t.test(
  'rows are frozen in one transaction only, since PostgreSQL freezes them in that of their table only',
  async t => {
    const { load, inside } = await setUp(t)
    const data =
      '\n--\n-- Data for Name: made; Type: TABLE DATA; Schema: public; Owner: -\n--\n\nCOPY public.made (n) FROM stdin;\n1\n\\.\n'
    await load(`CREATE TABLE public.made (n int);\n${data}`)
    await t.rejects(load(data, { inOneTransaction: true }), {
      code: 'DUMP_INVALID',
      reason: 'load-failed',
      message: /COPY FREEZE/
    })
    await load(`DROP TABLE public.made;\nCREATE TABLE public.made (n int);\n${data}`, { inOneTransaction: true })
    t.same(await inside('SELECT n FROM public.made'), [{ n: 1 }])
  }
)
