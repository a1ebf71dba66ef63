import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { loadInPlace } from '../../../src/database/load/load-in-place.js'
import { withinLimits, type LoadLimits } from '../../../src/database/load/load-limits.js'
import { tools } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

const generous: LoadLimits = { maxBytes: 1 << 30, maxMs: 300_000, everyMs: 50 }
const table = 'CREATE TABLE public.assets (id int);\nCOPY public.assets FROM stdin;\n1\n2\n\\.\n'

async function setUp(t: Test) {
  const { connection, sql } = await createTestDatabase(t, { createdb: false, createrole: false })
  await sql`CREATE TABLE assets AS SELECT 1 AS id`
  return {
    sql,
    load: async (dump: string, { limits = generous, signal = new AbortController().signal, listCode = false } = {}) =>
      await withinLimits(
        connection,
        connection.database,
        limits,
        signal,
        async signal =>
          await loadInPlace(connection, tools, {
            restoreId: randomUUID(),
            tables: [{ schema: 'public', name: 'assets', rows: 2 }],
            census: null,
            listCode,
            signal,
            async *sql() {
              yield Buffer.from(table + dump)
            }
          })
      ),
    /** Our own sessions that are in a transaction which has written something. */
    writing: async () =>
      (
        await sql<
          Array<{ query: string }>
        >`SELECT query FROM pg_stat_activity WHERE usename = current_user AND backend_xid IS NOT NULL`
      ).map(({ query }) => query)
  }
}

t.test('what never ends, or grows without end, is stopped, and the live database is free again', async t => {
  const { sql, load, writing } = await setUp(t)
  const endless: Record<string, [string, Partial<LoadLimits>]> = {
    'a loop': ['DO $$ BEGIN LOOP END LOOP; END $$;', { maxMs: 1500 }],
    'a loop that goes on when it is cancelled': [
      'DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN OTHERS OR query_canceled THEN NULL; END; END LOOP; END $$;',
      { maxMs: 1500 }
    ],
    rows: [
      'CREATE TABLE x (t text); DO $$ BEGIN LOOP INSERT INTO x SELECT repeat(md5(random()::text), 30) FROM generate_series(1, 1000); END LOOP; END $$;',
      { maxBytes: 40 << 20 }
    ]
  }
  for (const [what, [dump, limits]] of Object.entries(endless)) {
    await t.rejects(load(dump, { limits: { ...generous, ...limits } }), { code: 'LOAD_LIMIT_EXCEEDED' }, what)
    while ((await writing()).length > 0) await delay(10)
    t.same(await sql`SELECT * FROM assets`, [{ id: 1 }], what)
  }
  const cancelled = new AbortController()
  const reason = new Error('cancelled')
  const loading = load('SELECT pg_sleep(100000);', { signal: cancelled.signal })
  loading.catch(() => {})
  while (!(await writing()).some(query => query.includes('pg_sleep(100000)'))) await delay(10)
  cancelled.abort(reason)
  await t.rejects(loading, reason)
  while ((await writing()).length > 0) await delay(10)
  t.same(await sql`SELECT * FROM assets`, [{ id: 1 }], 'a job that is cancelled')
})

t.test('what would run by itself is told, whatever it is called', async t => {
  const { sql, load } = await setUp(t)
  const dump = `CREATE FUNCTION public."a|b
c" () RETURNS int LANGUAGE sql AS 'SELECT 1';\n`
  const { code, commit } = await load(dump, { listCode: true })
  t.same([...code.keys()], ['function public."a|b\nc"()'])
  await commit()
  t.same(await sql`SELECT * FROM assets ORDER BY id`, [{ id: 1 }, { id: 2 }])
  const second = await load('')
  t.same([...second.code], [], 'only when it is asked for')
  await second.rollback()
})
