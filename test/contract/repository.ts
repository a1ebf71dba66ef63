import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import t from 'tap'
import { createLocalRepository } from '../../src/repository/local.js'
import type { Repository } from '../../src/repository/repository.js'
import { testFolder } from '../support/archive.js'
import { testRecord } from '../support/record.js'

type Test = Parameters<typeof testFolder>[0]

/** What every repository must do; a further kind is added here. */
const implementations: Record<string, (t: Test) => Promise<Repository>> = {
  local: async t => createLocalRepository({ directory: await testFolder(t) })
}

async function write(
  repository: Repository,
  organizationId: string,
  backupId: string,
  content: string | Buffer
): Promise<void> {
  const partial = await repository.createArchive(organizationId, backupId)
  partial.stream.end(content)
  await finished(partial.stream)
  await partial.commit()
}

async function read(repository: Repository, ...place: Parameters<Repository['readArchive']>): Promise<string | null> {
  const stream = await repository.readArchive(...place)
  if (stream === null) return null
  const blocks: Buffer[] = []
  for await (const block of stream) blocks.push(block as Buffer)
  return Buffer.concat(blocks).toString()
}

for (const [kind, create] of Object.entries(implementations)) {
  t.test(`${kind}: an archive is there once it is committed, and not before`, async t => {
    const repository = await create(t)
    const id = randomUUID()
    const partial = await repository.createArchive('acme', id)
    partial.stream.write('content')
    t.strictSame(await repository.list('acme'), { archives: [], records: [] })
    t.equal(await repository.openArchive('acme', id), null)
    partial.stream.end()
    await finished(partial.stream)
    t.equal(await read(repository, 'acme', id), null)
    await partial.commit()
    t.strictSame(await repository.list('acme'), { archives: [id], records: [] })
    t.equal(await read(repository, 'acme', id), 'content')
    await partial.discard()
    t.equal(await read(repository, 'acme', id), 'content', 'a discard that comes late takes nothing away')
  })

  t.test(`${kind}: a range of an archive, and where to seek in it`, async t => {
    const repository = await create(t)
    const id = randomUUID()
    await write(repository, 'acme', id, '0123456789')
    t.equal(await read(repository, 'acme', id, { start: 2, end: 4 }), '234')
    t.equal(await read(repository, 'acme', id, { start: 9, end: 9 }), '9')
    const opened = await repository.openArchive('acme', id)
    t.equal(opened?.size, 10)
    await opened?.handle.close()
  })

  t.test(`${kind}: what is discarded leaves nothing, at any moment and any number of times`, async t => {
    const repository = await create(t)
    const id = randomUUID()
    const atOnce = await repository.createArchive('acme', id)
    await atOnce.discard()
    await atOnce.discard()
    const half = await repository.createArchive('acme', id)
    half.stream.on('error', () => {})
    if (!half.stream.write(Buffer.alloc(20 << 20))) await once(half.stream, 'drain')
    half.stream.write(Buffer.alloc(20 << 20))
    await half.discard()
    t.strictSame(await repository.list('acme'), { archives: [], records: [] })
    // And its name is free again.
    await write(repository, 'acme', id, 'second')
    t.equal(await read(repository, 'acme', id), 'second')
  })

  t.test(`${kind}: many archives are written at the same time`, async t => {
    const repository = await create(t)
    const ids = Array.from({ length: 20 }, () => randomUUID())
    await Promise.all(
      ids.map(async (id, index) => await write(repository, index % 2 === 0 ? 'acme' : 'globex', id, id))
    )
    t.equal((await repository.list('acme')).archives.length, 10)
    t.strictSame((await repository.organizations()).sort(), ['acme', 'globex'])
    for (const [index, id] of ids.entries())
      t.equal(await read(repository, index % 2 === 0 ? 'acme' : 'globex', id), id)
  })

  t.test(`${kind}: an archive that is being written is not written twice`, async t => {
    const repository = await create(t)
    const id = randomUUID()
    const first = await repository.createArchive('acme', id)
    await t.rejects(repository.createArchive('acme', id), { code: 'REPOSITORY_UNAVAILABLE' })
    await first.discard()
  })

  t.test(`${kind}: one organization's backups are no other's`, async t => {
    const repository = await create(t)
    const record = testRecord()
    await write(repository, 'acme', record.id, 'content')
    await repository.writeRecord(record)
    t.equal(await repository.openArchive('globex', record.id), null)
    t.equal(await repository.readRecord('globex', record.id), null)
    await repository.deleteArchive('globex', record.id)
    await repository.deleteRecord('globex', record.id)
    t.strictSame(await repository.list('acme'), { archives: [record.id], records: [record.id] })
    t.strictSame(await repository.list('globex'), { archives: [], records: [] })
  })

  t.test(`${kind}: records are kept, replaced and deleted`, async t => {
    const repository = await create(t)
    const record = testRecord({ description: 'Löwe "and" \\ newline\n' })
    t.equal(await repository.readRecord('acme', record.id), null)
    await repository.writeRecord(record)
    t.strictSame(await repository.readRecord('acme', record.id), record)
    await Promise.all(Array.from({ length: 20 }, async (_, size) => await repository.writeRecord({ ...record, size })))
    t.equal((await repository.readRecord('acme', record.id))?.id, record.id, 'whole, whoever came last')
    await repository.deleteRecord('acme', record.id)
    await repository.deleteRecord('acme', record.id)
    t.equal(await repository.readRecord('acme', record.id), null)
  })

  t.test(`${kind}: what a crash left unfinished is removed, and nothing else`, async t => {
    const repository = await create(t)
    const [unfinished, finishedId, record] = [randomUUID(), randomUUID(), testRecord()]
    const partial = await repository.createArchive('acme', unfinished)
    await write(repository, 'acme', finishedId, 'content')
    await repository.writeRecord(record)
    await repository.removePartials()
    t.strictSame(await repository.list('acme'), { archives: [finishedId], records: [record.id] })
    await write(repository, 'acme', unfinished, 'again')
    await partial.discard()
    t.equal(await read(repository, 'acme', unfinished), 'again')
  })

  t.test(`${kind}: ids are refused before they reach a path`, async t => {
    const repository = await create(t)
    const id = randomUUID()
    const organizations = [
      '',
      '.',
      '..',
      '../acme',
      'a/b',
      '/etc',
      'backups',
      'BACKUPS',
      'a'.repeat(65),
      'acme\0',
      'acme ',
      'ümlaut',
      'a.b',
      'C:'
    ]
    const backups = [
      '',
      '..',
      '../x',
      id.toUpperCase(),
      `${id}/`,
      `${id}\0`,
      `${id}\n`,
      id.slice(1),
      '*',
      '-'.repeat(36),
      `../${id.slice(3)}`
    ]
    const methods: Array<(organizationId: string, backupId: string) => Promise<unknown>> = [
      repository.createArchive,
      repository.openArchive,
      repository.readArchive,
      repository.deleteArchive,
      repository.readRecord,
      repository.deleteRecord,
      async (organizationId, backupId) => await repository.writeRecord(testRecord({ organizationId, id: backupId }))
    ]
    for (const method of methods) {
      for (const organization of organizations) {
        await t.rejects(method(organization, id), { code: 'ORGANIZATION_ID_INVALID' }, JSON.stringify(organization))
      }
      for (const backup of backups) {
        await t.rejects(method('acme', backup), { code: 'VALIDATION_FAILED' }, JSON.stringify(backup))
      }
    }
    for (const organization of organizations) {
      await t.rejects(repository.list(organization), { code: 'ORGANIZATION_ID_INVALID' })
      await t.rejects(repository.journalFolder(organization), { code: 'ORGANIZATION_ID_INVALID' })
      await t.rejects(repository.activityFolder(organization), { code: 'ORGANIZATION_ID_INVALID' })
    }
    t.strictSame(await repository.organizations(), [])
  })

  t.test(`${kind}: free space is told`, async t => {
    const repository = await create(t)
    await repository.check()
    t.ok((await repository.freeBytes()) > 0)
  })
}
