import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  chmod,
  chown,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { recoverRestores } from '../../src/restore/recover.js'
import { restoreBackup } from '../../src/restore/restore.js'
import type { RestoreReport } from '../../src/restore/report.js'
import type { Backup } from '../../src/repository/record.js'
import { stagingFolder } from '../../src/storage/staging-folder.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, listTree, organizationId } from '../support/restore-site.js'

t.setTimeout(600_000)

async function setUp(t: Test, env: NodeJS.ProcessEnv = {}) {
  const folders = await createFolders(t, 'postgresql://nobody@127.0.0.1:1/nothing')
  const core = coreOf(folders, env)
  const live = join(folders.uploadDir, organizationId)
  await mkdir(live)
  return {
    core,
    live,
    uploadDir: folders.uploadDir,
    backUp: async (): Promise<Backup> =>
      await createBackup(core, { organizationId, type: 'files', createdBy: 't', createdByEmail: null }, testJob()),
    restore: async (
      backupId: string,
      changes: { dryRun?: boolean; rollbackOnFailure?: boolean } = {}
    ): Promise<RestoreReport> =>
      (
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
        )
      ).report
  }
}

const seconds = (iso: string): Date => new Date(iso)

t.test('files with every kind of name, content, mode and time are the same after a restore', async t => {
  const { live, backUp, restore } = await setUp(t)
  const deep = Array.from({ length: 150 }, (_, level) => `level ${level}`).join('/')
  const files: Record<string, string | Buffer> = {
    empty: '',
    'a b  c ': 'spaces',
    '\'single\' "double"': 'quotes',
    'two\nlines\r\n': 'newlines',
    '🦁 löwe \u{1f468}\u200d\u{1f469}': 'emoji',
    '-rf': 'a dash',
    '--no-preserve-root': 'dashes',
    '$(id) `id` ; & | > < * ? [a] {b}': 'for a shell',
    '%s%n%00': 'percent',
    '.hidden': 'dot',
    '...': 'dots',
    'tab\tand\u0001control\u007f': 'control',
    'e\u0301 and é': 'two ways to write it',
    '\u202etxt.exe': 'right to left',
    'CON.': 'for Windows',
    'a:b.txt': 'a colon',
    'C:report.pdf': 'a drive',
    'C:\\Users\\olivia\\x.txt': 'backslashes',
    '..\\..\\up': 'not up',
    'folder\\/C:\\/f\\': 'backslashes at the end',
    'A.TXT': 'upper',
    'a.txt': 'lower',
    'dot. ': 'dot and space',
    'nul:': 'a device',
    ['n'.repeat(255)]: '255 bytes',
    ['🦁'.repeat(63) + 'abc']: '255 bytes of emoji',
    [`${deep}/bottom`]: 'deep',
    zeros: Buffer.alloc(3 << 20),
    'zeros within': Buffer.concat([randomBytes(1 << 20), Buffer.alloc(2 << 20), randomBytes(12345)]),
    'zeros at the end': Buffer.concat([Buffer.from('x'), Buffer.alloc(5 << 20)]),
    'exactly a block': randomBytes(1 << 20),
    'a block and one': randomBytes((1 << 20) + 1),
    'metadata.json': '{}',
    SHA256SUMS: 'none',
    'database.sql.gz': 'none',
    'files/acme/file': 'nested alike'
  }
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(live, name)), { recursive: true })
    await writeFile(join(live, name), content)
  }
  for (const name of ['empty folder', '-empty', 'two\nlines folder', 'a/b/c/d'])
    await mkdir(join(live, name), { recursive: true })
  const modes = {
    empty: 0o400,
    '-rf': 0o000,
    '.hidden': 0o777,
    CON_: 0o644,
    'a/b/c': 0o500,
    'a/b': 0o2775,
    '-empty': 0o1777,
    'empty folder': 0o700
  }
  await writeFile(join(live, 'CON_'), '')
  for (const [name, mode] of Object.entries(modes)) await chmod(join(live, name), mode)
  const times = {
    empty: '1970-01-01T00:00:00Z',
    '-rf': '1980-01-01T00:00:01Z',
    CON_: '2038-01-19T03:14:07Z',
    '.hidden': '2024-02-29T23:59:59Z',
    zeros: '2000-03-26T01:30:01Z',
    'a/b/c': '1999-12-31T23:59:59Z',
    '-empty': '2001-09-09T01:46:41Z',
    '': '2010-10-10T10:10:10Z'
  }
  for (const [name, time] of Object.entries(times)) await utimes(join(live, name), seconds(time), seconds(time))
  if (process.getuid?.() === 0) await chown(live, 12345, 54321)
  const owned = await stat(live)

  const before = await listTree(live)
  const backup = await backUp()
  t.same(backup.warnings, [])
  t.equal(backup.counts.files, Object.keys(files).length + 1)
  await rename(live, `${live}-gone`)
  const rehearsed = await restore(backup.id, { dryRun: true })
  t.equal(
    rehearsed.files?.folders.reduce((sum, { added }) => sum + (added ?? 0), 0),
    backup.counts.files
  )
  await rename(`${live}-gone`, live)
  for (const name of await readdir(live)) if (name !== 'empty') await rm(join(live, name), { recursive: true })
  t.notSame(await listTree(live), before)
  await restore(backup.id)
  if (process.getuid?.() === 0) t.match(await stat(join(live, deep, 'bottom')), { uid: owned.uid, gid: owned.gid })
  const after = await listTree(live)
  // What we are not root for keeps its owner; as root it is the upload folder's.
  const withoutOwner = (lines: string[]): string[] =>
    lines.map(line => line.replace(/^("(?:[^"\\]|\\.)*" \d+) \d+/, '$1'))
  t.same(withoutOwner(after), withoutOwner(before))
})

t.test('what is no plain file of its own is told, and comes back as what can be', async t => {
  const { live, backUp, restore } = await setUp(t)
  await writeFile(join(live, 'program'), 'x')
  await chmod(join(live, 'program'), 0o6755)
  await link(join(live, 'program'), join(live, 'second name'))
  await writeFile(join(live, 'old'), '')
  await writeFile(join(live, 'future'), '')
  await utimes(join(live, 'old'), seconds('1969-12-31T23:59:00Z'), seconds('1969-12-31T23:59:00Z'))
  await utimes(join(live, 'future'), seconds('2100-01-01T00:00:00Z'), seconds('2100-01-01T00:00:00Z'))
  execFileSync('mkfifo', [join(live, 'pipe')])
  execFileSync('ln', ['-s', '/etc/hostname', join(live, 'link')])
  await writeFile(Buffer.concat([Buffer.from(`${live}/latin `), Buffer.from([0xe9])]), '')
  const backup = await backUp()
  t.match(backup.warnings, [
    'Left out "latin \\xe9": its name is not UTF-8.',
    'Left out "link": it is no regular file or folder.',
    'Left out "pipe": it is no regular file or folder.',
    /^Set-user-id, .* of 2 files, such as "program", .* a restore leaves them out/,
    /^Times of 2 files and folders, such as "future", .* can't hold/
  ])
  t.equal(backup.warnings.length, 5)
  const rehearsed = await restore(backup.id, { dryRun: true })
  t.match(
    rehearsed.files?.folders,
    [{ folder: '.', files: 4, added: 0, changed: 0, removed: 0, unchanged: 4 }],
    'a name that is not UTF-8 is no part of the comparison'
  )
  const restored = await restore(backup.id)
  const now = backup.warnings
    .slice(0, 3)
    .map(warning =>
      warning.replace('Left out', 'In the upload folder now, in no backup, and gone with the former folder:')
    )
  for (const { warnings } of [rehearsed, restored])
    t.same(warnings, [...now, ...backup.warnings.map(warning => `The backup warned: ${warning}`)])
  t.same((await readdir(live)).sort(), ['future', 'old', 'program', 'second name'])
  t.equal((await stat(join(live, 'program'))).mode & 0o7777, 0o755, 'nothing runs as the service')
  t.equal((await stat(join(live, 'old'))).mtimeMs, 0)
  t.equal((await stat(join(live, 'future'))).mtimeMs, 0x7fffffff * 1000)
})

t.test('paths up to the longest that the system takes', async t => {
  const { core, uploadDir, live, backUp, restore } = await setUp(t)
  // 4096 bytes with the NUL at its end (path_resolution(7)), in names of 99.
  const name = 'd'.repeat(99)
  let folder = live
  while (folder.length + 101 < 4090) {
    folder = join(folder, name)
    await mkdir(folder)
  }
  await writeFile(join(folder, 'f'.repeat(4095 - folder.length - 1)), 'at the limit')
  await writeFile(join(live, 'short'), 'short')
  const backup = await backUp()
  t.same([backup.counts.files, backup.warnings], [2, []])
  const before = await listTree(live)
  await restore(backup.id)
  t.same(await listTree(live), before)
  await restore(backup.id, { rollbackOnFailure: false })
  await recoverRestores(core)
  t.same(await readdir(join(uploadDir, stagingFolder)), [], 'the checkpoint can be removed')
})

t.test('a sparse file of 300 MB comes back without taking 300 MB', async t => {
  const { live, backUp, restore } = await setUp(t)
  const path = join(live, 'disk.img')
  const size = 300 << 20
  await writeFile(path, 'start')
  await truncate(path, size)
  const handle = await open(path, 'r+')
  await handle.write('middle', (200 << 20) + 12345)
  await handle.close()
  const sha256 = await hashOf(path)
  const backup = await backUp()
  t.equal(backup.counts.bytes, size)
  t.ok(backup.size < size / 100)
  await rm(path)
  const { disk } = await restore(backup.id)
  t.match(disk, [{ place: 'UPLOAD_DIR', neededBytes: size }], 'holes are counted as if they were filled')
  const restored = await stat(path)
  t.equal(restored.size, size)
  t.equal(await hashOf(path), sha256)
  t.ok(restored.blocks * 512 < 10 << 20, `${restored.blocks * 512} bytes on disk`)
})

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const block of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(block as Buffer)
  return hash.digest('hex')
}
