import fs from 'node:fs'
import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import type { Core } from '../../src/core.js'
import { AppError } from '../../src/errors.js'
import { fileError } from '../../src/io/durable.js'
import { systemErrors } from '../../src/io/system-errors.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { createEntryList } from '../../src/storage/entry-list.js'
import { testCore } from '../support/core.js'
import { testJob } from '../support/job.js'

/** An application's uploads; the service is user 7000, who may read all that others may read. */
async function setUp(t: Test): Promise<{ core: Core; live: string; uploadDir: string; backupDir: string }> {
  const { core, uploadDir, backupDir } = await testCore(t)
  const live = join(uploadDir, 'acme')
  await mkdir(join(live, 'photos/2024'), { recursive: true })
  await mkdir(backupDir)
  for (const name of ['first.txt', 'photos/one.jpg', 'photos/2024/two.jpg', 'last.txt'])
    await writeFile(join(live, name), name)
  await chmod(dirname(uploadDir), 0o755)
  if (process.getuid?.() === 0) for (const folder of [uploadDir, backupDir]) await chown(folder, 7000, 7000)
  return { core, live, uploadDir, backupDir }
}

async function asService<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return await work()
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([])
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

const backUp = async (core: Core) =>
  await createBackup(core, { organizationId: 'acme', type: 'files', createdBy: 't', createdByEmail: null }, testJob())

async function refusalOf(work: () => Promise<unknown>): Promise<AppError> {
  try {
    await asService(work)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('It was not refused.')
}

t.test('files that may not be read stop the backup, which names each of them', async t => {
  const { core, live, backupDir } = await setUp(t)
  for (const name of ['photos/one.jpg', 'last.txt']) await chmod(join(live, name), 0)
  const refused = await refusalOf(async () => await backUp(core))
  t.match(refused, {
    code: 'STORAGE_UNAVAILABLE',
    reason: 'file-eacces',
    message: /"UPLOAD_DIR\/acme\/last\.txt"/,
    remedy: /^Let the service's user .* read/,
    errors: [
      { reason: 'file-not-readable', message: /"UPLOAD_DIR\/acme\/last\.txt"/ },
      { reason: 'file-not-readable', message: /"UPLOAD_DIR\/acme\/photos\/one\.jpg"/ }
    ]
  })
  t.notMatch(JSON.stringify([refused.message, refused.errors]), dirname(live), 'and no path of the host')
  t.same((await core.catalog.list('acme', { limit: 10 })).backups, [])
  t.same(fs.readdirSync(join(backupDir, 'acme')), [])
  for (const name of ['photos/one.jpg', 'last.txt']) await chmod(join(live, name), 0o644)
  t.match((await asService(async () => await backUp(core))).counts, { files: 4 })
})

t.test('of many files that may not be read the first are named', async t => {
  const { core, live } = await setUp(t)
  for (let number = 10; number < 40; number += 1) await writeFile(join(live, `${number}`), '', { mode: 0 })
  const { errors = [] } = await refusalOf(async () => await backUp(core))
  t.equal(errors.length, 21)
  t.match(errors.at(-1), { reason: 'more' })
})

t.test('folders that may not be read or entered are named too', async t => {
  const { core, live } = await setUp(t)
  await mkdir(join(live, 'no entry'))
  await writeFile(join(live, 'no entry/file'), '')
  await chmod(join(live, 'photos/2024'), 0o311)
  await chmod(join(live, 'no entry'), 0o644)
  t.match(await refusalOf(async () => await backUp(core)), {
    code: 'STORAGE_UNAVAILABLE',
    reason: 'file-eacces',
    message: /"UPLOAD_DIR\/acme\/no entry"/,
    errors: [
      { reason: 'folder-not-readable', message: /"UPLOAD_DIR\/acme\/no entry"/ },
      { reason: 'folder-not-readable', message: /"UPLOAD_DIR\/acme\/photos\/2024"/ }
    ]
  })
  await chmod(live, 0)
  t.match(await refusalOf(async () => await backUp(core)), { reason: 'file-eacces', message: /"UPLOAD_DIR\/acme"/ })
})

t.test("a dry run names the live file that it can't compare, which the restore replaces", async t => {
  const { core, live } = await setUp(t)
  // A folder of another user could not be moved, which the dry run says first.
  if (process.getuid?.() === 0) await chown(live, 7000, 7000)
  const { id } = await asService(async () => await backUp(core))
  await chmod(join(live, 'photos/one.jpg'), 0)
  const restore = async (dryRun: boolean) =>
    await asService(
      async () =>
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
    )
  t.match((await restore(true)).report.warnings, [
    /^The file "photos\/one\.jpg" that is there now is counted as changed.*Reading an uploaded file failed \(EACCES\).*at "UPLOAD_DIR\/acme\/photos\/one\.jpg"\.$/
  ])
  t.same((await restore(false)).report.warnings, [])
})

t.test('folders of the service itself are named', async t => {
  const { core, uploadDir, backupDir } = await setUp(t)
  await mkdir(join(backupDir, 'acme'), { mode: 0o500 })
  if (process.getuid?.() === 0) await chown(join(backupDir, 'acme'), 7000, 7000)
  t.match(await refusalOf(async () => await backUp(core)), {
    code: 'REPOSITORY_UNAVAILABLE',
    reason: 'file-eacces',
    message: /"BACKUP_DIR\/acme\/\.backup-/,
    remedy: /read and write/
  })
  await chmod(join(backupDir, 'acme'), 0o700)
  const { id } = await asService(async () => await backUp(core))
  await chmod(uploadDir, 0o500)
  t.match(
    await refusalOf(
      async () =>
        await restoreBackup(
          core,
          {
            organizationId: 'acme',
            backupId: id,
            validateChecksum: true,
            rollbackOnFailure: true,
            dryRun: false,
            startedBy: 't'
          },
          testJob({ core })
        )
    ),
    { code: 'STORAGE_UNAVAILABLE', message: /UPLOAD_DIR/, remedy: /writ/ }
  )
  await chmod(uploadDir, 0o700)
})

t.test('a file that vanishes while the backup is made becomes a warning', async t => {
  const { core, live } = await setUp(t)
  const { storage } = core
  const vanishing: Core = {
    ...core,
    storage: {
      ...storage,
      async folder(organizationId) {
        await rm(join(live, 'photos/one.jpg'))
        return await storage.folder(organizationId)
      }
    }
  }
  t.match(await backUp(vanishing), {
    counts: { files: 3 },
    warnings: ['Left out "photos/one.jpg": it vanished while the backup was made.']
  })
})

t.test('each error of the file system says what it means, where, and what to do', async t => {
  const known = { name: 'UPLOAD_DIR', folder: '/srv/uploads' } as const
  for (const code of [
    'EACCES',
    'EPERM',
    'EIO',
    'ENAMETOOLONG',
    'ELOOP',
    'ESTALE',
    'EMFILE',
    'ENFILE',
    'ENOENT',
    'EROFS',
    'ENOTDIR',
    'ETIMEDOUT'
  ]) {
    const cause = Object.assign(new Error(`${code}: x, open '/srv/uploads/acme/a "b"'`), {
      code,
      path: '/srv/uploads/acme/a "b"'
    })
    t.match(
      fileError(cause, 'STORAGE_UNAVAILABLE', 'Reading', known),
      {
        code: 'STORAGE_UNAVAILABLE',
        message: `Reading failed (${code}): ${systemErrors[code]?.reason ?? '?'}, at "UPLOAD_DIR/acme/a \\"b\\"".`,
        remedy: systemErrors[code]?.remedy
      },
      code
    )
  }
  const elsewhere = Object.assign(new Error('EIO'), { code: 'EIO', path: '/srv/uploads2/secret' })
  t.notMatch((fileError(elsewhere, 'STORAGE_UNAVAILABLE', 'Reading', known) as Error).message, 'secret')
  t.match(
    fileError(
      Object.assign(new Error(''), { code: 'ENOSPC', path: '/srv/uploads/x' }),
      'STORAGE_UNAVAILABLE',
      'Writing',
      known
    ),
    { code: 'DISK_FULL', reason: 'disk-full', message: /"UPLOAD_DIR\/x"/ }
  )
})

t.test("a worker thread that can't read on names the file", async t => {
  const { core, live } = await setUp(t)
  // Opened like any other, and page 0 of a process can't be read (proc(5)): EIO, as of a disk that fails.
  const mounted = await execa('mount', ['--bind', `/proc/${process.pid}/mem`, join(live, 'photos/one.jpg')], {
    reject: false
  })
  if (mounted.exitCode !== 0) {
    t.comment('not tried: mounting is not allowed here')
    return
  }
  try {
    await t.rejects(backUp(withSize(core, 'photos/one.jpg')), {
      code: 'STORAGE_UNAVAILABLE',
      reason: 'file-eio',
      message: /"UPLOAD_DIR\/acme\/photos\/one\.jpg"/,
      remedy: /disk/
    })
  } finally {
    await execa('umount', [join(live, 'photos/one.jpg')])
  }
})

/** One of the files is listed as longer than it says that it is. */
function withSize(core: Core, path: string): Core {
  const { storage } = core
  return {
    ...core,
    storage: {
      ...storage,
      async list(organizationId) {
        const listing = await storage.list(organizationId)
        const entries = createEntryList()
        for (const entry of listing.entries) entries.append(entry.path === path ? { ...entry, size: 10 } : entry)
        return { ...listing, entries }
      }
    }
  }
}
