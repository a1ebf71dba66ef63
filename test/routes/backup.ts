import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Backup } from '../../src/repository/record.js'
import { buildTestApp, type TestApp } from '../support/app.js'

const unknownId = '00000000-0000-4000-8000-000000000000'

/** A service with one organization's uploads, and what asks it. */
async function setUp(
  t: Test
): Promise<TestApp & { create: (body?: object, organizationId?: string) => Promise<Backup> }> {
  const parts = await buildTestApp(t)
  await mkdir(join(parts.uploadDir, 'acme'), { recursive: true })
  await writeFile(join(parts.uploadDir, 'acme', 'forklift.jpg'), Buffer.alloc(3000, 'pixels'))
  return {
    ...parts,
    async create(body = {}, organizationId = 'acme') {
      const response = await parts.app.inject({
        method: 'POST',
        url: '/api/backup/create',
        headers: parts.as('OWNER', organizationId),
        payload: { type: 'files', ...body }
      })
      t.equal(response.statusCode, 201, response.body)
      return response.json()
    }
  }
}

t.test('create answers 201 with the backup and where it is', async t => {
  const { app, as, backupDir } = await setUp(t)
  const response = await app.inject({
    method: 'POST',
    url: '/api/backup/create',
    headers: as(),
    payload: { type: 'files', description: 'Before the import' }
  })
  t.equal(response.statusCode, 201)
  const backup = response.json<Backup>()
  t.match(backup, {
    id: String,
    timestamp: String,
    createdBy: 'olivia@example.com',
    organizationId: 'acme',
    type: 'files',
    size: Number,
    checksum: /^[0-9a-f]{64}$/,
    databaseType: 'external',
    databaseScope: null,
    fileStorageType: 'local',
    includesDatabase: false,
    includesFiles: true,
    description: 'Before the import',
    counts: { tables: 0, rows: 0, files: 1, bytes: 3000 },
    warnings: [],
    state: 'available'
  })
  t.equal(response.headers.location, `/api/backup/${backup.id}`)
  const archive = await readFile(join(backupDir, 'acme', `backup-${backup.id}.zip`))
  t.equal(createHash('sha256').update(archive).digest('hex'), backup.checksum)
  t.same((await app.inject({ url: `/api/backup/${backup.id}`, headers: as() })).json(), backup)
})

t.test('an organization without an upload folder is told that its backup holds no files', async t => {
  const { app, as } = await setUp(t)
  const create = async (organizationId: string) =>
    (
      await app.inject({
        method: 'POST',
        url: '/api/backup/create',
        headers: as('OWNER', organizationId),
        payload: { type: 'files' }
      })
    ).json<Backup>()
  const empty = await create('newcomer')
  t.match(empty, { counts: { files: 0 }, warnings: [/no upload folder.*UPLOAD_DIR/] })
  t.same(
    (await app.inject({ url: `/api/backup/${empty.id}`, headers: as('OWNER', 'newcomer') })).json<Backup>().warnings,
    empty.warnings
  )
  t.match((await app.inject({ url: '/api/backup/jobs', headers: as('OWNER', 'newcomer') })).json(), [
    { result: { warnings: empty.warnings } }
  ])
  t.same((await create('acme')).warnings, [])
})

t.test('a user without an e-mail address is named by id', async t => {
  const { app, as } = await setUp(t)
  const response = await app.inject({
    method: 'POST',
    url: '/api/backup/create',
    headers: as('OWNER', 'acme', { email: undefined }),
    payload: { type: 'files' }
  })
  t.match(response.json(), { createdBy: 'user-1' })
  t.notOk('description' in response.json<object>())
})

t.test('bodies are strict: every wrong field is named, and nothing is made', async t => {
  const { app, as, backupDir } = await setUp(t)
  const cases: Array<[string, unknown, RegExp[]]> = [
    ['create', { type: 'everything' }, [/body\.type.*full, database, files/]],
    ['create', { type: ['files'] }, [/body\.type/]],
    ['create', { description: 'x'.repeat(501), compress: true }, [/body\.description/, /body\.compress/]],
    ['create', { type: 'files', description: null }, [/body\.description/]],
    ['create', [], [/body/]],
    ['create', null, [/body/]],
    ['create', '"files"', [/body/]],
    [`restore/${unknownId}`, { dryrun: true }, [/body\.dryrun/]],
    [`restore/${unknownId}`, { dryRun: 'true' }, [/body\.dryRun/]],
    [
      `restore/${unknownId}`,
      { dryRun: 1, validateChecksum: 'no', rollbackOnFailure: null },
      [/body\.dryRun/, /body\.validateChecksum/, /body\.rollbackOnFailure/]
    ]
  ]
  for (const [path, body, expected] of cases) {
    const payload = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await app.inject({
      method: 'POST',
      url: `/api/backup/${path}`,
      headers: { ...as(), 'content-type': 'application/json' },
      payload
    })
    t.equal(response.statusCode, 400, payload)
    const { code, errors } = response.json<{ code: string; errors: Array<{ field: string; message: string }> }>()
    t.equal(code, 'VALIDATION_FAILED', payload)
    t.equal(errors.length, expected.length, response.body)
    for (const pattern of expected)
      t.match(errors.map(({ field, message }) => `${field} ${message}`).join('\n'), pattern)
  }
  t.same(await readdir(backupDir), [])
})

t.test('no body means the defaults, whatever its content type says', async t => {
  const { app, as } = await setUp(t)
  for (const headers of [as(), { ...as(), 'content-type': 'application/json' }]) {
    // A full backup by default, so the database that is not there is missed.
    const response = await app.inject({ method: 'POST', url: '/api/backup/create', headers })
    t.equal(response.statusCode, 503, response.body)
    t.match(response.json(), { code: 'DATABASE_UNAVAILABLE', remedy: String })
    t.equal((await app.inject({ method: 'POST', url: `/api/backup/restore/${unknownId}`, headers })).statusCode, 404)
  }
})

t.test('ids are checked, and an unknown one is not found', async t => {
  const { app, as } = await setUp(t)
  const calls = [
    ['GET', (id: string) => `/api/backup/${id}`],
    ['DELETE', (id: string) => `/api/backup/${id}`],
    ['GET', (id: string) => `/api/backup/${id}/download`],
    ['POST', (id: string) => `/api/backup/restore/${id}`],
    ['POST', (id: string) => `/api/backup/restores/${id}/undo`],
    ['GET', (id: string) => `/api/backup/jobs/${id}`],
    ['DELETE', (id: string) => `/api/backup/jobs/${id}`],
    ['GET', (id: string) => `/api/backup/jobs/${id}/events`]
  ] as const
  for (const [method, url] of calls) {
    for (const id of ['not-an-id', '..%2f..%2fetc', unknownId.toUpperCase().replace('4', 'A'), `${unknownId}0`]) {
      const response = await app.inject({ method, url: url(id), headers: as() })
      t.equal(response.statusCode, 400, `${method} ${url(id)}`)
      t.match(response.json(), { code: 'VALIDATION_FAILED', errors: [{ field: /^params\./ }] })
    }
    const response = await app.inject({ method, url: url(unknownId), headers: as() })
    t.equal(response.statusCode, 404, `${method} ${url(unknownId)}`)
    t.match(response.json(), { error: 'Not Found', code: /^(BACKUP|RESTORE|JOB)_NOT_FOUND$/ })
  }
})

t.test("another organization's backup is not found", async t => {
  const { app, as, create } = await setUp(t)
  const { id } = await create()
  const other = as('OWNER', 'other')
  for (const [method, url] of [
    ['GET', `/api/backup/${id}`],
    ['GET', `/api/backup/${id}/download`],
    ['DELETE', `/api/backup/${id}`],
    ['POST', `/api/backup/restore/${id}`]
  ] as const) {
    t.match(
      (await app.inject({ method, url, headers: other })).json(),
      { statusCode: 404, code: 'BACKUP_NOT_FOUND' },
      `${method} ${url}`
    )
  }
  t.same((await app.inject({ url: '/api/backup/list', headers: other })).json(), [])
  t.equal((await app.inject({ url: `/api/backup/${id}`, headers: as() })).statusCode, 200)
})

t.test('list is a bare array, newest first, in pages', async t => {
  const { app, as, create } = await setUp(t)
  const list = async (query = '') => await app.inject({ url: `/api/backup/list${query}`, headers: as() })
  t.same((await list()).json(), [])
  const made: string[] = []
  for (let i = 0; i < 3; i++) made.unshift((await create()).id)

  const all = await list()
  t.same(
    all.json<Backup[]>().map(({ id }) => id),
    made
  )
  t.notOk(all.headers.link)

  const first = await list('?limit=2&type=files')
  t.same(
    first.json<Backup[]>().map(({ id }) => id),
    made.slice(0, 2)
  )
  const [, next = ''] = /^<(.+)>; rel="next"$/.exec(String(first.headers.link)) ?? []
  t.match(next, /^\/api\/backup\/list\?type=files&limit=2&cursor=/)
  const second = await app.inject({ url: next, headers: as() })
  t.same(
    second.json<Backup[]>().map(({ id }) => id),
    made.slice(2)
  )
  t.notOk(second.headers.link)

  t.same((await list('?type=database')).json(), [])
  for (const query of ['?limit=0', '?limit=101', '?limit=two', '?type=all', '?page=2', '?cursor=']) {
    const refused = await list(query)
    t.match(
      refused.json(),
      { statusCode: 400, code: 'VALIDATION_FAILED', errors: [{ field: /^querystring\./ }] },
      query
    )
  }
  t.match((await list('?cursor=none-of-ours')).json(), { statusCode: 400, code: 'BAD_REQUEST' })
})

t.test('delete', async t => {
  const { app, as, create, backupDir } = await setUp(t)
  const { id } = await create()
  const remove = async () => await app.inject({ method: 'DELETE', url: `/api/backup/${id}`, headers: as() })
  const response = await remove()
  t.equal(response.statusCode, 200)
  t.same(response.json(), { message: 'Backup deleted successfully', backupId: id })
  t.notOk((await readdir(join(backupDir, 'acme'))).some(name => name.includes(id)))
  t.equal((await remove()).statusCode, 404)
})

t.test('a backup whose archive is gone says so', async t => {
  const { app, as, create, backupDir } = await setUp(t)
  const { id } = await create()
  await rm(join(backupDir, 'acme', `backup-${id}.zip`))
  t.match((await app.inject({ url: `/api/backup/${id}/download`, headers: as() })).json(), {
    statusCode: 404,
    code: 'ARCHIVE_MISSING'
  })
})

t.test("a repository that can't be used gives 503 and a remedy", async t => {
  const { app, as, backupDir } = await setUp(t)
  await rm(backupDir, { recursive: true })
  await writeFile(backupDir, 'no folder')
  const response = await app.inject({
    method: 'POST',
    url: '/api/backup/create',
    headers: as(),
    payload: { type: 'files' }
  })
  t.match(response.json(), {
    statusCode: 503,
    code: 'REPOSITORY_UNAVAILABLE',
    reason: 'folder-is-a-file',
    remedy: /folder/
  })
})
