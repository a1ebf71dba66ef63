import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { isWhole, otherBackup, pointsOf, recover, restoreOther, runChild } from '../support/crash.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, createSite, fingerprints, organizationId } from '../support/restore-site.js'
import { createTestDatabase } from '../support/postgres.js'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

t.test('a failing fsync, write or rename is a failure, and the answer tells the truth', async t => {
  const site = await createSite(t)
  const points = await pointsOf(site, await restoreOther(site))
  const chosen = points
    .map((name, index) => ({ name, at: index + 1 }))
    .filter(({ name }) => /^before (file\.sync|file\.appendFile|rename)/.test(name))
    .filter((_, index) => index % 3 === 2)
  t.ok(chosen.length > 5)
  for (const [index, { name, at }] of chosen.entries()) {
    const before = await site.look()
    const code = index % 2 === 0 ? 'EIO' : 'ENOSPC'
    const { error } = (await runChild(
      site,
      { do: 'restore', backupId: await otherBackup(site), keep: true },
      { kind: 'fail', at, code }
    ))!
    const after = await site.look()
    if (error === undefined) t.equal(after, before === 'aa' ? 'bb' : 'aa', `${name}: done in spite of it`)
    else if (error.code !== 'RESTORE_UNFINISHED') t.equal(after, before, `${name}: ${error.code}`)
    const outcome = await recover(site)
    t.ok(isWhole(outcome), `${name}: ${outcome.state}`)
    t.same(outcome.leftovers, [], name)
  }
})

t.test('a full disk', { skip: process.getuid?.() === 0 ? false : 'needs root to mount one' }, async t => {
  const { url } = await createTestDatabase(t)
  const folders = await createFolders(t, url)
  const mount = async (folder: string, size: string): Promise<void> => {
    await mkdir(folder, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
    t.teardown(() => {
      execFileSync('umount', ['-l', folder])
    })
  }
  try {
    await mount(folders.uploadDir, '100m')
  } catch {
    return t.pass('mounting is not allowed here')
  }
  const core = coreOf(folders)
  const folder = join(folders.uploadDir, organizationId)
  await mkdir(folder)
  await writeFile(join(folder, 'big'), randomBytes(20 << 20))
  const { id } = await createBackup(
    core,
    { organizationId, type: 'full', createdBy: 't', createdByEmail: null },
    testJob()
  )
  await writeFile(join(folder, 'ballast'), randomBytes(65 << 20))
  const before = await fingerprints(core)
  const request = {
    organizationId,
    backupId: id,
    validateChecksum: true,
    rollbackOnFailure: true,
    dryRun: false,
    startedBy: 't'
  }
  await t.rejects(restoreBackup(core, request, testJob({ core })), { code: 'DISK_FULL' }, 'told beforehand')
  t.same(await fingerprints(core), before)
})
