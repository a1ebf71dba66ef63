import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Backup } from '../../src/repository/record.js'
import { buildTestApp, signer, testSecret } from '../support/app.js'
import { createTestDatabase } from '../support/postgres.js'
import { addressOf, startServer } from '../support/server.js'

const organizations = Array.from({ length: 50 }, (_, index) => `org-${index}`)

async function makeUploads(uploadDir: string): Promise<void> {
  for (const organization of organizations) {
    await mkdir(join(uploadDir, organization), { recursive: true })
    for (let file = 0; file < 5; file += 1)
      await writeFile(join(uploadDir, organization, `${file}.txt`), `${file} of ${organization}\n`.repeat(1000))
  }
}

t.test('fifty organizations ask at once: two work, the others wait in line, all get their backup', async t => {
  const { app, as, core, uploadDir } = await buildTestApp(t, { env: { MAX_JOBS: '2' } })
  await makeUploads(uploadDir)
  const begun: string[] = []
  let [working, most] = [0, 0]
  const { createArchive } = core.repository
  core.repository.createArchive = async (organizationId, backupId) => {
    begun.push(organizationId)
    working += 1
    most = Math.max(most, working)
    const partial = await createArchive(organizationId, backupId)
    const commit = async (): Promise<void> => {
      await partial.commit()
      working -= 1
    }
    return { ...partial, commit }
  }

  const answers = await Promise.all(
    organizations.map(
      async organization =>
        await app.inject({
          method: 'POST',
          url: '/api/backup/create',
          headers: as('OWNER', organization),
          payload: { type: 'files' }
        })
    )
  )
  t.same(
    answers.map(({ statusCode }) => statusCode),
    organizations.map(() => 201)
  )
  t.same(
    answers.map(answer => answer.json<Backup>().organizationId),
    organizations
  )
  t.equal(most, 2)
  // The two that work at the same time may overtake each other by one.
  t.ok(
    begun.every((organization, index) => Math.abs(organizations.indexOf(organization) - index) <= 1),
    `in the order in which they asked: ${begun.join(' ')}`
  )
  for (const organization of organizations) {
    const list = (await app.inject({ url: '/api/backup/list', headers: as('OWNER', organization) })).json<Backup[]>()
    t.equal(list.length, 1, organization)
  }
})

t.test('one organization that asks again and again keeps no other waiting', async t => {
  const { app, as, uploadDir } = await buildTestApp(t, { env: { MAX_JOBS: '1' } })
  await makeUploads(uploadDir)
  const ask = async (organization: string) =>
    await app.inject({
      method: 'POST',
      url: '/api/backup/create',
      headers: as('OWNER', organization),
      payload: { type: 'files' }
    })
  const [greedy, ...rest] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, async () => await ask('org-0'))),
    ask('org-1'),
    ask('org-2')
  ])
  t.same(
    greedy.map(({ statusCode }) => statusCode).sort(),
    [201, ...Array.from({ length: 19 }, () => 409)],
    'it stands in line once'
  )
  t.same(
    rest.map(({ statusCode }) => statusCode),
    [201, 201]
  )
})

t.test('SIGTERM in the middle loses no finished backup and leaves no part of another', async t => {
  const { url } = await createTestDatabase(t)
  const folder = t.testdir({ uploads: {} })
  const [uploadDir, backupDir] = [join(folder, 'uploads'), join(folder, 'backups')]
  await makeUploads(uploadDir)
  const env = {
    JWT_SECRET: testSecret,
    DATABASE_URL: url,
    UPLOAD_DIR: uploadDir,
    BACKUP_DIR: backupDir,
    PORT: '0',
    MAX_JOBS: '2'
  }
  const sign = await signer(testSecret)
  const headersOf = (organizationId: string) => ({
    authorization: `Bearer ${sign({ sub: 'u', organizationId, role: 'OWNER' })}`,
    'content-type': 'application/json'
  })

  const first = startServer(t, env)
  const ended = once(first, 'exit')
  const address = await addressOf(first)
  let made = 0
  const answers = await Promise.all(
    organizations.map(async organization => {
      const response = await fetch(`${address}/api/backup/create`, {
        method: 'POST',
        headers: headersOf(organization),
        body: '{"type":"files"}'
      })
      const body = (await response.json()) as Backup & { code?: string }
      if (response.status === 201) made += 1
      // Once: a second one ends it at once.
      if (response.status === 201 && made === 10) first.kill('SIGTERM')
      return { organization, status: response.status, body }
    })
  )
  t.same(await ended, [0, null])
  const done = answers.filter(({ status }) => status === 201)
  t.ok(done.length >= 10 && done.length < organizations.length, `${done.length} were made`)
  t.same(
    [...new Set(answers.filter(({ status }) => status !== 201).map(({ status, body }) => `${status} ${body.code}`))],
    ['503 SERVICE_STOPPING'],
    'the others are told'
  )

  const names = (await readdir(backupDir, { recursive: true })).filter(name => !/^[^/]+\/activity/.test(name))
  const archives = names.filter(name => name.endsWith('.zip'))
  t.same(
    archives.map(name => name.replace(/\.zip$/, '.json')).sort(),
    names.filter(name => name.endsWith('.json')).sort(),
    'an archive for each record'
  )
  t.same(
    names.filter(name => !/(^[^/]+|\.zip|\.json)$/.test(name)),
    [],
    'no partial file'
  )

  const second = startServer(t, env)
  const secondEnded = once(second, 'exit')
  const again = await addressOf(second)
  const lists = await Promise.all(
    organizations.map(
      async organization =>
        (await (await fetch(`${again}/api/backup/list`, { headers: headersOf(organization) })).json()) as Backup[]
    )
  )
  t.same(
    lists
      .flat()
      .map(({ id }) => id)
      .sort(),
    done.map(({ body }) => body.id).sort(),
    'what was answered is there, and nothing else'
  )
  for (const { id, organizationId, checksum, state } of lists.flat()) {
    const archive = await readFile(join(backupDir, organizationId, `backup-${id}.zip`))
    t.equal(createHash('sha256').update(archive).digest('hex'), checksum, organizationId)
    t.equal(state, 'available')
  }
  second.kill('SIGTERM')
  t.same(await secondEnded, [0, null])
  t.comment(
    `${done.length} of ${organizations.length} were finished, ${lists.flat().length} are there after the restart`
  )
})
