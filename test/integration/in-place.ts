import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { checksumDatabase } from '../../sample/checksums.js'
import { withSql } from '../../src/database/connection/connection.js'
import { parseConnectionUrl } from '../../src/database/connection/connection-url.js'
import { forge, type Forgery } from '../support/forge.js'
import { haveBadDay, leftOvers, setUpTenants, type Tenants, type TenantsOptions } from '../support/tenants.js'
import type { Test } from 'tap'

const setUp = async (t: Test, options: TenantsOptions = {}): Promise<Tenants> =>
  await setUpTenants(t, { ids: ['acme'], database: { createdb: false, createrole: false }, ...options })

t.test('a user who may create no database has it restored inside the live one', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql }
  } = tenants
  const everything = async (): Promise<object> => ({
    database: await checksumDatabase(sql),
    files: (await tenants.state()).files
  })
  const before = await everything()
  const backup = await tenants.create()
  await haveBadDay(tenants)
  await sql`DROP VIEW asset_costs`
  await sql`CREATE TABLE extra AS SELECT generate_series(1, 3) AS id`
  const damaged = await everything()

  const rehearsed = await tenants.restore(backup.id, { dryRun: true })
  t.match(rehearsed.report.database, { mode: 'in-place', scope: 'instance' })
  t.match(
    rehearsed.report.warnings.join('\n'),
    /may not create databases, so the restore works inside the live one: readers wait/
  )
  t.match(rehearsed.report.warnings.join('\n'), /only archives that you trust/)
  t.match(
    rehearsed.report.database?.tables.find(({ table }) => table === 'public.users'),
    { rows: 12, note: /differ/ }
  )
  t.match(
    rehearsed.report.database?.tables.find(({ table }) => table === 'public.manufacturers'),
    { unchanged: 6, added: 0 }
  )
  const gone = { rows: 0, removed: 3, note: /not in the backup and would go/ }
  t.match(
    rehearsed.report.database?.tables.find(({ table }) => table === 'public.extra'),
    gone
  )
  t.same(await everything(), damaged)

  const restored = await tenants.restore(backup.id)
  t.equal(restored.report.database?.mode, 'in-place')
  t.match(
    restored.report.database?.tables.find(({ table }) => table === 'public.extra'),
    gone
  )
  t.same(await everything(), before)
  t.same(await leftOvers(tenants.database), [])
  t.match(await tenants.list(), [{ checkpointOf: restored.restoreId, databaseScope: 'instance' }, { id: backup.id }])
  await tenants.post(`restores/${restored.restoreId}/undo`)
  t.same(await everything(), damaged)
  t.same(
    (await tenants.list()).map(({ id }) => id),
    [backup.id],
    'the checkpoint goes with the undo'
  )
  t.match(
    (await tenants.restores()).find(({ restoreId }) => restoreId === restored.restoreId),
    { state: 'undone', undoable: false }
  )
  t.same(await leftOvers(tenants.database), [])
})

t.test("what can't be loaded as a whole is refused, and nothing is changed", async t => {
  const tenants = await setUp(t)
  const {
    database: { sql }
  } = tenants
  const backup = await tenants.create('database')
  await sql`UPDATE users SET "fullName" = 'as it is now'`
  const before = await checksumDatabase(sql)
  const cases: Record<string, { change: Forgery; expected: object }> = {
    'a COMMIT of its own': {
      change: { sql: dump => dump.replace(/^COPY public\.assets /m, 'COMMIT;\n$&') },
      expected: { code: 'DUMP_INVALID' }
    },
    'a COMMIT and a BEGIN of its own': {
      change: { sql: dump => dump.replace(/^COPY public\.assets /m, 'COMMIT;\nBEGIN;\n$&') },
      expected: { code: 'DUMP_INVALID' }
    },
    'rows missing': {
      change: { sql: dump => dump.replace(/^1\tAcme\n/m, '') },
      expected: { code: 'DUMP_INVALID', reason: 'row-count', message: /manufacturers.* 5 .* 6/ }
    },
    'an error in the middle': {
      change: { sql: dump => dump.replace(/^COPY public\.users /m, 'SELECT 1/0;\n$&') },
      expected: { code: 'DUMP_INVALID', reason: 'load-failed', message: /division by zero/ }
    },
    'psql ended': {
      change: { sql: dump => dump.replace(/^COPY public\.users /m, '\\q\n$&') },
      expected: { code: 'DUMP_INVALID' }
    },
    'large objects': {
      change: {
        metadata: ({ database }) => {
          database!.largeObjects = 3
        }
      },
      expected: { code: 'PREFLIGHT_FAILED', errors: [{ reason: 'large-objects-in-place' }] }
    }
  }
  for (const [name, { change, expected }] of Object.entries(cases)) {
    const id = await forge(tenants.core, backup, change)
    for (const dryRun of [true, false]) {
      const expectedStatus = 'code' in expected && expected.code === 'PREFLIGHT_FAILED' ? 409 : 422
      t.match(await tenants.post(`restore/${id}`, { dryRun, rollbackOnFailure: false }, expectedStatus), expected, name)
      t.same(await checksumDatabase(sql), before, name)
      t.same(await leftOvers(tenants.database), [], name)
    }
  }
  t.same(
    (await tenants.restores()).map(({ state }) => state).filter(state => state !== 'rolled-back'),
    [],
    'all of them are over'
  )
})

t.test('what another role has built upon our tables is not taken along', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql, adminUrl }
  } = tenants
  const backup = await tenants.create('database')
  await withSql(parseConnectionUrl(adminUrl), {}, async admin => {
    await admin`CREATE SCHEMA reporting`
    await admin`CREATE VIEW reporting.people AS SELECT id, email FROM public.users`
  })
  await sql`UPDATE users SET "fullName" = 'as it is now'`
  const before = await checksumDatabase(sql)
  const refused = await tenants.post<{ message: string; remedy: string }>(`restore/${backup.id}`, {}, 409)
  t.match(refused, {
    code: 'RESTORE_CONFLICT',
    reason: 'dependent-objects',
    errors: [{ message: /reporting\.people/ }]
  })
  t.same(await checksumDatabase(sql), before)
  t.same(
    (await tenants.list()).map(({ id }) => id),
    [backup.id],
    'no checkpoint of what did not happen'
  )
})

t.test(
  'an extension that a superuser has made meanwhile stays, and the restore can be undone all the same',
  async t => {
    const tenants = await setUp(t)
    const {
      database: { sql, adminUrl }
    } = tenants
    const backup = await tenants.create('database')
    await withSql(parseConnectionUrl(adminUrl), {}, async admin => {
      await admin`CREATE EXTENSION pgcrypto`
    })
    await sql`UPDATE users SET "fullName" = 'as it is now'`
    const before = await checksumDatabase(sql)
    const { restoreId } = await tenants.restore(backup.id)
    t.notSame(await checksumDatabase(sql), before)
    await tenants.post(`restores/${restoreId}/undo`)
    t.same(await checksumDatabase(sql), before)
    t.equal((await sql`SELECT FROM pg_extension WHERE extname = 'pgcrypto'`).length, 1)
  }
)

t.test('a dry run lists the code that would be another', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql }
  } = tenants
  await sql.unsafe(
    "CREATE FUNCTION price () RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION same () RETURNS int LANGUAGE sql AS 'SELECT 1'"
  )
  const backup = await tenants.create('database')
  t.same((await tenants.restore(backup.id, { dryRun: true })).report.database?.code, [], 'none, after a backup')
  await sql.unsafe(
    "CREATE OR REPLACE FUNCTION price () RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE FUNCTION late () RETURNS int LANGUAGE sql AS 'SELECT 1'"
  )
  const spying = await forge(tenants.core, backup, {
    sql: dump =>
      dump.replace(
        /^-- PostgreSQL database dump complete/m,
        `CREATE FUNCTION public.spy () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER spies BEFORE INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION public.spy();\n$&`
      )
  })
  t.same((await tenants.restore(spying, { dryRun: true })).report.database?.code, [
    { object: 'function public.late()', change: 'removed' },
    { object: 'function public.price()', change: 'changed' },
    { object: 'function public.spy()', change: 'added' },
    { object: 'trigger spies on public.users', change: 'added' }
  ])
  t.notOk(
    (await tenants.restore(spying, { rollbackOnFailure: false })).report.database?.code,
    'a real restore is no diff'
  )
})

t.test('a load that takes too long is stopped by LOAD_TIMEOUT', async t => {
  const tenants = await setUp(t, { env: { LOAD_TIMEOUT: '3s' } })
  const backup = await tenants.create('database')
  const before = await checksumDatabase(tenants.database.sql)
  const endless = await forge(tenants.core, backup, {
    sql: dump => dump.replace(/^COPY public\.users /m, 'DO $$$$ BEGIN LOOP END LOOP; END $$$$;\n$&')
  })
  t.match(await tenants.post(`restore/${endless}`, { rollbackOnFailure: false }, 422), {
    code: 'LOAD_LIMIT_EXCEEDED',
    reason: 'load-time'
  })
  t.same(await checksumDatabase(tenants.database.sql), before)
  t.same(await leftOvers(tenants.database), [])
})

t.test("a lock that somebody else holds is not the dump's fault", async t => {
  const tenants = await setUp(t)
  const backup = await tenants.create('database')
  const [holder, number] = [await tenants.database.sql.reserve(), 4711]
  await holder`SELECT pg_advisory_lock(${number})`
  const waiting = await forge(tenants.core, backup, {
    sql: dump =>
      dump.replace(
        /^COPY public\.users /m,
        `SET LOCAL lock_timeout = '50ms';\nSELECT pg_catalog.pg_advisory_lock(${number});\n$&`
      )
  })
  t.match(await tenants.post(`restore/${waiting}`, { dryRun: true }, 409), {
    code: 'DATABASE_BUSY',
    remedy: /pg_prepared_xacts/
  })
  holder.release()
})

t.test('an organization that comes while the restore is under way is not replaced', async t => {
  const tenants = await setUp(t)
  const {
    database: { sql }
  } = tenants
  const backup = await tenants.create('database')
  await sql`UPDATE users SET "fullName" = 'as it is now'`
  for (const dryRun of [true, false]) {
    const newcomer = await sql.reserve()
    // Not committed, so that neither the plan nor the checkpoint sees it.
    await newcomer.unsafe("BEGIN; INSERT INTO organizations VALUES ('globex-secret', 'Globex', now())")
    const before = await checksumDatabase(sql)
    const refused = tenants.post(`restore/${backup.id}`, { dryRun }, 409)
    while ((await sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'organizations'::regclass`).length === 0)
      await Promise.race([delay(5), refused])
    await newcomer`COMMIT`
    newcomer.release()
    const answer = await refused
    t.match(answer, { code: 'OTHER_ORGANIZATIONS_AFFECTED', reason: 'other-organizations' })
    t.notMatch(JSON.stringify(answer), /globex/i)
    await sql`DELETE FROM organizations WHERE id = 'globex-secret'`
    t.same(await checksumDatabase(sql), before)
    t.same(await leftOvers(tenants.database), [])
    t.same(
      (await tenants.list()).map(({ id }) => id),
      [backup.id],
      'no checkpoint of what did not happen'
    )
  }
  const whole = await setUp(t, { ids: ['acme', 'globex'], env: { DATABASE_SCOPE: 'instance' } })
  t.equal(
    (await whole.restore((await whole.create('database')).id)).report.database?.mode,
    'in-place',
    'the operator has said that it is meant'
  )
})
