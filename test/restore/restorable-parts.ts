import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { createSmbStorage } from '../../src/storage/smb.js'
import { testCore } from '../support/core.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'

const request = { organizationId: 'acme', createdBy: 'tester', createdByEmail: null }
const restore = { organizationId: 'acme', validateChecksum: true, rollbackOnFailure: false, startedBy: 'tester' }
const storage = createSmbStorage({ host: 'nas', share: 'uploads', username: null, domain: null })

t.test('files that have no place on an SMB installation refuse the restore, and its dry run', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE items (id int PRIMARY KEY)`
  await sql`INSERT INTO items VALUES (1)`
  const { core, uploadDir } = await testCore(t, { url })
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'a.txt'), 'a')
  const smb = { ...core, storage }
  const backups = {
    files: await createBackup(core, { ...request, type: 'files' }, testJob()),
    full: await createBackup(core, { ...request, type: 'full' }, testJob())
  }
  await sql`DELETE FROM items`
  for (const [type, { id: backupId }] of Object.entries(backups)) {
    for (const dryRun of [true, false]) {
      await t.rejects(
        restoreBackup(smb, { ...restore, backupId, dryRun }, testJob({ core: smb })),
        { code: 'BACKUP_INCOMPATIBLE', remedy: /FILE_STORAGE_TYPE=local/ },
        `${type}, dryRun ${dryRun}`
      )
    }
  }
  t.equal((await sql`SELECT FROM items`).length, 0, 'a restore is both parts or none')
  const database = await createBackup(core, { ...request, type: 'database' }, testJob())
  t.ok(
    (await restoreBackup(smb, { ...restore, backupId: database.id, dryRun: true }, testJob({ core: smb }))).report
      .database
  )
})

t.test('a backup that holds nothing to restore says so in place of a success', async t => {
  const { core, uploadDir } = await testCore(t)
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'a.txt'), 'a')
  const smb = { ...core, storage }
  const { id: backupId } = await createBackup(smb, { ...request, type: 'files' }, testJob())
  for (const here of [core, smb]) {
    for (const dryRun of [true, false]) {
      await t.rejects(restoreBackup(here, { ...restore, backupId, dryRun }, testJob({ core: here })), {
        code: 'BACKUP_INCOMPATIBLE',
        remedy: /SMB_BACKUP_INFO/
      })
    }
  }
  t.same(await readdir(join(uploadDir, 'acme')), ['a.txt'])
})
