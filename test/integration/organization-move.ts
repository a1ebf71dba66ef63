import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RestoreReport } from '../../src/restore/report.js'
import { allRows, loadScript, otherRows } from '../support/organization.js'
import { leftOvers, readArchived, setUpTenants, type Tenants } from '../support/tenants.js'

/** Gives the rows of numbered tables other numbers, as they would have in another installation. */
async function renumber({ database: { sql } }: Tenants): Promise<void> {
  for (const table of ['audit_log', 'maintenance_events']) await sql.unsafe(`UPDATE ${table} SET id = DEFAULT`)
}

t.test('an organization moves to another installation', async t => {
  const home = await setUpTenants(t)
  const backup = await home.create()
  const before = await home.state()
  const bring = async (there: Tenants): Promise<void> => {
    const { rawPayload } = await home.app.inject({ url: `/api/backup/${backup.id}/download`, headers: home.as() })
    const uploaded = await there.app.inject({
      method: 'POST',
      url: '/api/backup/upload',
      headers: { ...there.as(), 'content-type': 'application/zip' },
      payload: rawPayload
    })
    t.equal(uploaded.statusCode, 201, uploaded.body)
  }

  await t.test('into an empty database, whose own settings stay', async t => {
    const there = await setUpTenants(t, { ids: [] })
    await there.database.sql.unsafe(`ALTER DATABASE ${there.database.name} SET statement_timeout = '77s'`)
    await there.database.sql.unsafe(`REVOKE CONNECT ON DATABASE ${there.database.name} FROM PUBLIC`)
    await bring(there)
    const { report, restoreId } = await there.restore(backup.id)
    t.match(report.database, { mode: 'swap' })
    t.same((await there.state()).rows, before.rows)
    t.same((await there.state()).files, before.files)
    const [{ acl }] = await there.database.sql<
      [{ acl: string }]
    >`SELECT datacl::text AS acl FROM pg_database WHERE datname = current_database()`
    t.notMatch(acl, /[{,]=[A-Za-z]*c/, "PUBLIC still can't connect")
    t.equal(
      (
        await there.database
          .sql`SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database()`
      )[0]?.setconfig?.[0],
      'statement_timeout=77s'
    )
    await there.post(`restores/${restoreId}/undo`)
    t.equal((await there.database.sql`SELECT FROM pg_tables WHERE schemaname = 'public'`).length, 0)
  })

  const counts = ({ database }: RestoreReport): object[] | undefined =>
    database?.tables.map(({ table, rows, added, changed, removed }) => ({ table, rows, added, changed, removed }))

  /** Brings the organization where it has no row, and takes it out again. */
  const moveAndUndo = async (t: Test, there: Tenants): Promise<void> => {
    await bring(there)
    await renumber(there)
    const [empty, others] = [await there.state(), await otherRows(there.database.sql, 'acme')]
    const isEmpty = (rows: Record<string, string[]>): boolean => Object.values(rows).every(({ length }) => length === 0)
    t.ok(isEmpty(empty.rows))
    t.match(empty.files, { files: 0 })
    const rehearsed = await there.restore(backup.id, { dryRun: true })
    t.same(
      [await there.state(), await otherRows(there.database.sql, 'acme')],
      [empty, others],
      'a rehearsal brings nothing'
    )
    const { report, restoreId } = await there.restore(backup.id)
    t.match(report.database, { mode: 'merge', scope: 'organization' })
    t.same(counts(report), counts(rehearsed.report))
    t.same(await there.state(), before)
    t.same(await otherRows(there.database.sql, 'acme'), others)
    const checkpoint = (await there.list()).find(({ checkpointOf }) => checkpointOf === restoreId)!
    t.match(checkpoint, { databaseScope: 'organization', counts: { rows: 0, files: 0 } })
    t.match(checkpoint.warnings[0], /had no row in public\.organizations: restoring this backup removes/)
    t.ok(
      isEmpty(await allRows((await loadScript(t, Buffer.from((await readArchived(there, checkpoint)).sql))).sql)),
      "nobody's rows are in the checkpoint"
    )

    // Others go on, and a newcomer changes nothing about the undo.
    await there.database.sql`INSERT INTO organizations VALUES ('newcomer', 'Newcomer', now())`
    const later = await otherRows(there.database.sql, 'acme')
    await there.post(`restores/${restoreId}/undo`)
    t.same(await there.state(), empty)
    await t.rejects(stat(join(there.uploadDir, 'acme')), { code: 'ENOENT' }, 'nor does an empty folder stay')
    t.same(await otherRows(there.database.sql, 'acme'), later)
    t.same(
      (await there.list()).map(({ id }) => id),
      [backup.id]
    )
    t.match(
      (await there.restores()).find(restore => restore.restoreId === restoreId),
      { state: 'undone', undoable: false }
    )
    t.same(await leftOvers(there.database), [])
  }

  await t.test('into one that others use, and out of it again', async t => {
    const there = await setUpTenants(t, { ids: ['globex', 'hooli'] })
    await moveAndUndo(t, there)
  })

  await t.test("numbers that others have can't come", async t => {
    const there = await setUpTenants(t, { ids: ['globex', 'hooli'] })
    await bring(there)
    const before = [await there.state(), await otherRows(there.database.sql, 'acme')]
    const refused = await there.post<{ errors: object[] }>(`restore/${backup.id}`, {}, 409)
    t.match(refused, {
      code: 'RESTORE_CONFLICT',
      errors: [{ field: 'public.audit_log', reason: 'value-taken', message: /8 rows .*; \.\.\.\)/ }]
    })
    t.same([await there.state(), await otherRows(there.database.sql, 'acme')], before)
    t.same(
      (await there.list()).map(({ id }) => id),
      [backup.id],
      'the checkpoint of what did not happen is gone'
    )
  })

  await t.test('into one that a single other organization uses, whose rows no checkpoint may show', async t => {
    await moveAndUndo(t, await setUpTenants(t, { ids: ['globex'] }))
  })

  await t.test('into one that has the schema and nobody in it', async t => {
    const there = await setUpTenants(t, { ids: ['globex'] })
    await there.database.sql`DELETE FROM organizations`
    await rm(join(there.uploadDir, 'globex'), { recursive: true })
    t.match(
      await there.post('create', { type: 'full' }, 404),
      { code: 'ORGANIZATION_NOT_FOUND' },
      'only a restore makes a backup of nothing'
    )
    await moveAndUndo(t, there)
  })

  await t.test("where the operator sets the scope, the undo is the organization's all the same", async t => {
    await moveAndUndo(t, await setUpTenants(t, { ids: ['globex'], env: { DATABASE_SCOPE: 'instance' } }))
  })

  await t.test("nobody else's token brings it, nor takes it out", async t => {
    const there = await setUpTenants(t, { ids: ['globex'] })
    await bring(there)
    await renumber(there)
    for (const other of ['globex', 'nobody']) await there.post(`restore/${backup.id}`, {}, 404, other)
    const { restoreId } = await there.restore(backup.id)
    for (const other of ['globex', 'nobody']) await there.post(`restores/${restoreId}/undo`, undefined, 404, other)
    t.same(await there.state(), before)
  })
})
