import { createHash, randomUUID } from 'node:crypto'
import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { createCatalog, type Catalog } from '../../src/repository/catalog.js'
import { createLocalRepository } from '../../src/repository/local.js'
import type { Backup } from '../../src/repository/record.js'
import type { Repository } from '../../src/repository/repository.js'
import { archiveBytes, testFolder } from '../support/archive.js'
import { testRecord } from '../support/record.js'
import { testKeys } from '../support/core.js'

interface Place {
  directory: string
  repository: Repository
  catalog: Catalog
  logged: string[]
}

async function place(t: Parameters<typeof testFolder>[0]): Promise<Place> {
  const directory = await testFolder(t)
  const repository = createLocalRepository({ directory })
  const logged: string[] = []
  const log = pino({}, { write: line => logged.push((JSON.parse(line) as { msg: string }).msg) })
  return { directory, repository, catalog: createCatalog(repository, testKeys, log), logged }
}

function day(number: number): string {
  return new Date(Date.UTC(2026, 0, number)).toISOString()
}

/** Every page, one after the other. */
async function pages(catalog: Catalog, page: { type?: Backup['type']; limit: number }): Promise<string[][]> {
  const found: string[][] = []
  let cursor: string | undefined
  do {
    const { backups, next } = await catalog.list('acme', { ...page, ...(cursor === undefined ? {} : { cursor }) })
    found.push(backups.map(({ id }) => id))
    cursor = next ?? undefined
  } while (cursor !== undefined)
  return found
}

t.test('newest first, in pages, whatever the order of writing and also after a restart', async t => {
  const { repository, catalog } = await place(t)
  const records = [3, 1, 7, 5, 2, 6, 4].map(number =>
    testRecord({ timestamp: day(number), type: number % 2 === 0 ? 'full' : 'files' })
  )
  for (const record of records) await catalog.add(record)
  const newestFirst = records.toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1))
  const ids = newestFirst.map(({ id }) => id)
  for (const catalogNow of [catalog, createCatalog(repository, testKeys, pino({ level: 'silent' }))]) {
    t.strictSame(await pages(catalogNow, { limit: 3 }), [ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)])
    t.strictSame(await pages(catalogNow, { limit: 7 }), [ids], 'no empty page behind a full one')
    const full = newestFirst.filter(({ type }) => type === 'full').map(({ id }) => id)
    t.strictSame(await pages(catalogNow, { type: 'full', limit: 2 }), [full.slice(0, 2), full.slice(2)])
    t.strictSame(await pages(catalogNow, { type: 'database', limit: 2 }), [[]])
    t.strictSame((await catalogNow.list('globex', { limit: 10 })).backups, [])
  }
})

t.test('a page goes on where the last one ended when backups come and go in between', async t => {
  const { catalog } = await place(t)
  const records = [1, 2, 3, 4, 5].map(number => testRecord({ timestamp: day(number) })).reverse()
  for (const record of records) await catalog.add(record)
  const { next } = await catalog.list('acme', { limit: 2 })
  await catalog.add(testRecord({ timestamp: day(9) }))
  await catalog.remove('acme', (records[1] as Backup).id)
  await catalog.remove('acme', (records[2] as Backup).id)
  const { backups } = await catalog.list('acme', { limit: 10, cursor: next as string })
  t.strictSame(
    backups.map(({ id }) => id),
    records.slice(3).map(({ id }) => id)
  )
})

t.test('backups of the same millisecond are all listed, once', async t => {
  const { catalog } = await place(t)
  const records = Array.from({ length: 25 }, () => testRecord({ timestamp: day(1) }))
  for (const record of records) await catalog.add(record)
  const found = (await pages(catalog, { limit: 4 })).flat()
  t.equal(found.length, 25)
  t.strictSame(found.toSorted(), records.map(({ id }) => id).sort())
})

t.test('none is lost when many come and go at the same time, also while the catalog is read first', async t => {
  const { repository, catalog } = await place(t)
  const existing = Array.from({ length: 300 }, (_, index) => testRecord({ timestamp: day(index + 1) }))
  await Promise.all(existing.map(async record => await repository.writeRecord(record)))
  const removed = existing.slice(0, 10)
  const added = Array.from({ length: 30 }, (_, index) => testRecord({ timestamp: day(index + 1) }))
  await Promise.all([
    catalog.list('acme', { limit: 1 }),
    ...added.map(async record => await catalog.add(record)),
    ...removed.map(async ({ id }) => await catalog.remove('acme', id))
  ])
  t.strictSame(
    (await pages(catalog, { limit: 1000 })).flat().sort(),
    [...existing.slice(10), ...added].map(({ id }) => id).sort()
  )
})

t.test('a cursor that is none of ours is refused', async t => {
  const { catalog } = await place(t)
  for (const cursor of ['', 'x', 'AAAA', Buffer.from('2026 id').toString('base64url'), '../../etc/passwd']) {
    await t.rejects(catalog.list('acme', { limit: 1, cursor }), { code: 'BAD_REQUEST' }, cursor)
  }
})

t.test('a listing reads no more records than it shows, and none twice', async t => {
  const { repository } = await place(t)
  for (let number = 1; number <= 20; number += 1) await repository.writeRecord(testRecord({ timestamp: day(number) }))
  let reads = 0
  const counting: Repository = {
    ...repository,
    readRecord: async (...place) => {
      reads += 1
      return await repository.readRecord(...place)
    }
  }
  const catalog = createCatalog(counting, testKeys, pino({ level: 'silent' }))
  const { next } = await catalog.list('acme', { limit: 1 })
  reads = 0
  await catalog.list('acme', { limit: 3, cursor: next as string })
  t.equal(reads, 3)
  await Promise.all([1, 2, 3].map(async () => await catalog.list('acme', { limit: 4 })))
  t.equal(reads, 3)
})

t.test(
  "a record that was written or removed again is listed as it is now, and one that can't be read is tried again",
  async t => {
    const { repository } = await place(t)
    let fails = false
    const failing: Repository = {
      ...repository,
      readRecord: async (...place) => {
        if (fails) throw new AppError('REPOSITORY_UNAVAILABLE', 'unreachable', 'away')
        return await repository.readRecord(...place)
      }
    }
    const catalog = createCatalog(failing, testKeys, pino({ level: 'silent' }))
    const listed = async () => (await catalog.list('acme', { limit: 10 })).backups.map(({ description }) => description)
    const [first, second] = [
      testRecord({ timestamp: day(1), description: 'first' }),
      testRecord({ timestamp: day(2), description: 'second' })
    ]
    await catalog.add(first)
    await catalog.add(second)
    t.strictSame(await listed(), ['second', 'first'])
    await catalog.add({ ...first, description: 'changed' })
    fails = true
    await t.rejects(listed(), { code: 'REPOSITORY_UNAVAILABLE' })
    fails = false
    t.strictSame(await listed(), ['second', 'changed'])
    // While a page is read.
    const [, { backups }] = await Promise.all([
      catalog.add({ ...second, description: 'anew' }),
      catalog.list('acme', { limit: 10 })
    ])
    t.equal(backups.length, 2)
    t.strictSame(await listed(), ['anew', 'changed'])
    await Promise.all([catalog.remove('acme', second.id), listed()])
    t.strictSame(await listed(), ['changed'])
  }
)

t.test('a start adopts archives without a record and marks records without an archive', async t => {
  const { directory, repository, catalog, logged } = await place(t)
  const [adopted, renamed, broken, foreign] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
  await mkdir(join(directory, 'acme'))
  await mkdir(join(directory, 'globex'))
  const pathOf = (id: string, organizationId = 'acme') => join(directory, organizationId, `backup-${id}.zip`)
  const bytes = await archiveBytes([{ path: '' }, { path: 'a.txt', content: 'text' }], {
    id: adopted,
    description: 'copied in',
    counts: { tables: 0, rows: 0, files: 1, bytes: 4 }
  })
  await writeFile(pathOf(adopted), bytes)
  await writeFile(pathOf(renamed), bytes)
  await writeFile(pathOf(broken), bytes.subarray(0, -10))
  await writeFile(pathOf(foreign, 'globex'), await archiveBytes([{ path: '' }], { id: foreign }))
  const gone = testRecord()
  await repository.writeRecord(gone)

  await catalog.reconcile()
  t.match(await catalog.get('acme', adopted), {
    id: adopted,
    state: 'available',
    size: bytes.length,
    checksum: createHash('sha256').update(bytes).digest('hex'),
    description: 'copied in',
    counts: { files: 1, bytes: 4 },
    createdBy: 'olivia@example.com'
  })
  t.match(await catalog.get('acme', gone.id), { state: 'missing' })
  t.strictSame(
    (await catalog.list('acme', { limit: 10 })).backups.map(({ id }) => id).sort(),
    [adopted, gone.id].sort()
  )
  for (const [organizationId, id] of [
    ['acme', renamed],
    ['acme', broken],
    ['globex', foreign]
  ] as const) {
    t.equal(await catalog.get(organizationId, id), null)
    t.ok((await readFile(pathOf(id, organizationId))).length > 0, "an archive that can't be adopted is left alone")
  }
  t.equal(logged.filter(line => line.includes('left alone')).length, 3)

  await rename(pathOf(adopted), join(directory, 'elsewhere'))
  await catalog.reconcile()
  t.match(await catalog.get('acme', adopted), { state: 'missing' })
  await rename(join(directory, 'elsewhere'), pathOf(adopted))
  await catalog.reconcile()
  t.match(await catalog.get('acme', adopted), { state: 'available' })
})

t.test('a damaged record is made anew from its archive, and hides no other backup', async t => {
  const { directory, repository, catalog, logged } = await place(t)
  const id = randomUUID()
  const [other, lost] = [testRecord(), testRecord()]
  for (const record of [other, lost]) await repository.writeRecord(record)
  await writeFile(join(directory, 'acme', `backup-${id}.zip`), await archiveBytes([{ path: '' }], { id }))
  await writeFile(join(directory, 'acme', `backup-${id}.json`), '{"id":')
  await writeFile(join(directory, 'acme', `backup-${lost.id}.json`), '')
  t.strictSame(
    (await catalog.list('acme', { limit: 10 })).backups.map(({ id }) => id),
    [other.id]
  )
  await catalog.reconcile()
  t.match(await catalog.get('acme', id), { id, state: 'available' })
  t.equal(await catalog.get('acme', lost.id), null)
  t.equal(logged.filter(line => line === 'A record is damaged').length, 2)
})

t.test('an archive that is still being written at a crash is not adopted', async t => {
  const { directory, repository, catalog } = await place(t)
  const partial = await repository.createArchive('acme', randomUUID())
  await appendFile(join(directory, 'acme', 'backup-unfinished.zip'), 'x')
  await catalog.reconcile()
  t.strictSame((await catalog.list('acme', { limit: 10 })).backups, [])
  await partial.discard()
  await rm(directory, { recursive: true })
  await catalog.reconcile()
})
