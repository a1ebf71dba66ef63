import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import fs, { readdir, type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import t from 'tap'
import { createLocalRepository } from '../../src/repository/local.js'
import { testFolder } from '../support/archive.js'
import { testRecord } from '../support/record.js'

/** What reached the disk, in order; a step that begins with `failing` fails. */
const steps: string[] = []
let failing: string | null = null
const original = { open: fs.open, rename: fs.rename, rm: fs.rm }

function step(text: string): void {
  const named = text.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '*')
  if (failing !== null && named.startsWith(failing)) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
  steps.push(named)
}

t.before(() => {
  fs.open = async (path, flags, mode) => {
    const handle = await original.open(path, flags, mode)
    const name = basename(String(path))
    const sync: FileHandle['sync'] = handle.sync.bind(handle)
    handle.sync = async () => {
      const stats = await handle.stat()
      step(`sync ${name}${stats.isFile() ? ` ${stats.size} bytes` : ''}`)
      await sync()
    }
    const datasync: FileHandle['datasync'] = handle.datasync.bind(handle)
    handle.datasync = async () => {
      step(`datasync ${name}`)
      await datasync()
    }
    return handle
  }
  fs.rename = async (from, to) => {
    step(`rename ${basename(String(from))} ${basename(String(to))}`)
    await original.rename(from, to)
  }
  fs.rm = async (path, options) => {
    step(`remove ${basename(String(path))}`)
    await original.rm(path, options)
  }
  syncBuiltinESMExports()
})

t.beforeEach(() => {
  failing = null
  steps.length = 0
})

t.test('an archive is on disk before it has its name, and its name before the commit ends', async t => {
  const repository = createLocalRepository({ directory: await testFolder(t) })
  const partial = await repository.createArchive('acme', randomUUID())
  partial.stream.end('content')
  await finished(partial.stream)
  await partial.commit()
  t.strictSame(steps, ['sync .backup-*.zip.partial 7 bytes', 'rename .backup-*.zip.partial backup-*.zip', 'sync acme'])
})

t.test('a record is on disk before it has its name, and its name before the write ends', async t => {
  const repository = createLocalRepository({ directory: await testFolder(t) })
  const record = testRecord()
  await repository.writeRecord(record)
  const bytes = Buffer.byteLength(JSON.stringify(record, null, 2)) + 1
  t.strictSame(steps, [`sync .*.partial ${bytes} bytes`, 'rename .*.partial backup-*.json', 'sync acme'])
})

t.test('a deletion is on disk before it ends', async t => {
  const repository = createLocalRepository({ directory: await testFolder(t) })
  const record = testRecord()
  await repository.writeRecord(record)
  steps.length = 0
  await repository.deleteRecord('acme', record.id)
  t.strictSame(steps, ['remove backup-*.json', 'sync acme'])
})

for (const failed of ['sync .backup', 'rename', 'sync acme']) {
  t.test(`an archive whose "${failed}" fails is not there`, async t => {
    const directory = await testFolder(t)
    const repository = createLocalRepository({ directory })
    const partial = await repository.createArchive('acme', randomUUID())
    partial.stream.end('content')
    await finished(partial.stream)
    failing = failed
    await t.rejects(partial.commit(), { code: 'REPOSITORY_UNAVAILABLE' })
    failing = null
    await partial.discard()
    t.strictSame(await readdir(join(directory, 'acme')), [])
  })
}

for (const failed of ['sync .', 'rename']) {
  t.test(`a record whose "${failed}" fails stays as it was`, async t => {
    const directory = await testFolder(t)
    const repository = createLocalRepository({ directory })
    const record = testRecord()
    await repository.writeRecord(record)
    failing = failed
    await t.rejects(repository.writeRecord({ ...record, state: 'missing' }), { code: 'REPOSITORY_UNAVAILABLE' })
    failing = null
    t.strictSame(await repository.readRecord('acme', record.id), record)
    t.strictSame(await readdir(join(directory, 'acme')), [`backup-${record.id}.json`])
  })
}

async function writeMebibytes(stream: Writable, count: number): Promise<void> {
  for (let block = 0; block < count; block += 1) {
    if (!stream.write(Buffer.alloc(1 << 20, block))) await once(stream, 'drain')
  }
  stream.end()
  await finished(stream)
}

t.test('a large archive goes to the disk while it grows', async t => {
  const repository = createLocalRepository({ directory: await testFolder(t) })
  const partial = await repository.createArchive('acme', randomUUID())
  await writeMebibytes(partial.stream, 150)
  await partial.commit()
  t.equal(steps[0], 'datasync .backup-*.zip.partial')
  t.strictSame(steps.slice(-3), [
    'sync .backup-*.zip.partial 157286400 bytes',
    'rename .backup-*.zip.partial backup-*.zip',
    'sync acme'
  ])
})

t.test('what the disk refused on the way fails the commit, whatever the last sync says', async t => {
  failing = 'datasync'
  const directory = await testFolder(t)
  const repository = createLocalRepository({ directory })
  const partial = await repository.createArchive('acme', randomUUID())
  await writeMebibytes(partial.stream, 150)
  await t.rejects(partial.commit(), { code: 'REPOSITORY_UNAVAILABLE' })
  await partial.discard()
  t.strictSame(await readdir(join(directory, 'acme')), [])
})
