import { execFileSync } from 'node:child_process'
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, organizationId } from '../support/restore-site.js'

const skip = process.getuid?.() === 0 ? false : 'needs root to give files away'

/** The application's user and group, which are neither the service's nor those of UPLOAD_DIR. */
const app = { uid: 4321, gid: 5432 }

async function setUp(t: Test, { mounted = false } = {}) {
  const folders = await createFolders(t, 'postgresql://nobody@127.0.0.1:1/nothing')
  const core = coreOf(folders)
  const live = join(folders.uploadDir, organizationId)
  // For another user to come there.
  await chmod(dirname(folders.uploadDir), 0o755)
  await mkdir(live)
  if (mounted) {
    const disk = await mkdtemp(join(tmpdir(), 'dab-owner-'))
    execFileSync('mount', ['--bind', disk, live], { stdio: 'ignore' })
    t.teardown(async () => {
      execFileSync('umount', [live])
      await rm(disk, { recursive: true })
    })
  }
  return {
    core,
    live,
    ...folders,
    backUp: async () =>
      (await createBackup(core, { organizationId, type: 'files', createdBy: 't', createdByEmail: null }, testJob())).id,
    restore: async (backupId: string, changes: { dryRun?: boolean } = {}): Promise<RestoreResult> =>
      await restoreBackup(
        core,
        {
          organizationId,
          backupId,
          validateChecksum: true,
          rollbackOnFailure: true,
          dryRun: false,
          startedBy: 't',
          ...changes
        },
        testJob({ core })
      ),
    undo: async (restoreId: string) =>
      await undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core }))
  }
}

/** Folders with every special bit, and a file. */
async function fill(live: string, owner: { uid: number; gid: number }, name: string): Promise<void> {
  const folders = { team: 0o2775, 'team/drop': 0o3773, 'team/set': 0o6755, private: 0o700 }
  for (const [folder, mode] of Object.entries(folders)) {
    await mkdir(join(live, folder))
    await chown(join(live, folder), owner.uid, owner.gid)
    await chmod(join(live, folder), mode)
  }
  await writeFile(join(live, 'team', name), name, { mode: 0o664 })
  await chown(join(live, 'team', name), owner.uid, owner.gid)
  for (const folder of ['team', 'private']) await utimes(join(live, folder), 1e9, 1e9)
  await chown(live, owner.uid, owner.gid)
  await chmod(live, 0o2770)
  await utimes(live, 12e8, 12e8)
}

async function attributes(live: string): Promise<string[]> {
  const lines = []
  for (const name of ['', ...(await readdir(live, { recursive: true })).sort()]) {
    if (name.startsWith('.dumbassets-backup')) continue
    const { uid, gid, mode, mtimeMs } = await lstat(join(live, name))
    // The folder's own time changes when a mounted one is gone through.
    lines.push(
      `${name} ${uid}:${gid} ${(mode & 0o7777).toString(8)} ${name === 'team/drop' || name === 'team/set' ? '' : Math.floor(mtimeMs / 1000)}`
    )
  }
  return lines
}

for (const mounted of [false, true]) {
  t.test(
    `the upload folder itself keeps owner, set-group-id bit and time through restore and undo${mounted ? ', as a mount' : ''}`,
    { skip },
    async t => {
      const site = await setUp(t, { mounted }).catch(() => null)
      if (site === null) return t.pass('mounting is not allowed here')
      const { live, backUp, restore, undo } = site
      await fill(live, app, 'first')
      const first = await attributes(live)
      t.match(first[0], ` ${app.uid}:${app.gid} 2770 1200000000`)
      const backupId = await backUp()

      // Another state, of the same owner: what is live then is what the undo must bring back.
      await utimes(join(live, 'team', 'first'), 5e8, 5e8)
      await rename(join(live, 'team', 'first'), join(live, 'team', 'second'))
      await chmod(live, 0o750)
      for (const folder of ['team', '.']) await utimes(join(live, folder), 11e8, 11e8)
      const second = await attributes(live)

      const rehearsed = await restore(backupId, { dryRun: true })
      t.same(await attributes(live), second, 'a dry run changes nothing')
      const { restoreId, report } = await restore(backupId)
      const withoutTimeOfFiles = (lines: string[]): string[] =>
        lines.map(line => line.replace(/(team\/(first|second) .*) \d+$/, '$1'))
      const expected = withoutTimeOfFiles(first)
      const found = withoutTimeOfFiles(await attributes(live))
      t.same(mounted ? found.slice(1) : found, mounted ? expected.slice(1) : expected)
      t.match(found[0], mounted ? ` ${app.uid}:${app.gid} 2770 ` : expected[0])
      t.notMatch([...report.warnings, ...rehearsed.report.warnings].join('\n'), /belong to/)
      await writeFile(join(live, 'team', 'made later'), '')
      t.equal((await stat(join(live, 'team', 'made later'))).gid, app.gid, "what is made there has the folder's group")

      await undo(restoreId)
      t.same(await attributes(live), second)
    }
  )
}

t.test('a mount that was empty has its owner, mode and time back after an undo', { skip }, async t => {
  const site = await setUp(t, { mounted: true }).catch(() => null)
  if (site === null) return t.pass('mounting is not allowed here')
  const { live, backUp, restore, undo } = site
  await fill(live, app, 'file')
  const backupId = await backUp()
  for (const name of await readdir(live)) await rm(join(live, name), { recursive: true })
  await chmod(live, 0o751)
  await utimes(live, 11e8, 11e8)
  const { restoreId } = await restore(backupId)
  t.match(await stat(live), { ...app, mode: 0o042770 })
  await undo(restoreId)
  t.match(await stat(live), { ...app, mode: 0o040751, mtimeMs: 11e11 })
})

t.test('a folder that is not there any more', { skip }, async t => {
  const { core, live, uploadDir, backUp, restore } = await setUp(t)
  await fill(live, app, 'file')
  const backupId = await backUp()
  const owners = async () =>
    [await stat(live), await stat(join(live, 'team')), await stat(join(live, 'team/file'))].map(({ uid, gid }) => ({
      uid,
      gid
    }))

  await rm(live, { recursive: true })
  const { report } = await restore(backupId)
  t.same(await owners(), [app, app, app], 'the owner of the time of the backup, where UPLOAD_DIR still has its own')
  t.notMatch(report.warnings.join(), /belong to/)

  const other = { uid: 1111, gid: 2222 }
  await rm(live, { recursive: true })
  await chown(uploadDir, other.uid, other.gid)
  await restore(backupId)
  t.same(await owners(), [other, other, other], "UPLOAD_DIR's, where that is another now, as on another machine")

  await rm(live, { recursive: true })
  await chown(uploadDir, 0, 0)
  const stranger = {
    ...core,
    signing: { current: core.signing.current, previous: [] },
    settings: { ...core.settings, acceptUnsignedArchives: true }
  }
  const { derivedKey } = await import('../../src/archive/signature.js')
  stranger.signing.current = derivedKey('y'.repeat(32))
  await restoreBackup(
    stranger,
    { organizationId, backupId, validateChecksum: true, rollbackOnFailure: true, dryRun: false, startedBy: 't' },
    testJob({ core: stranger })
  )
  t.same((await owners())[0], { uid: 0, gid: 0 }, 'an archive that is not signed here decides nothing')
})

/** As a service that may not give files away, with one more group than its own. */
async function asUser<T>(work: () => Promise<T>): Promise<T> {
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([7000, 7001])
  process.setegid?.(7000)
  process.seteuid?.(7000)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(groups)
  }
}

t.test(
  'a service that is not root gives files the group of the folder, and says when they have another owner',
  { skip },
  async t => {
    const { live, uploadDir, backupDir, backUp, restore, undo } = await setUp(t)
    for (const folder of [uploadDir, backupDir]) await chown(folder, 7000, 7000)
    await fill(live, { uid: 7000, gid: 7001 }, 'file')
    await asUser(async () => {
      const backupId = await backUp()
      const { restoreId, report } = await restore(backupId)
      t.match(await stat(live), { uid: 7000, gid: 7001, mode: 0o042770 })
      t.match(await stat(join(live, 'team/file')), { uid: 7000, gid: 7001 })
      t.notMatch(report.warnings.join(), /belong to/)
      await undo(restoreId)
    })

    await chown(live, app.uid, app.gid)
    await chmod(live, 0o2777)
    await asUser(async () => {
      const backupId = await backUp()
      const warning = /belong to user 7000, group 7000 and not to user 4321, group 5432/
      const rehearsed = await restore(backupId, { dryRun: true })
      t.match(rehearsed.report.warnings, [warning])
      const { restoreId, report } = await restore(backupId)
      t.match(report.warnings, [warning])
      t.match(await stat(live), { uid: 7000, gid: 7000 })
      await undo(restoreId)
      t.match(await stat(live), app)
    })
  }
)
