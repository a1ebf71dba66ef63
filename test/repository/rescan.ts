import { randomUUID } from 'node:crypto'
import { appendFile, chmod, chown, copyFile, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createCatalog, type Catalog } from '../../src/repository/catalog.js'
import { createLocalRepository } from '../../src/repository/local.js'
import type { Repository } from '../../src/repository/repository.js'
import { archiveBytes, testFolder } from '../support/archive.js'
import { testKeys } from '../support/core.js'
import { testRecord } from '../support/record.js'

interface Place {
  directory: string
  repository: Repository
  catalog: Catalog
  logged: Array<{ msg: string; remedy?: string }>
  pathOf: (name: string, organizationId?: string) => string
  listed: () => Promise<string[]>
  /** As often as the plugin does within a minute. */
  look: (times?: number) => Promise<void>
}

async function place(t: Test): Promise<Place> {
  const directory = await testFolder(t, 'rescan-')
  const repository = createLocalRepository({ directory })
  const logged: Place['logged'] = []
  const catalog = createCatalog(
    repository,
    testKeys,
    pino({}, { write: line => logged.push(JSON.parse(line) as Place['logged'][number]) })
  )
  await mkdir(join(directory, 'acme'))
  await catalog.reconcile()
  return {
    directory,
    repository,
    catalog,
    logged,
    pathOf: (name, organizationId = 'acme') => join(directory, organizationId, name),
    listed: async () => (await catalog.list('acme', { limit: 50 })).backups.map(({ id }) => id),
    async look(times = 2) {
      for (let time = 0; time < times; time += 1) await catalog.rescan(() => false)
    }
  }
}

async function archive(
  change: Parameters<typeof archiveBytes>[1] = {}
): Promise<{ id: string; name: string; bytes: Buffer }> {
  const id = randomUUID()
  return {
    id,
    name: `backup-${id}.zip`,
    bytes: await archiveBytes([{ path: '' }, { path: 'a', content: 'x' }], { id, ...change }, testKeys.current)
  }
}

t.test('an archive that is copied in while the service runs is in the list after two looks', async t => {
  const { repository, catalog, pathOf, look, listed } = await place(t)
  await repository.writeRecord(testRecord())
  t.equal((await listed()).length, 1)
  const { id, name, bytes } = await archive()
  await writeFile(pathOf(name), bytes)
  await look(1)
  t.notOk((await listed()).includes(id), 'it can be a copy that is not at its end')
  await look(1)
  t.ok((await listed()).includes(id))
  t.match(await catalog.get('acme', id), { trusted: true, state: 'available' })
  t.same(catalog.strays(), [])
})

t.test('a copy is not read before it has come to its end', async t => {
  const { catalog, logged, pathOf, look, listed } = await place(t)
  const { id, name, bytes } = await archive()
  await writeFile(pathOf(name), bytes.subarray(0, 500))
  await look(1)
  await appendFile(pathOf(name), bytes.subarray(500, 900))
  await look(1)
  await appendFile(pathOf(name), bytes.subarray(900))
  await look(1)
  t.same([await listed(), catalog.strays(), logged.length], [[], [], 0])
  await look(1)
  t.same(await listed(), [id])
})

t.test('what is no whole archive is named once in the log, and no longer than it is there', async t => {
  const { catalog, logged, pathOf, look, listed } = await place(t)
  const { id, name, bytes } = await archive()
  await writeFile(pathOf(name), bytes.subarray(0, 500))
  await look(5)
  t.match(catalog.strays(), [{ name, reason: 'It is not a whole archive of this service.', remedy: /Copy it again/ }])
  t.match(logged, [{ msg: /left alone/, archive: name, organizationId: 'acme', remedy: /Copy it again/ }])
  t.equal(logged.length, 1)
  await writeFile(pathOf(name), bytes)
  await look()
  t.same([catalog.strays(), await listed()], [[], [id]])
  await writeFile(pathOf(`backup-${randomUUID()}.zip`), 'none')
  await look()
  t.equal(catalog.strays().length, 1)
  await rm(pathOf(catalog.strays()[0]?.name ?? ''))
  await look(1)
  t.same(catalog.strays(), [])
})

t.test('an archive under another name is named, with the name that it needs', async t => {
  const { directory, catalog, pathOf, look, listed } = await place(t)
  const { id, name, bytes } = await archive()
  const names = ['backup (1).zip', `backup-${id.toUpperCase()}.zip`, `backup-${randomUUID()}.zip`, 'Acme.ZIP']
  for (const other of names) await writeFile(pathOf(other), bytes)
  await writeFile(join(directory, 'acme.zip'), bytes)
  await look()
  t.same(
    catalog
      .strays()
      .map(stray => stray.name)
      .sort(),
    [...names, 'acme.zip'].sort()
  )
  for (const stray of catalog.strays())
    t.match(
      stray,
      stray.name === 'acme.zip'
        ? { remedy: /Move it to BACKUP_DIR/ }
        : { reason: /file name/, remedy: `Rename it to ${name}` },
      stray.name
    )
  await rename(pathOf('backup (1).zip'), pathOf(name))
  await look()
  t.same(await listed(), [id])
  for (const other of names.slice(1)) await chmod(pathOf(other), 0o640)
  await look()
  t.match(catalog.strays().find(stray => stray.name === 'Acme.ZIP')?.remedy, /Remove it: .* is there already/)
})

t.test("another organization's archive is not adopted, and not shown to be whose", async t => {
  const { catalog, pathOf, look, listed } = await place(t)
  const { name, bytes } = await archive({ organizationId: 'globex' })
  await writeFile(pathOf(name), bytes)
  await look()
  t.same(await listed(), [])
  t.match(catalog.strays(), [{ name, reason: /another organization/ }])
  t.notMatch(JSON.stringify(catalog.strays()), /globex|acme/)
})

t.test('records that are copied in or removed, and archives that go and come, show in the list', async t => {
  const { repository, catalog, pathOf, directory, look, listed } = await place(t)
  const { id, name, bytes } = await archive()
  await writeFile(pathOf(name), bytes)
  await look()
  const copied = testRecord()
  t.same(await listed(), [id])
  await repository.writeRecord(copied)
  await look()
  t.same((await listed()).sort(), [id, copied.id].sort())
  await rm(pathOf(`backup-${copied.id}.json`))
  await look()
  t.same(await listed(), [id])

  await rename(pathOf(name), join(directory, 'elsewhere'))
  await look(1)
  t.match(await catalog.get('acme', id), { state: 'available' }, 'it can be deleted at this moment')
  await look(1)
  t.match(await catalog.get('acme', id), { state: 'missing' })
  await rename(join(directory, 'elsewhere'), pathOf(name))
  await look()
  t.match(await catalog.get('acme', id), { state: 'available' })

  await rm(pathOf(name))
  await look(1)
  await catalog.remove('acme', id)
  await look(3)
  t.equal(await catalog.get('acme', id), null, 'a deleted backup does not come back')
})

t.test('an organization with a running job is left alone until it has ended', async t => {
  const { catalog, pathOf, listed } = await place(t)
  const { id, name, bytes } = await archive()
  await writeFile(pathOf(name), bytes)
  for (let time = 0; time < 3; time += 1) await catalog.rescan(organizationId => organizationId === 'acme')
  t.same(await listed(), [])
  for (let time = 0; time < 2; time += 1) await catalog.rescan(() => false)
  t.same(await listed(), [id])
})

t.test(
  'what root has copied in and the service may not read is named, and found when it may',
  { skip: process.getuid?.() === 0 ? false : 'needs root to copy it' },
  async t => {
    const { directory, catalog, pathOf, look, listed } = await place(t)
    const { id, name, bytes } = await archive()
    await chmod(dirname(pathOf(name)), 0o755)
    await chmod(directory, 0o755)
    await chown(directory, 7000, 7000)
    await chown(dirname(pathOf(name)), 7000, 7000)
    await writeFile(pathOf(name), bytes, { mode: 0o600 })
    await mkdir(join(directory, 'globex'), { mode: 0o700 })
    const asService = async (work: () => Promise<void>): Promise<void> => {
      process.seteuid?.(7000)
      try {
        await work()
      } finally {
        process.seteuid?.(0)
      }
    }
    await asService(async () => {
      await look(4)
    })
    t.match(
      catalog.strays().sort((a, b) => (a.name < b.name ? -1 : 1)),
      [
        {
          name,
          reason: "The service can't use it: permission denied (EACCES).",
          remedy: /^Let the service's user .* read/
        },
        { name: 'the folder of an organization', reason: /EACCES/ }
      ]
    )
    await chown(pathOf(name), 7000, 7000)
    await chown(join(directory, 'globex'), 7000, 7000)
    await asService(async () => {
      await look()
    })
    t.same(catalog.strays(), [])
    t.same(await listed(), [id])
    t.equal((await stat(pathOf(name))).uid, 7000)
  }
)

t.test('a folder in which nothing has changed is not read again', async t => {
  const { directory, repository, pathOf } = await place(t)
  const { name, bytes } = await archive()
  await writeFile(pathOf(name), bytes)
  await copyFile(pathOf(name), pathOf('other.zip'))
  await rm(pathOf('other.zip'))
  let lists = 0
  const counting: Repository = {
    ...repository,
    async list(organizationId) {
      lists += 1
      return await repository.list(organizationId)
    }
  }
  const catalog = createCatalog(counting, testKeys, pino({ level: 'silent' }))
  await catalog.reconcile()
  // As if it had been so for a while.
  const { utimes } = await import('node:fs/promises')
  await utimes(join(directory, 'acme'), new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))
  await catalog.rescan(() => false)
  const before = lists
  for (let time = 0; time < 5; time += 1) await catalog.rescan(() => false)
  t.equal(lists, before)
})
