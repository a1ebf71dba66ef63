import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { recover, runChild } from '../support/crash.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, organizationId, type Site } from '../support/restore-site.js'

t.test(
  'a restore of no files leaves no folder, also when it is killed after the files have changed places',
  async t => {
    const folders = await createFolders(t, 'postgres://nobody@127.0.0.1:1/nothing')
    const core = coreOf(folders)
    const live = join(folders.uploadDir, organizationId)
    const isThere = async (): Promise<boolean> =>
      await stat(live).then(
        () => true,
        () => false
      )
    await rm(live, { recursive: true, force: true })
    const { id: backupId } = await createBackup(
      core,
      { organizationId, type: 'files', createdBy: 'tester', createdByEmail: null },
      testJob()
    )
    const state = { backupId, fingerprint: '' }
    const site: Site = {
      ...folders,
      core,
      connection: core.database.connection(),
      user: 'nobody',
      states: { a: state, b: state },
      look: async () => (await isThere()).toString(),
      leftovers: async () => []
    }
    const arrive = async (): Promise<void> => {
      await mkdir(live, { recursive: true })
      await writeFile(join(live, 'file'), 'arrived')
    }

    await arrive()
    const request = { organizationId, backupId, validateChecksum: true, rollbackOnFailure: true, startedBy: 'tester' }
    const { report } = await restoreBackup(core, { ...request, dryRun: true }, testJob({ core }))
    t.match(report.warnings, ['The backup holds no files: all that are in the upload folder now go.'])
    const { points } = (await runChild(site, { do: 'restore', backupId, keep: false }))!
    t.notOk(await isThere())
    // Counted from the extraction, since a restore tidies up after those before it first.
    const rest = points.slice(points.findIndex(point => point.includes('/fresh')))
    const exchanged = rest.findIndex(point => /^after rename .*\/fresh$/.test(point))
    t.ok(exchanged > 0)
    for (let at = exchanged + 1; at <= rest.length; at += 5) {
      await arrive()
      await runChild(site, { do: 'restore', backupId, keep: false }, { kind: 'kill', at, from: '/fresh' })
      t.match(await recover(site), { state: 'false' }, `${at} ${String(rest[at - 1])}`)
    }
  }
)
