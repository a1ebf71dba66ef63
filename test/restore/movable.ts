import { execFileSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { requireMovable } from '../../src/restore/try-rename.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, listTree, organizationId } from '../support/restore-site.js'

const isRoot = process.getuid?.() === 0
const nobody = 65534

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dab-movable-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  return folder
}

t.test('what may be moved is told without moving it', async t => {
  const folder = await folderOf(t)
  await mkdir(join(folder, 'empty'))
  await mkdir(join(folder, 'full', 'inner'), { recursive: true })
  await writeFile(join(folder, 'file'), 'content')
  const before = await listTree(folder)
  await requireMovable(
    ['empty', 'full', 'file', 'missing'].map(name => join(folder, name)),
    join(folder, 'blocker')
  )
  t.same(await listTree(folder).then(lines => lines.slice(1)), before.slice(1))
})

t.test(
  'what belongs to another user is not movable',
  { skip: isRoot ? false : 'only root can make it so' },
  async t => {
    const folder = await folderOf(t)
    await chmod(folder, 0o1777)
    const [blocked, ours] = [join(folder, 'theirs'), join(folder, 'ours')]
    await mkdir(blocked)
    await mkdir(ours)
    await chown(ours, nobody, nobody)
    await writeFile(join(folder, 'file'), '')
    process.seteuid!(nobody)
    try {
      await requireMovable([ours], join(folder, 'blocker'))
      await t.rejects(requireMovable([blocked], join(folder, 'blocker-2')), {
        code: 'STORAGE_UNAVAILABLE',
        reason: 'folder-not-movable',
        message: /theirs/,
        remedy: /chown/
      })
      await t.rejects(requireMovable([join(folder, 'file')], join(folder, 'blocker-3')), {
        code: 'STORAGE_UNAVAILABLE',
        reason: 'folder-not-movable',
        message: /file/
      })
    } finally {
      process.seteuid!(0)
    }
  }
)

t.test("a dry run is refused as the restore is where the live files can't be moved", async t => {
  const folders = await createFolders(t, 'postgres://nobody@127.0.0.1:1/nothing')
  const disk = await folderOf(t)
  const live = join(folders.uploadDir, organizationId)
  const core = coreOf(folders)
  const attribute = (sign: '+' | '-', path: string): boolean => {
    try {
      if (isRoot) execFileSync('chattr', [`${sign}i`, path], { stdio: 'ignore' })
      else execFileSync('chmod', [sign === '+' ? 'a-w' : 'u+w', path])
      return true
    } catch {
      return false
    }
  }
  const attempt = async (stuck: string): Promise<void> => {
    await mkdir(join(live, 'photos'), { recursive: true })
    await writeFile(join(live, 'photos', 'one'), 'one')
    const { id } = await createBackup(
      core,
      { organizationId, type: 'files', createdBy: 'tester', createdByEmail: null },
      testJob()
    )
    if (!attribute('+', stuck)) {
      t.comment('this file system has no immutable entries')
      return
    }
    try {
      const before = await listTree(live)
      for (const dryRun of [true, false]) {
        await t.rejects(
          restoreBackup(
            core,
            { organizationId, backupId: id, validateChecksum: false, rollbackOnFailure: true, dryRun, startedBy: 't' },
            testJob({ core })
          ),
          { code: 'STORAGE_UNAVAILABLE', reason: 'folder-not-movable' },
          `${stuck} dryRun: ${dryRun}`
        )
        t.same(
          (await listTree(live)).filter(line => !line.startsWith('""')),
          before.filter(line => !line.startsWith('""'))
        )
      }
    } finally {
      attribute('-', stuck)
    }
    await restoreBackup(
      core,
      {
        organizationId,
        backupId: id,
        validateChecksum: false,
        rollbackOnFailure: false,
        dryRun: false,
        startedBy: 't'
      },
      testJob({ core })
    )
  }
  await attempt(live)
  await rm(live, { recursive: true })
  await mkdir(live)
  try {
    execFileSync('mount', ['--bind', disk, live], { stdio: 'ignore' })
  } catch {
    t.comment('nothing can be mounted here')
    return
  }
  try {
    await attempt(join(live, 'photos'))
    t.same(await readdir(live), ['photos'])
  } finally {
    execFileSync('umount', [live])
  }
})
