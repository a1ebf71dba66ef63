import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { pino } from 'pino'
import t from 'tap'
import { createCatalog } from '../../src/repository/catalog.js'
import { createLocalRepository } from '../../src/repository/local.js'
import { testFolder } from '../support/archive.js'
import { smallDisk } from '../support/disk.js'
import { testRecord } from '../support/record.js'
import { testKeys } from '../support/core.js'

t.test('nothing is made in a place that is not there: it may be a mount', async t => {
  const place = join(await testFolder(t), 'mount')
  const repository = createLocalRepository({ directory: join(place, 'backups') })
  await t.rejects(repository.check(), { code: 'REPOSITORY_UNAVAILABLE' })
  for (const make of [true, false])
    await t.rejects(repository.journalFolder('acme', { make }), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(stat(place), { code: 'ENOENT' })
})

t.test("only the service's user can read what is kept", async t => {
  const directory = join(await testFolder(t), 'made by check')
  const repository = createLocalRepository({ directory })
  await repository.check()
  const record = testRecord()
  await repository.writeRecord(record)
  const partial = await repository.createArchive('acme', record.id)
  partial.stream.end('content')
  await finished(partial.stream)
  await partial.commit()
  await repository.journalFolder('acme', { make: true })
  const modeOf = async (name: string) => (await stat(join(directory, name))).mode & 0o777
  t.equal(await modeOf(''), 0o700)
  t.equal(await modeOf('acme'), 0o700)
  t.equal(await modeOf('acme/restores'), 0o700)
  t.equal(await modeOf(`acme/backup-${record.id}.zip`), 0o600)
  t.equal(await modeOf(`acme/backup-${record.id}.json`), 0o600)
})

t.test("what is not ours is not listed and stands in nobody's way", async t => {
  const directory = await testFolder(t)
  const repository = createLocalRepository({ directory })
  const record = testRecord()
  await repository.writeRecord(record)
  await writeFile(join(directory, 'notes'), 'a file that could be an organization by its name')
  await mkdir(join(directory, 'lost+found'))
  for (const name of [
    'notes.txt',
    `backup-${'-'.repeat(36)}.json`,
    `backup-${'-'.repeat(36)}.zip`,
    `backup-${record.id}.zip.old`,
    `backup-${record.id.toUpperCase()}.zip`
  ]) {
    await writeFile(join(directory, 'acme', name), '')
  }
  t.strictSame(await repository.organizations(), ['acme'])
  t.strictSame(await repository.list('acme'), { archives: [], records: [record.id] })
  await repository.removePartials()
})

t.test("a link in an archive's place is not followed", async t => {
  const directory = await testFolder(t)
  const repository = createLocalRepository({ directory })
  const id = randomUUID()
  await mkdir(join(directory, 'acme'))
  await symlink('/etc/passwd', join(directory, 'acme', `backup-${id}.zip`))
  await t.rejects(repository.openArchive('acme', id), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(repository.readArchive('acme', id), { code: 'REPOSITORY_UNAVAILABLE' })
  await repository.deleteArchive('acme', id)
  t.strictSame(await readdir(join(directory, 'acme')), [], 'a link to nowhere or somewhere is deleted as itself')
})

t.test('one service has it', async t => {
  const directory = join(await testFolder(t), 'backups')
  const [first, second] = [createLocalRepository({ directory }), createLocalRepository({ directory })]
  await first.open()
  await first.open()
  await t.rejects(second.open(), { code: 'CONFIG_INVALID', reason: 'another-service' })
  t.strictSame(await first.organizations(), [], 'the lock is no organization')
  await first.close()
  await second.open()
  await second.close()
  await second.close()
})

t.test('a folder that is removed or replaced under a running service is missed, and not made again', async t => {
  const folder = await testFolder(t)
  const directory = join(folder, 'backups')
  const repository = createLocalRepository({ directory })
  const catalog = createCatalog(repository, testKeys, pino({ level: 'silent' }))
  await repository.open()
  const record = testRecord()
  await catalog.add(record)
  t.equal((await catalog.list('acme', { limit: 1 })).backups.length, 1)
  await rename(directory, join(folder, 'away'))
  const removed = { code: 'REPOSITORY_UNAVAILABLE', reason: 'folder-replaced' }
  await t.rejects(repository.check(), removed)
  await t.rejects(catalog.list('acme', { limit: 1 }), removed)
  await t.rejects(catalog.get('acme', record.id), removed, 'it is not said that there is no such backup')
  await t.rejects(repository.createArchive('acme', randomUUID()), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(stat(directory), { code: 'ENOENT' })
  await mkdir(directory)
  await t.rejects(repository.check(), removed)
  await t.rejects(catalog.get('acme', record.id), removed)
  await rm(directory, { recursive: true })
  await rename(join(folder, 'away'), directory)
  await repository.check()
  await repository.close()
})

t.test("a folder that can't be used says so", async t => {
  const folder = await testFolder(t)
  await writeFile(join(folder, 'file'), '')
  const repository = createLocalRepository({ directory: join(folder, 'file') })
  await t.rejects(repository.check(), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(repository.createArchive('acme', randomUUID()), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(repository.writeRecord(testRecord()), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(repository.list('acme'), { code: 'REPOSITORY_UNAVAILABLE' })

  const removed = createLocalRepository({ directory: join(folder, 'gone') })
  await removed.check()
  await rm(join(folder, 'gone'), { recursive: true })
  t.strictSame(await removed.organizations(), [])
  await t.rejects(removed.freeBytes(), { code: 'REPOSITORY_UNAVAILABLE' })
})

t.test('a damaged record is none', async t => {
  const directory = await testFolder(t)
  const repository = createLocalRepository({ directory })
  const record = testRecord()
  await repository.writeRecord(record)
  const path = join(directory, 'acme', `backup-${record.id}.json`)
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '"text"',
    JSON.stringify({ ...record, id: randomUUID() }),
    JSON.stringify({ ...record, organizationId: 'globex' })
  ]) {
    await writeFile(path, text)
    t.equal(await repository.readRecord('acme', record.id), null, text)
  }
})

t.test('a full disk is told as such, and a failed archive or record leaves nothing', async t => {
  const disk = await smallDisk(t, '1m')
  if (disk === null) {
    t.comment('not tried: no file system can be mounted here')
    return
  }
  const directory = join(disk.folder, 'backups')
  const repository = createLocalRepository({ directory })
  const record = testRecord()
  const partial = await repository.createArchive('acme', record.id)
  partial.stream.end(Buffer.alloc(4 << 20))
  await t.rejects(finished(partial.stream), { code: 'ENOSPC' })
  await partial.discard()
  t.strictSame(await readdir(join(directory, 'acme')), [])

  await writeFile(join(disk.folder, 'filling'), Buffer.alloc(4 << 20)).catch(() => {})
  await t.rejects(repository.writeRecord(record), { code: 'DISK_FULL' })
  t.strictSame(await readdir(join(directory, 'acme')), [])

  await rm(join(disk.folder, 'filling'))
  await repository.writeRecord(record)
  await writeFile(join(disk.folder, 'filling'), Buffer.alloc(4 << 20)).catch(() => {})
  await t.rejects(repository.writeRecord({ ...record, state: 'missing' }), { code: 'DISK_FULL' })
  t.strictSame(await repository.readRecord('acme', record.id), record, 'the record that was there stays')
})

t.test('a read-only BACKUP_DIR fails at the check already', async t => {
  const disk = await smallDisk(t, '1m')
  if (disk === null) {
    t.comment('not tried: no file system can be mounted here')
    return
  }
  const repository = createLocalRepository({ directory: disk.folder })
  const record = testRecord()
  await repository.writeRecord(record)
  await disk.remount('ro')
  await t.rejects(repository.check(), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(repository.createArchive('acme', randomUUID()), { code: 'REPOSITORY_UNAVAILABLE' })
  await t.rejects(repository.deleteRecord('acme', record.id), { code: 'REPOSITORY_UNAVAILABLE' })
  t.strictSame(await repository.readRecord('acme', record.id), record, 'what is there can be read')
})
