import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { openSql, withSql } from '../../src/database/connection/connection.js'
import { openJournal, readJournal, type Begin } from '../../src/restore/journal.js'
import { expireCheckpoints, recoverRestores } from '../../src/restore/recover.js'
import { restoreBackup, type RestoreRequest } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { stagingFolder } from '../../src/storage/staging-folder.js'
import { restoreOther, runChild } from '../support/crash.js'
import { sharedCluster } from '../support/shared-cluster.js'
import { testJob } from '../support/job.js'
import { coreOf, createSite, organizationId, type Site } from '../support/restore-site.js'
import { restoresOf } from '../support/restores.js'

const startedBy = 'tester'

function restore(
  site: Site,
  state: 'a' | 'b',
  changes: Partial<RestoreRequest> = {},
  job = testJob({ core: site.core })
) {
  return restoreBackup(
    site.core,
    {
      organizationId,
      backupId: site.states[state].backupId,
      validateChecksum: true,
      rollbackOnFailure: true,
      dryRun: false,
      startedBy,
      ...changes
    },
    job
  )
}

const undo = async (site: Site, restoreId: string) =>
  await undoRestore(site.core, { organizationId, restoreId, startedBy }, testJob({ core: site.core }))

async function databases(site: Site): Promise<string[]> {
  return await withSql(site.connection, {}, async sql =>
    (
      await sql<Array<{ name: string }>>`
    SELECT datname AS name FROM pg_database WHERE pg_get_userbyid(datdba) = ${site.user} ORDER BY 1`
    ).map(({ name }) => name)
  )
}

t.test('only the newest is shown as undoable, also while the older checkpoint is still there', async t => {
  const s = await createSite(t)
  await restore(s, 'a')
  const second = await restore(s, 'b', {}, { ...testJob(), followUp: async () => {} })
  t.equal((await databases(s)).length, 3)
  t.same(
    (await restoresOf(s.core, organizationId)).filter(({ undoable }) => undoable).map(({ restoreId }) => restoreId),
    [second.restoreId]
  )
})

t.test('a restore and its undo, and one checkpoint at most', async t => {
  const s = await createSite(t)
  const first = await restore(s, 'a')
  t.equal(await s.look(), 'aa')
  await undo(s, first.restoreId)
  t.equal(await s.look(), 'bb')
  t.same(await s.leftovers(), [])
  await t.rejects(undo(s, first.restoreId), {
    code: 'RESTORE_NOT_UNDOABLE',
    reason: 'already-undone',
    remedy: 'There is nothing to undo.'
  })

  const second = await restore(s, 'a')
  t.notMatch(second.report.warnings, [/Only the newest/], 'there was nothing left to undo')
  const third = await restore(s, 'b')
  t.match(third.report.warnings, [new RegExp(`with this one, restore ${second.restoreId} of .* can't be`)])
  await t.rejects(undo(s, second.restoreId), { code: 'RESTORE_NOT_UNDOABLE', reason: 'no-checkpoint' })
  t.same(
    (await restoresOf(s.core, organizationId)).map(({ restoreId, undoable }) => [restoreId, undoable]),
    [
      [third.restoreId, true],
      [second.restoreId, false],
      [first.restoreId, false]
    ]
  )
  t.equal((await databases(s)).length, 2)
  t.same(await s.leftovers(), [])
  await expireCheckpoints(coreOf(s, { CHECKPOINT_RETENTION: '1h' }))
  t.equal((await databases(s)).length, 2)
  await expireCheckpoints(coreOf(s, { CHECKPOINT_RETENTION: '0' }))
  t.equal((await databases(s)).length, 1)
  await restore(s, 'a', { rollbackOnFailure: false })
  t.equal((await databases(s)).length, 1)
  t.same(await s.leftovers(), [])
})

t.test('half a checkpoint is never gone back to', async t => {
  const s = await createSite(t)
  const { restoreId } = await restore(s, 'a')
  const checkpoint = (await databases(s)).find(name => name.startsWith('dab_')) as string
  await withSql(s.connection, {}, async sql => {
    await sql.unsafe(`DROP DATABASE ${checkpoint}`)
  })
  await t.rejects(undo(s, restoreId), { code: 'RESTORE_NOT_UNDOABLE', reason: 'database-checkpoint-gone' })
  t.equal(await s.look(), 'aa')

  const again = await restore(s, 'b')
  const base = join(s.uploadDir, stagingFolder, again.restoreId)
  await rename(join(base, 'former'), join(base, 'gone'))
  await t.rejects(undo(s, again.restoreId), { code: 'RESTORE_NOT_UNDOABLE', reason: 'former-files-gone' })
  t.equal(await s.look(), 'bb')
})

t.test("nor to one below somebody else's restore", async t => {
  const s = await createSite(t)
  const { restoreId } = await restore(s, 'a')
  const other = { organizationId: 'other', type: 'database' as const, createdBy: 'x', createdByEmail: null }
  const { id } = await createBackup(s.core, other, testJob())
  const theirs = await restoreBackup(
    s.core,
    {
      organizationId: 'other',
      backupId: id,
      validateChecksum: true,
      rollbackOnFailure: true,
      dryRun: false,
      startedBy
    },
    testJob({ core: s.core })
  )
  await t.rejects(undo(s, restoreId), { code: 'RESTORE_NOT_UNDOABLE', reason: 'database-replaced' })
  t.equal(await s.look(), 'aa', 'the files have not moved either')
  await undoRestore(
    s.core,
    { organizationId: 'other', restoreId: theirs.restoreId, startedBy },
    testJob({ core: s.core })
  )
  await undo(s, restoreId)
  t.equal(await s.look(), 'bb')
  t.same(await s.leftovers(), [])
})

t.test(
  'what was decided and not begun before a crash is left, and journaled, before anything is built upon it',
  async t => {
    const s = await createSite(t)
    const { restoreId } = await restore(s, 'a')
    const stateOf = async () =>
      (await restoresOf(s.core, organizationId)).find(known => known.restoreId === restoreId)?.state
    const append = async (step: 'undo' | 'commit') => {
      const journal = (await openJournal(await s.core.repository.journalFolder(organizationId), restoreId))!
      await journal.append({ step })
      await journal.close()
    }
    await append('undo')
    await restore(s, 'a', { dryRun: true })
    t.equal(await s.look(), 'aa')
    t.equal(await stateOf(), 'done')
    await undo(s, restoreId)
    t.equal(await s.look(), 'bb')
    t.equal(await stateOf(), 'undone')
  }
)

t.test(
  'a restore that was decided and not begun when the service died goes back: people have worked since',
  async t => {
    const s = await createSite(t)
    await runChild(s, await restoreOther(s), { kind: 'kill', at: 1, from: 'ALTER DATABASE' })
    await withSql(s.connection, {}, async sql => await sql`CREATE TABLE since AS SELECT 1 AS work`)
    await recoverRestores(s.core)
    await withSql(s.connection, {}, async sql => {
      t.same([...(await sql`SELECT work FROM since`)], [{ work: 1 }])
      await sql`DROP TABLE since`
    })
    t.match(await restoresOf(s.core, organizationId), [{ state: 'rolled-back' }])
    t.equal(await s.look(), 'bb')
    t.same(await s.leftovers(), [])
  }
)

t.test("a checkpoint that can't be removed stops nobody", async t => {
  const s = await createSite(t)
  const { restoreId } = await restore(s, 'a')
  const folder = await s.core.repository.journalFolder(organizationId)
  const { database } = (await readJournal(folder, restoreId))[0] as Begin
  const { checkpoint } = database as { checkpoint: string }
  const admin = openSql(
    { ...s.connection, user: 'postgres', password: (await sharedCluster()).password },
    { database: checkpoint }
  )
  await admin`SELECT 1`
  const later = await restore(s, 'b')
  t.equal(await s.look(), 'bb')
  await recoverRestores(s.core)
  t.same((await s.leftovers()).filter(name => name.includes(checkpoint)).length, 1, 'it is still there')
  await undo(s, later.restoreId)
  t.equal(await s.look(), 'aa')
  await admin.end()
  await recoverRestores(s.core)
  t.same(await s.leftovers(), [])
})

t.test('a damaged journal stops the restores of its organization and nothing else', async t => {
  const s = await createSite(t)
  await restore(s, 'a')
  const folder = await s.core.repository.journalFolder(organizationId)
  const [name] = await readdir(folder)
  await writeFile(join(folder, name as string), 'damaged\n', { flag: 'r+' })
  await mkdir(join(folder, `${randomUUID()}.journal`))
  await recoverRestores(s.core)
  await t.rejects(restore(s, 'b'), { code: 'JOURNAL_DAMAGED', reason: 'journal-damaged' })
  t.equal(await s.look(), 'aa')
})

t.test("a session that can't be ended is named, and everything is as before", async t => {
  const s = await createSite(t)
  const admin = openSql(
    { ...s.connection, user: 'postgres', password: (await sharedCluster()).password },
    { applicationName: 'nightly job' }
  )
  await admin`SELECT 1`
  for (const dryRun of [true, false])
    await t.rejects(
      restore(s, 'a', { dryRun }),
      { code: 'DATABASE_BUSY', reason: 'sessions-remain', message: /postgres \(nightly job\)/ },
      `dryRun: ${dryRun}`
    )
  t.equal(await s.look(), 'bb')
  t.same(await s.leftovers(), [])
  await admin.end()
})
