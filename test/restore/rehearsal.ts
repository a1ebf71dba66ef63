import t from 'tap'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createBackup } from '../../src/backup/create.js'
import { withSql } from '../../src/database/connection/connection.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { AppError } from '../../src/errors.js'
import { createTestDatabase } from '../support/postgres.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, fingerprints, listTree, organizationId } from '../support/restore-site.js'

t.test('a dry run tells exactly what would change, and changes nothing', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql.unsafe(`CREATE TABLE keyed (t text PRIMARY KEY, v json); CREATE TABLE bare (t text); CREATE TABLE gone (id int);
    INSERT INTO keyed SELECT n, '{"a":1}' FROM generate_series(1, 10) n; INSERT INTO bare VALUES ('x'), ('x'), ('y'); INSERT INTO gone VALUES (1)`)
  const folders = await createFolders(t, url)
  const core = coreOf(folders)
  const live = join(folders.uploadDir, organizationId)
  await mkdir(join(live, 'photos'), { recursive: true })
  for (const name of ['top', 'photos/same', 'photos/changed', 'photos/removed']) await writeFile(join(live, name), name)
  const { id } = await createBackup(
    core,
    { organizationId, type: 'full', createdBy: 't', createdByEmail: null },
    testJob()
  )

  await sql.unsafe(`DELETE FROM keyed WHERE t IN ('1', '2'); UPDATE keyed SET v = '{"a": 1}' WHERE t = '3'; INSERT INTO keyed VALUES ('new', '1');
    DELETE FROM bare WHERE t = 'y'; DROP TABLE gone; CREATE TABLE late (id int); INSERT INTO late VALUES (1), (2)`)
  await rm(join(live, 'photos/removed'))
  await writeFile(join(live, 'photos/changed'), 'photos/CHANGED')
  await writeFile(join(live, 'added'), '')

  const counters = async () =>
    await withSql(
      core.database.connection(),
      {},
      async sql =>
        await sql`
    SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY 1`
    )
  await sql`SELECT pg_stat_force_next_flush()`
  const before = [await fingerprints(core), await listTree(live), [...(await counters())]]
  const request = {
    organizationId,
    backupId: id,
    validateChecksum: true,
    rollbackOnFailure: true,
    dryRun: true,
    startedBy: 't'
  }
  const { report } = await restoreBackup(core, request, testJob({ core }))
  t.match(report.database?.tables, [
    { table: 'public.bare', rows: 3, added: 1, changed: 0, removed: 0, unchanged: 2, comparedBy: 'content' },
    { table: 'public.gone', rows: 1, added: 1, note: /would come back/ },
    { table: 'public.keyed', rows: 10, added: 2, changed: 1, removed: 1, unchanged: 7, comparedBy: 'key' },
    { table: 'public.late', rows: 0, removed: 2, note: /would go/ }
  ])
  t.match(report.files?.folders, [
    { folder: '.', files: 1, added: 0, changed: 0, removed: 1, unchanged: 1, sample: ['- added'] },
    {
      folder: 'photos',
      files: 3,
      added: 1,
      changed: 1,
      removed: 0,
      unchanged: 1,
      sample: ['~ photos/changed', '+ photos/removed']
    }
  ])
  t.same([await fingerprints(core), await listTree(live), [...(await counters())]], before)
})

t.test('cancelled at any phase before the commit, nothing has happened', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE x (id int)`
  const core = coreOf(await createFolders(t, url))
  const { id } = await createBackup(
    core,
    { organizationId, type: 'full', createdBy: 't', createdByEmail: null },
    testJob()
  )
  await sql`INSERT INTO x VALUES (1)`
  const before = await fingerprints(core)
  for (const at of ['verify', 'plan', 'prepare', 'report']) {
    const controller = new AbortController()
    const job = testJob({
      core,
      signal: controller.signal,
      onPhase: phase => {
        if (phase === at) controller.abort(new AppError('JOB_CANCELLED', 'job-cancelled', 'cancelled'))
      }
    })
    const request = {
      organizationId,
      backupId: id,
      validateChecksum: true,
      rollbackOnFailure: true,
      dryRun: false,
      startedBy: 't'
    }
    await t.rejects(restoreBackup(core, request, job), { code: 'JOB_CANCELLED' }, at)
    t.same(await fingerprints(core), before, at)
  }
})
