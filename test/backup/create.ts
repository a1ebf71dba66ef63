import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { openArchive, type Archive } from '../../src/archive/reader.js'
import { createBackup, type CreateRequest } from '../../src/backup/create.js'
import type { Core } from '../../src/core.js'
import { withSql } from '../../src/database/connection/connection.js'
import { AppError } from '../../src/errors.js'
import type { JobContext } from '../../src/jobs/context.js'
import { createCatalog } from '../../src/repository/catalog.js'
import { createLocalRepository } from '../../src/repository/local.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { createSmbStorage } from '../../src/storage/smb.js'
import { contentOf, testFolder } from '../support/archive.js'
import { testCore } from '../support/core.js'
import { smallDisk } from '../support/disk.js'
import { testJob } from '../support/job.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

// Much work on a slow machine; tap ends a file after two minutes otherwise.
t.setTimeout(300_000)

const request: CreateRequest = {
  organizationId: 'acme',
  type: 'full',
  createdBy: 'user-1',
  createdByEmail: 'olivia@example.com'
}

async function databaseWithRows(t: Parameters<typeof createTestDatabase>[0]): Promise<TestDatabase> {
  const database = await createTestDatabase(t)
  await database.sql.unsafe(`
    CREATE TABLE assets (id int PRIMARY KEY, name text);
    INSERT INTO assets SELECT n, 'asset ' || n FROM generate_series(1, 500) n;
    CREATE TABLE empty (id int);
    CREATE SCHEMA other; CREATE TABLE other.notes AS SELECT n FROM generate_series(1, 7) n`)
  return database
}

async function writeUploads(uploadDir: string): Promise<void> {
  await mkdir(join(uploadDir, 'acme/photos/empty'), { recursive: true })
  await writeFile(join(uploadDir, 'acme/notes.txt'), 'text '.repeat(1000))
  await writeFile(join(uploadDir, 'acme/photos/large.bin'), randomBytes(3 << 20))
  await writeFile(join(uploadDir, 'acme/photos/large.txt'), 'a line\n'.repeat(300_000))
  await mkdir(join(uploadDir, 'globex'))
  await writeFile(join(uploadDir, 'globex/secret.txt'), "not acme's")
}

/** Opens a backup's archive and hands it to `use`. */
async function withArchive<T>(core: Core, backupId: string, use: (archive: Archive) => Promise<T>): Promise<T> {
  const opened = await core.repository.openArchive('acme', backupId)
  if (opened === null) throw new Error('The archive is not there.')
  try {
    return await use(await openArchive(opened.handle, opened.size, 'acme'))
  } finally {
    await opened.handle.close()
  }
}

async function dumpOf(archive: Archive): Promise<string> {
  return archive.database === null ? '' : gunzipSync(await contentOf(archive, archive.database)).toString()
}

/** Everything that is in BACKUP_DIR, hidden files too. */
async function leftIn(backupDir: string): Promise<string[]> {
  const names = await readdir(backupDir, { recursive: true, withFileTypes: true }).catch(() => [])
  return names.filter(entry => entry.isFile()).map(({ name }) => name)
}

/** Waits until no session but the test's own is on the database: a pg_dump that is left behind would stay for ever. */
async function sessionsEnd({ sql, name }: TestDatabase): Promise<boolean> {
  for (let look = 0; look < 200; look += 1) {
    const [row] = await sql<[{ others: number }]>`
      SELECT count(*)::int AS others, pg_sleep(0.05) FROM pg_stat_activity WHERE datname = ${name} AND application_name <> 'test'`
    if (row.others === 0) return true
  }
  return false
}

t.test("a full backup has every row and file of one organization's installation", async t => {
  const database = await databaseWithRows(t)
  const { core, uploadDir, backupDir } = await testCore(t, { url: database.url })
  await writeUploads(uploadDir)
  const phases: string[] = []
  const backup = await createBackup(
    core,
    { ...request, description: 'before the move' },
    testJob({ onPhase: phase => phases.push(phase) })
  )
  const bytes = 5000 + (3 << 20) + 2_100_000
  t.match(backup, {
    organizationId: 'acme',
    type: 'full',
    createdBy: 'olivia@example.com',
    description: 'before the move',
    databaseType: 'external',
    databaseScope: 'instance',
    fileStorageType: 'local',
    includesDatabase: true,
    includesFiles: true,
    version: '0.0.0-test',
    counts: { tables: 3, rows: 507, files: 3, bytes },
    warnings: [],
    state: 'available'
  })
  t.strictSame(phases, ['snapshot', 'database', 'files', 'finish'])
  const file = await readFile(join(backupDir, 'acme', `backup-${backup.id}.zip`))
  t.equal(backup.size, file.length)
  t.equal(backup.checksum, createHash('sha256').update(file).digest('hex'))
  t.strictSame(await core.catalog.get('acme', backup.id), backup)

  await withArchive(core, backup.id, async archive => {
    t.match(archive.metadata, {
      id: backup.id,
      type: 'full',
      tables: [
        { schema: 'other', name: 'notes', rows: 7 },
        { name: 'assets', rows: 500 },
        { name: 'empty', rows: 0 }
      ]
    })
    t.match(await dumpOf(archive), /\n500\tasset 500\n/)
    t.strictSame(
      archive.files.map(({ name }) => name),
      [
        'files/acme/',
        'files/acme/notes.txt',
        'files/acme/photos/',
        'files/acme/photos/empty/',
        'files/acme/photos/large.bin',
        'files/acme/photos/large.txt'
      ]
    )
    for (const file of archive.files.filter(({ kind }) => kind === 'file')) {
      const live = await readFile(join(uploadDir, file.name.slice('files/'.length)))
      t.ok(live.equals(await contentOf(archive, file)), file.name)
    }
  })
})

t.test('a database backup has no files, and a files backup needs no database', async t => {
  const database = await databaseWithRows(t)
  const { core, uploadDir } = await testCore(t, { url: database.url })
  await writeUploads(uploadDir)
  const ofDatabase = await createBackup(core, { ...request, type: 'database' }, testJob())
  t.match(ofDatabase, { includesDatabase: true, includesFiles: false, counts: { rows: 507, files: 0, bytes: 0 } })
  await withArchive(core, ofDatabase.id, async archive => {
    t.strictSame(archive.files, [])
  })

  const ofFiles = await createBackup(
    { ...core, database: (await testCore(t)).core.database },
    { ...request, type: 'files' },
    testJob()
  )
  t.match(ofFiles, {
    includesDatabase: false,
    databaseScope: null,
    includesFiles: true,
    counts: { tables: 0, rows: 0, files: 3 }
  })
  await withArchive(core, ofFiles.id, async archive => {
    t.equal(archive.database, null)
  })
})

t.test('an organization without uploads, and one on an SMB share', async t => {
  const { core } = await testCore(t)
  const empty = await createBackup(core, { ...request, type: 'files' }, testJob())
  await withArchive(core, empty.id, async archive => {
    t.strictSame(archive.files, [])
  })

  const smb = { ...core, storage: createSmbStorage({ host: 'nas', share: 'uploads', username: null, domain: null }) }
  const backup = await createBackup(smb, { ...request, type: 'files' }, testJob())
  t.match(backup, { includesFiles: false, fileStorageType: 'smb', counts: { files: 0 }, warnings: [/SMB share/] })
  await withArchive(core, backup.id, async archive => {
    t.strictSame(archive.files, [])
  })
})

for (const phase of ['snapshot', 'database', 'files', 'finish']) {
  t.test(`a backup that is cancelled in the phase "${phase}" leaves nothing`, async t => {
    const database = await databaseWithRows(t)
    const { core, uploadDir, backupDir } = await testCore(t, { url: database.url })
    await writeUploads(uploadDir)
    const cancelling = new AbortController()
    const job = testJob({
      signal: cancelling.signal,
      onPhase: begun => {
        if (begun === phase) cancelling.abort(new AppError('JOB_CANCELLED', 'job-cancelled', 'Cancelled.'))
      }
    })
    await t.rejects(createBackup(core, request, job), { code: 'JOB_CANCELLED' })
    t.strictSame(await leftIn(backupDir), [])
    t.strictSame((await core.catalog.list('acme', { limit: 10 })).backups, [])
    t.ok(await sessionsEnd(database), 'pg_dump has ended')
  })
}

for (const part of ['dump', 'files'] as const) {
  t.test(`a backup that is cancelled in the midst of its ${part} leaves nothing`, async t => {
    const database = await databaseWithRows(t)
    await database.sql`INSERT INTO assets SELECT n, repeat(md5(n::text), 40) FROM generate_series(1000, 11000) n`
    const { core, uploadDir, backupDir } = await testCore(t, { url: database.url })
    await writeUploads(uploadDir)
    await writeFile(join(uploadDir, 'acme/huge.bin'), randomBytes(32 << 20))
    const cancelling = new AbortController()
    let [phase, done] = ['', 0]
    const job: JobContext = {
      ...testJob({ signal: cancelling.signal }),
      progress: {
        phase(name) {
          ;[phase, done] = [name, 0]
        },
        total() {},
        advance(bytes) {
          done += bytes
          if (phase === (part === 'dump' ? 'database' : 'files') && done > 4 << 20)
            cancelling.abort(new AppError('JOB_CANCELLED', 'job-cancelled', 'Cancelled.'))
        },
        uncancellable() {}
      }
    }
    await t.rejects(createBackup(core, request, job), { code: 'JOB_CANCELLED' })
    t.strictSame(await leftIn(backupDir), [])
    t.ok(await sessionsEnd(database), 'pg_dump has ended')
  })
}

t.test('a table that may not be read fails the backup and leaves nothing', async t => {
  const database = await databaseWithRows(t)
  await withSql(
    { ...database.connection, ...superuserOf(database) },
    {},
    async sql => await sql`CREATE TABLE hidden AS SELECT 1 AS id`
  )
  const { core, backupDir } = await testCore(t, { url: database.url })
  await t.rejects(createBackup(core, request, testJob()), {
    code: 'PREFLIGHT_FAILED',
    reason: 'unreadable-objects',
    message: /hidden/
  })
  t.strictSame(await leftIn(backupDir), [])
  t.ok(await sessionsEnd(database))
})

function superuserOf({ adminUrl }: TestDatabase): { user: string; password: string } {
  const { username, password } = new URL(adminUrl)
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) }
}

t.test('a database that is not there fails the backup and leaves nothing', async t => {
  const { core, backupDir } = await testCore(t)
  await t.rejects(createBackup(core, request, testJob()), { code: 'DATABASE_UNAVAILABLE' })
  t.strictSame(await leftIn(backupDir), [])
})

t.test('the files are those of the snapshot, and what changes meanwhile is told', async t => {
  const database = await databaseWithRows(t)
  const { core, uploadDir } = await testCore(t, { url: database.url })
  await writeUploads(uploadDir)
  const acme = join(uploadDir, 'acme')
  for (const name of ['gone.txt', 'gone-large.bin', 'grown.txt', 'shrunk.txt', 'replaced.txt']) {
    await writeFile(
      join(acme, name),
      name === 'gone-large.bin'
        ? randomBytes(2 << 20)
        : 'as it was at the snapshot, a text of some length that goes on\n'
    )
  }
  const dumpStarts = new Promise<void>(resolve => {
    const { storage } = core
    // The dump begins when the files are listed: from here on the application goes on.
    core.storage = {
      ...storage,
      async list(organizationId) {
        const listing = await storage.list(organizationId)
        await writeFile(join(acme, 'new.txt'), 'not in it')
        await rm(join(acme, 'gone.txt'))
        await rm(join(acme, 'gone-large.bin'))
        await appendFile(join(acme, 'grown.txt'), 'more')
        await appendFile(join(acme, 'photos/large.txt'), 'more')
        await writeFile(join(acme, 'shrunk.txt'), 'less')
        await writeFile(join(acme, 'replacement'), 'another file with other content')
        await rename(join(acme, 'replacement'), join(acme, 'replaced.txt'))
        await database.sql`INSERT INTO assets VALUES (9999, 'after the snapshot')`
        resolve()
        return listing
      }
    }
  })
  const backup = await createBackup(core, request, testJob())
  await dumpStarts
  t.strictSame(backup.warnings.toSorted(), [
    '"grown.txt" changed while the backup was made; the archive has it as it was read.',
    '"photos/large.txt" changed while the backup was made; the archive has it as it was read.',
    '"replaced.txt" changed while the backup was made; the archive has it as it was read.',
    '"shrunk.txt" changed while the backup was made; the archive has it as it was read.',
    'Left out "gone-large.bin": it vanished while the backup was made.',
    'Left out "gone.txt": it vanished while the backup was made.'
  ])
  t.equal(backup.counts.rows, 507)
  await withArchive(core, backup.id, async archive => {
    const names = archive.files.map(({ name }) => name.slice('files/acme/'.length))
    for (const absent of ['new.txt', 'gone.txt', 'gone-large.bin']) t.notOk(names.includes(absent), absent)
    t.equal(archive.files.filter(({ kind }) => kind === 'file').length, backup.counts.files)
    const contents: Record<string, string> = {}
    for (const file of archive.files.filter(({ kind }) => kind === 'file'))
      contents[file.name.slice('files/acme/'.length)] = (await contentOf(archive, file)).toString()
    t.equal(
      contents['grown.txt'],
      'as it was at the snapshot, a text of some length that goes on\n',
      'what was appended is left out'
    )
    t.equal(contents['photos/large.txt'], 'a line\n'.repeat(300_000))
    t.equal(contents['shrunk.txt'], 'less')
    t.notMatch(await dumpOf(archive), 'after the snapshot')
  })
})

t.test("a record that can't be written takes the archive back", async t => {
  const repository = createLocalRepository({ directory: join(await testFolder(t), 'backups') })
  const failing = {
    ...repository,
    async writeRecord() {
      throw new AppError('REPOSITORY_UNAVAILABLE', 'write-failed', 'Writing a record failed (EIO).')
    }
  }
  const { core } = await testCore(t, { repository: failing })
  await t.rejects(createBackup(core, { ...request, type: 'files' }, testJob()), { code: 'REPOSITORY_UNAVAILABLE' })
  t.strictSame(await repository.list('acme'), { archives: [], records: [] })

  // Written, but nobody knows whether it is on disk.
  const halfFailing = {
    ...repository,
    writeRecord: async (...record: Parameters<typeof repository.writeRecord>) => {
      await repository.writeRecord(...record)
      await failing.writeRecord()
    }
  }
  const second = { ...core, repository: halfFailing, catalog: createCatalog(halfFailing, core.signing, core.log) }
  await t.rejects(createBackup(second, { ...request, type: 'files' }, testJob()), { code: 'REPOSITORY_UNAVAILABLE' })
  t.strictSame(await repository.list('acme'), { archives: [], records: [] })
  t.strictSame((await second.catalog.list('acme', { limit: 1 })).backups, [])
})

for (const part of ['database', 'files'] as const) {
  t.test(`a disk that becomes full in the ${part} fails the backup and leaves nothing`, async t => {
    const disk = await smallDisk(t, '4m')
    if (disk === null) {
      t.comment('not tried: no file system can be mounted here')
      return
    }
    const database = await databaseWithRows(t)
    if (part === 'database')
      await database.sql`INSERT INTO assets SELECT n, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 40) m WHERE m < n) FROM generate_series(1000, 21000) n`
    const { core, uploadDir } = await testCore(t, {
      url: database.url,
      repository: createLocalRepository({ directory: join(disk.folder, 'backups') })
    })
    await mkdir(join(uploadDir, 'acme'))
    await writeFile(join(uploadDir, 'acme/large.bin'), randomBytes(16 << 20))
    for (let number = 0; number < 50; number += 1)
      await writeFile(join(uploadDir, `acme/small-${number}.bin`), randomBytes(200_000))
    await t.rejects(createBackup(core, { ...request, type: part }, testJob()), { code: 'DISK_FULL' })
    t.strictSame(await leftIn(join(disk.folder, 'backups')), [])
    t.ok(await sessionsEnd(database), 'pg_dump has ended')
  })
}

t.test('a table that is rewritten meanwhile is never empty in the backup', async t => {
  const database = await databaseWithRows(t)
  const { core } = await testCore(t, { url: database.url })
  let goOn = true
  let rewrites = 0
  const rewriting = (async () => {
    while (goOn) {
      // As a careful migration does: whoever waits for an exclusive lock makes all others wait, pg_dump too.
      const done = await database.sql
        .unsafe(
          `SET lock_timeout = '50ms'; ALTER TABLE assets ALTER COLUMN id TYPE ${rewrites % 2 === 0 ? 'bigint' : 'int'}`
        )
        .catch(() => null)
      if (done !== null) rewrites += 1
    }
  })()
  try {
    for (let round = 0; round < 5; round += 1) {
      const backup = await createBackup(core, { ...request, type: 'database' }, testJob())
      t.equal(backup.counts.rows, 507)
      const sql = await withArchive(core, backup.id, dumpOf)
      t.equal(sql.match(/^\d+\tasset \d+$/gm)?.length, 500)
    }
  } finally {
    goOn = false
    await rewriting
  }
  t.comment(`${rewrites} rewrites`)
  t.ok(rewrites > 0)
})

t.test('an id of an organization that is none is refused before anything is made', async t => {
  const { core, backupDir } = await testCore(t)
  await t.rejects(createBackup(core, { ...request, type: 'files', organizationId: '../acme' }, testJob()), {
    code: 'ORGANIZATION_ID_INVALID'
  })
  t.strictSame(await leftIn(backupDir), [])
})

t.test('a missing UPLOAD_DIR fails the backup, and is not made on the way to the backups in it', async t => {
  const { core, uploadDir } = await testCore(t)
  await rm(uploadDir, { recursive: true })
  await t.rejects(createBackup(core, { ...request, type: 'files' }, testJob()), { code: 'STORAGE_UNAVAILABLE' })
  t.notOk(existsSync(uploadDir))
})

t.test(
  'a folder that goes away while the database is dumped fails the backup, and is not taken for an empty one',
  async t => {
    const { core, uploadDir } = await testCore(t)
    await writeUploads(uploadDir)
    core.storage.folder = async () => null
    await t.rejects(createBackup(core, { ...request, type: 'files' }, testJob()), { code: 'STORAGE_UNAVAILABLE' })
  }
)

t.test('an organization that comes while the whole database is being restored is not lost', async t => {
  const database = await databaseWithRows(t)
  await database.sql`CREATE TABLE organizations (id text PRIMARY KEY)`
  await database.sql`INSERT INTO organizations VALUES ('acme')`
  const { core, uploadDir } = await testCore(t, { url: database.url, settings: { databaseScope: 'auto' } })
  await writeUploads(uploadDir)
  const backup = await createBackup(core, request, testJob())
  let coming: Promise<unknown> | undefined
  const job = testJob({
    onPhase: phase => {
      if (phase === 'prepare') coming = database.sql`INSERT INTO organizations VALUES ('newco')`.execute()
    }
  })
  const restore = restoreBackup(
    core,
    {
      organizationId: 'acme',
      backupId: backup.id,
      validateChecksum: false,
      rollbackOnFailure: false,
      dryRun: false,
      startedBy: 'user-1'
    },
    job
  )
  await t.rejects(restore, { code: 'OTHER_ORGANIZATIONS_AFFECTED' })
  await coming
  t.same(
    (await database.sql`SELECT id FROM organizations ORDER BY id`).map(({ id }) => id as string),
    ['acme', 'newco']
  )
})
