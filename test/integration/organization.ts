import { execFileSync } from 'node:child_process'
import { appendFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { toEnvironment } from '../../src/database/connection/connection.js'
import { expireCheckpoints } from '../../src/restore/recover.js'
import type { RestoreReport } from '../../src/restore/report.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { testJob } from '../support/job.js'
import { loadScript, otherRows, rowsOf, tools } from '../support/organization.js'
import { haveBadDay, leftOvers, readArchived, setUpTenants } from '../support/tenants.js'

const counts = ({ database }: RestoreReport): object[] | undefined =>
  database?.tables.map(({ table, rows, added, changed, removed }) => ({ table, rows, added, changed, removed }))

t.test('a backup holds the organization alone and loads by itself', async t => {
  const tenants = await setUpTenants(t)
  const backup = await tenants.create()
  t.match(backup, {
    databaseScope: 'organization',
    organizationId: 'acme',
    type: 'full',
    warnings: [/manufacturers/, /audit_log|assets/]
  })
  const { sql, metadata, names } = await readArchived(tenants, backup)
  t.match(sql, /user0@acme\.example/)
  for (const other of ['globex', 'initech']) {
    t.notMatch(sql, other)
    t.notMatch(JSON.stringify(metadata), other)
    t.notMatch(names.join('\n'), other)
  }
  const loaded = await loadScript(t, Buffer.from(sql))
  t.same(await rowsOf(loaded.sql, 'acme'), (await tenants.state()).rows)
  t.same(
    (await loaded.sql`SELECT id FROM organizations`).map(({ id }) => id as string),
    ['acme']
  )
  t.equal((await loaded.sql`SELECT * FROM manufacturers`).length, 0, 'what belongs to nobody is not in it')
})

t.test('a restore makes rows and files what they were, while the others go on; and is undone', async t => {
  const tenants = await setUpTenants(t)
  const {
    database: { sql },
    uploadDir
  } = tenants
  // A role that reads, as an application's reporting has one: its grants and default privileges are in the dump.
  await sql`ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC`
  const before = await tenants.state()
  const backup = await tenants.create()
  await haveBadDay(tenants)
  const damaged = await tenants.state()
  const globexFiles = (await tenants.state('globex')).files
  const others = await otherRows(sql, 'acme')

  const rehearsed = await tenants.restore(backup.id, { dryRun: true })
  t.match(rehearsed.report, { database: { mode: 'merge', scope: 'organization' } })
  t.same(await tenants.state(), damaged, 'a dry run changes nothing')
  t.same(await otherRows(sql, 'acme'), others)

  const restored = await tenants.restore(backup.id)
  t.same(counts(restored.report), counts(rehearsed.report), 'it does what the dry run said')
  const changed =
    restored.report.database?.tables
      .filter(({ added = 0, changed = 0, removed = 0 }) => added + changed + removed > 0)
      .map(({ table }) => table) ?? []
  t.same(changed.includes('public.assets') && changed.includes('public.users') && changed.includes('public.tags'), true)
  t.same(await tenants.state(), before)
  t.same(await otherRows(sql, 'acme'), others, "nobody else's row was written, down to ctid and xmin")
  t.same((await tenants.state('globex')).files, globexFiles)
  t.same(await leftOvers(tenants.database), [])

  const [checkpoint] = await tenants.list()
  t.match(checkpoint, {
    checkpointOf: restored.restoreId,
    databaseScope: 'organization',
    description: `Checkpoint before the restore ${restored.restoreId}`
  })
  t.match(await tenants.restores(), [
    { restoreId: restored.restoreId, undoable: true, state: 'done' },
    { dryRun: true, state: 'rehearsed' }
  ])

  const undone = await tenants.post<{ message: string }>(`restores/${restored.restoreId}/undo`)
  t.equal(undone.message, 'Restore undone successfully')
  t.same(await tenants.state(), damaged)
  t.same(await otherRows(sql, 'acme'), others)
  t.match(
    (await tenants.restores()).find(({ restoreId }) => restoreId === restored.restoreId),
    { state: 'undone', undoable: false }
  )
  t.same(await leftOvers(tenants.database), [])
  await t.rejects(tenants.post(`restores/${restored.restoreId}/undo`), /RESTORE_NOT_UNDOABLE/)
  await t.rejects(stat(join(uploadDir, '.dumbassets-backup', restored.restoreId)), { code: 'ENOENT' })
})

t.test('other organizations write all the time while one is restored', async t => {
  const tenants = await setUpTenants(t)
  const {
    database: { sql },
    uploadDir
  } = tenants
  const before = await tenants.state()
  const backup = await tenants.create()
  await haveBadDay(tenants)

  let writing = true
  let written = 0
  let longest = 0
  const writer = (async () => {
    for (; writing; written += 1) {
      const started = performance.now()
      await sql`INSERT INTO assets (id, "organizationId", number, name, "createdAt", "updatedAt") VALUES (${`globex-live-${written}`}, 'globex', ${9000 + written}, 'live', now(), now())`
      await sql`UPDATE users SET "lastLoginAt" = now() WHERE id = 'initech-user-1'`
      longest = Math.max(longest, performance.now() - started)
      if (written % 10 === 0) await appendFile(join(uploadDir, 'globex', 'journal.txt'), `${written}\n`)
    }
  })()
  await tenants.restore(backup.id)
  writing = false
  await writer
  t.same(await tenants.state(), before)
  t.ok(written > 5, `${written} transactions, the longest of ${Math.round(longest)} ms`)
  const [{ count }] = await sql<[{ count: number }]>`SELECT count(*)::int FROM assets WHERE name = 'live'`
  t.equal(count, written, 'none of their writes is lost')
})

t.test("rows and files change in one commit: when the rows can't, the files go back", async t => {
  const tenants = await setUpTenants(t)
  const { core, database } = tenants
  const backup = await tenants.create()
  await haveBadDay(tenants)
  const damaged = await tenants.state()
  const { psql } = tools
  const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`
  const job = testJob({
    // Everything is prepared: the files beside the live ones, the rows in an open transaction.
    onPhase: phase => {
      if (phase === 'commit')
        execFileSync(psql, ['-Xqc', kill], { env: toEnvironment(database.connection), stdio: 'ignore' })
    }
  })
  const request = {
    organizationId: 'acme',
    backupId: backup.id,
    validateChecksum: true,
    rollbackOnFailure: false,
    dryRun: false,
    startedBy: 'olivia'
  }
  await t.rejects(restoreBackup(core, request, job), { code: /DATABASE_/ })
  t.same(await tenants.state(), damaged)
  t.same(await leftOvers(tenants.database), [])
  t.match(await tenants.restores(), [{ state: 'rolled-back', undoable: false }])
  t.equal((await tenants.list()).length, 1)
})

t.test("a restore whose checkpoint is deleted can't be undone", async t => {
  const tenants = await setUpTenants(t)
  const backup = await tenants.create()
  await haveBadDay(tenants)
  const { restoreId } = await tenants.restore(backup.id)
  const checkpoint = (await tenants.list()).find(({ checkpointOf }) => checkpointOf === restoreId)!
  const deleted = await tenants.app.inject({
    method: 'DELETE',
    url: `/api/backup/${checkpoint.id}`,
    headers: tenants.as()
  })
  t.equal(deleted.statusCode, 200, deleted.body)
  t.same(
    (await tenants.list()).map(({ id }) => id),
    [backup.id]
  )
  t.match(await tenants.restores(), [{ restoreId, state: 'done', undoable: false }])
  await t.rejects(tenants.post(`restores/${restoreId}/undo`), /RESTORE_NOT_UNDOABLE/)
  await t.rejects(
    stat(join(tenants.uploadDir, '.dumbassets-backup', restoreId)),
    { code: 'ENOENT' },
    'the files of before are gone too'
  )

  const again = await tenants.restore(backup.id)
  const taken = (await tenants.list()).find(({ checkpointOf }) => checkpointOf === again.restoreId)!
  await tenants.core.repository.deleteArchive('acme', taken.id)
  await tenants.core.catalog.remove('acme', taken.id)
  await t.rejects(
    tenants.post(`restores/${again.restoreId}/undo`),
    /RESTORE_NOT_UNDOABLE/,
    'nor when it was taken out of the folder'
  )
})

t.test('the checkpoint is dropped when its time is over, and when another restore takes its place', async t => {
  const tenants = await setUpTenants(t, { env: { CHECKPOINT_RETENTION: '1ms' } })
  const backup = await tenants.create()
  await haveBadDay(tenants)
  const first = await tenants.restore(backup.id)
  t.equal((await tenants.list()).filter(({ checkpointOf }) => checkpointOf === first.restoreId).length, 1)
  const second = await tenants.restore(backup.id)
  t.same(
    (await tenants.list()).map(({ checkpointOf }) => checkpointOf),
    [second.restoreId, undefined],
    'there is one at most'
  )
  await setTimeout(5)
  await expireCheckpoints(tenants.core)
  t.same(
    (await tenants.list()).map(({ id }) => id),
    [backup.id]
  )
  t.match(await tenants.restores(), [{ undoable: false }, { undoable: false }])
})
