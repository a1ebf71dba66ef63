import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { testCore } from '../support/core.js'
import { testJob } from '../support/job.js'

async function warningsOf(
  t: Parameters<typeof testCore>[0],
  links: number
): Promise<{ backup: string[]; dryRun: string[]; restore: string[] }> {
  const { core, uploadDir } = await testCore(t)
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme/file'), 'x')
  for (let number = 0; number < links; number += 1) await symlink('file', join(uploadDir, 'acme', `link ${number}`))
  const { id, warnings } = await createBackup(
    core,
    { organizationId: 'acme', type: 'files', createdBy: 't', createdByEmail: null },
    testJob()
  )
  const restore = async (dryRun: boolean): Promise<string[]> =>
    (
      await restoreBackup(
        core,
        {
          organizationId: 'acme',
          backupId: id,
          validateChecksum: true,
          rollbackOnFailure: true,
          dryRun,
          startedBy: 't'
        },
        testJob({ core })
      )
    ).report.warnings.filter(warning => warning.startsWith('The backup '))
  return { backup: warnings, dryRun: await restore(true), restore: await restore(false) }
}

t.test('what the backup warned of is said again by its dry run and its restore', async t => {
  const { backup, dryRun, restore } = await warningsOf(t, 2)
  t.same(backup, [
    'Left out "link 0": it is no regular file or folder.',
    'Left out "link 1": it is no regular file or folder.'
  ])
  t.same(
    dryRun,
    backup.map(warning => `The backup warned: ${warning}`)
  )
  t.same(restore, dryRun)
})

t.test('of very many warnings the first are, with the number of the others', async t => {
  const { backup, restore } = await warningsOf(t, 130)
  t.equal(backup.length, 101)
  t.match(backup.at(-1), /^Left out 30 more: it is no regular file or folder/)
  t.equal(restore.length, 101)
  t.match(restore.at(-1), /has 1 more warning: see it/)
})
