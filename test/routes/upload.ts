import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Backup } from '../../src/repository/record.js'
import { receiveBackup } from '../../src/backup/upload.js'
import { testJob } from '../support/job.js'
import { buildTestApp, type TestApp } from '../support/app.js'
import { checksumFolder } from '../../sample/checksums.js'

interface Uploads extends TestApp {
  backup: Backup
  archive: Buffer
  address: string
  upload: (
    bytes: Buffer | ReadableStream,
    options?: { query?: string; headers?: Record<string, string>; organizationId?: string }
  ) => Promise<{ status: number; body: Record<string, unknown>; location: string | null }>
  /** Names of everything in the repository but journals. */
  stored: () => Promise<string[]>
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

/** A service that has made a backup, which is downloaded and deleted. */
async function setUp(t: Test, env: NodeJS.ProcessEnv = {}): Promise<Uploads> {
  const parts = await buildTestApp(t, { env })
  const { app, as, token, uploadDir, backupDir } = parts
  const folder = join(uploadDir, 'acme')
  await mkdir(join(folder, 'photos'), { recursive: true })
  await writeFile(join(folder, 'photos', 'large.bin'), randomBytes(1_500_000))
  await writeFile(join(folder, 'note.txt'), 'a note '.repeat(1000))
  const backup = (
    await app.inject({
      method: 'POST',
      url: '/api/backup/create',
      headers: as(),
      payload: { type: 'files', description: 'To be moved' }
    })
  ).json<Backup>()
  const archive = (await app.inject({ url: `/api/backup/${backup.id}/download`, headers: as() })).rawPayload
  await app.inject({ method: 'DELETE', url: `/api/backup/${backup.id}`, headers: as() })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    ...parts,
    backup,
    archive,
    address,
    upload: async (bytes, { query = '', headers = {}, organizationId = 'acme' } = {}) => {
      const response = await fetch(`${address}/api/backup/upload${query}`, {
        method: 'POST',
        body: bytes as never,
        duplex: 'half',
        headers: {
          authorization: `Bearer ${token('OWNER', organizationId)}`,
          'content-type': 'application/zip',
          ...headers
        }
      })
      return {
        status: response.status,
        body: (await response.json()) as Record<string, unknown>,
        location: response.headers.get('location')
      }
    },
    stored: async () => {
      const names = await readdir(backupDir, { recursive: true })
      return names.filter(name => !['acme', 'other'].includes(name) && !/^[^/]+\/(restores|activity)/.test(name))
    }
  }
}

t.test('an archive that was downloaded and deleted comes back as it was', async t => {
  const { upload, archive, backup, app, as, backupDir, uploadDir, stored } = await setUp(t)
  t.same(await stored(), [])
  const before = await checksumFolder(join(uploadDir, 'acme'))
  const { status, body, location } = await upload(archive, {
    query: `?checksum=${backup.checksum.toUpperCase()}`,
    headers: { 'repr-digest': `sha-512=:AAAA:, sha-256=:${sha256(archive).toString('base64')}:` }
  })
  t.equal(status, 201, JSON.stringify(body))
  t.same(body, backup)
  t.equal(location, `/api/backup/${backup.id}`)
  t.ok(archive.equals(await readFile(join(backupDir, 'acme', `backup-${backup.id}.zip`))))
  t.same((await app.inject({ url: '/api/backup/list', headers: as() })).json(), [backup])
  t.match((await app.inject({ url: '/api/backup/jobs', headers: as() })).json(), [
    { kind: 'import', state: 'succeeded', bytesDone: archive.length, bytesTotal: archive.length }
  ])

  t.match(await upload(archive), { status: 409, body: { code: 'BACKUP_EXISTS' } })
  await rm(join(uploadDir, 'acme'), { recursive: true })
  const restored = await app.inject({
    method: 'POST',
    url: `/api/backup/restore/${backup.id}`,
    headers: as(),
    payload: {}
  })
  t.equal(restored.statusCode, 200, restored.body)
  t.same(await checksumFolder(join(uploadDir, 'acme')), before)
})

t.test('an archive that has vanished is brought back', async t => {
  const { upload, archive, backup, backupDir, core, app, as } = await setUp(t)
  await upload(archive)
  await rm(join(backupDir, 'acme', `backup-${backup.id}.zip`))
  await core.catalog.reconcile()
  t.match((await app.inject({ url: `/api/backup/${backup.id}`, headers: as() })).json(), { state: 'missing' })
  t.match(await upload(archive), { status: 201, body: { state: 'available' } })
})

t.test('without a length it is taken too', async t => {
  const { upload, archive, backup } = await setUp(t)
  const stream = new ReadableStream({
    start(controller) {
      for (let start = 0; start < archive.length; start += 100_000)
        controller.enqueue(archive.subarray(start, start + 100_000))
      controller.close()
    }
  })
  t.match(await upload(stream), { status: 201, body: { id: backup.id } })
})

interface FormPart {
  name: string
  content: Buffer | string
  filename?: string
}
const boundary = '----formBoundaryOfATest'

/** A form as a browser writes it. */
function formOf(...parts: FormPart[]): Buffer {
  return Buffer.concat([
    ...parts.flatMap(({ name, content, filename }) => [
      Buffer.from(
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: application/zip`}\r\n\r\n`
      ),
      Buffer.from(content as string),
      Buffer.from('\r\n')
    ]),
    Buffer.from(`--${boundary}--\r\n`)
  ])
}
const formHeaders = { 'content-type': `multipart/form-data; boundary=${boundary}` }

t.test('a browser can upload it as a form', async t => {
  const { archive, backup, address, as, backupDir } = await setUp(t)
  const form = new FormData()
  form.append('archive', new Blob([archive], { type: 'application/zip' }), 'C:\\Users\\olivia\\../../backup.zip')
  const response = await fetch(`${address}/api/backup/upload?checksum=${backup.checksum}`, {
    method: 'POST',
    body: form,
    headers: as()
  })
  t.equal(response.status, 201)
  t.same(await response.json(), backup)
  t.ok(archive.equals(await readFile(join(backupDir, 'acme', `backup-${backup.id}.zip`))))
})

t.test('a form that is not just one whole archive is refused, and leaves nothing', async t => {
  const { upload, archive, stored } = await setUp(t)
  const part = { name: 'archive', content: archive, filename: 'backup.zip' }
  const whole = formOf(part)
  const invalid = (field: string) => ({ status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ field }] } })
  const cases: Array<[string, Buffer, object, Record<string, string>?]> = [
    ['another name', formOf({ ...part, name: 'file' }), invalid('body.file')],
    ['a field before it', formOf({ name: 'dryRun', content: 'true' }, part), invalid('body.dryRun')],
    ['a field behind it', formOf(part, { name: '__proto__', content: 'true' }), invalid('body.__proto__')],
    ['a second archive', formOf(part, part), invalid('body.archive')],
    ['a text in its place', formOf({ name: 'archive', content: 'PK' }), invalid('body.archive')],
    ['no part', formOf(), invalid('body.archive')],
    ['nothing', Buffer.alloc(0), { status: 400 }],
    ['no boundary', whole, { status: 400, body: { code: 'BAD_REQUEST' } }, { 'content-type': 'multipart/form-data' }],
    ['another boundary', whole, { status: 400 }, { 'content-type': 'multipart/form-data; boundary=another' }],
    [
      'cut in the file',
      whole.subarray(0, whole.length >> 1),
      { status: 400, body: { code: 'BAD_REQUEST', reason: 'upload-broken-off' } }
    ],
    ['cut behind the archive', whole.subarray(0, -8), { status: 400, body: { code: 'BAD_REQUEST' } }],
    ['an archive that is none', formOf({ ...part, content: 'PK' }), { status: 422, body: { code: 'ARCHIVE_INVALID' } }],
    [
      'headers without end',
      Buffer.concat([Buffer.from(`--${boundary}\r\nX: `), Buffer.alloc(1 << 20, 'x')]),
      { status: 400 }
    ]
  ]
  for (const [name, bytes, expected, headers = formHeaders] of cases) {
    const answer = await upload(bytes, { headers })
    t.match(answer, expected, `${name}: ${JSON.stringify(answer)}`)
    t.same(await stored(), [], name)
  }
  t.match(await upload(whole, { headers: formHeaders }), { status: 201 })
})

t.test('too large a form is refused', async t => {
  const { upload, archive, stored } = await setUp(t, { UPLOAD_MAX_BYTES: '100000' })
  t.match(await upload(formOf({ name: 'archive', content: archive, filename: 'a.zip' }), { headers: formHeaders }), {
    status: 413,
    body: { code: 'PAYLOAD_TOO_LARGE' }
  })
  t.same(await stored(), [])
})

t.test('a form whose connection breaks, or that is cancelled, leaves nothing', async t => {
  const parts = await setUp(t)
  const form = formOf({ name: 'archive', content: parts.archive, filename: 'a.zip' })
  for (const [state, end] of [
    ['failed', (sending: ClientRequest) => sending.destroy()],
    ['cancelled', (_sending: ClientRequest, id: string) => parts.jobs.cancel('acme', id)]
  ] as Array<[string, (sending: ClientRequest, id: string) => unknown]>) {
    const sending = await sendPart(parts.address, parts.token(), form, formHeaders['content-type'])
    const id = await untilReceiving(parts)
    end(sending, id)
    t.equal(await untilEnded(parts, id), state)
    t.same(await parts.stored(), [], state)
    sending.destroy()
  }
  t.match(await parts.upload(form, { headers: formHeaders }), { status: 201 })
})

t.test('what is not a whole archive of the organization is refused, and leaves nothing', async t => {
  const { upload, archive, stored } = await setUp(t)
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(archive)
    copy[at]! ^= 1
    return copy
  }
  const again = /^Upload the file as it was downloaded.*another copy of it\.$/
  type Cases = Array<[string, Parameters<Uploads['upload']>, object]>
  const cases: Cases = [
    [
      'truncated',
      [archive.subarray(0, archive.length - 1000)],
      { status: 422, body: { code: 'ARCHIVE_INVALID', remedy: again } }
    ],
    ['longer', [Buffer.concat([archive, Buffer.from('more')])], { status: 422, body: { code: 'ARCHIVE_INVALID' } }],
    ['no zip', [Buffer.from('this is no archive')], { status: 422, body: { code: 'ARCHIVE_INVALID' } }],
    ['empty', [Buffer.alloc(0)], { status: /4../ }],
    [
      'a bit in a file',
      [flipped(archive.length >> 1)],
      { status: 422, body: { code: 'CHECKSUM_MISMATCH', remedy: again } }
    ],
    ['a bit near the start', [flipped(200)], { status: 422 }],
    ['a bit in the directory', [flipped(archive.length - 200)], { status: 422 }],
    [
      'of another organization',
      [archive, { organizationId: 'other' }],
      {
        status: 422,
        body: {
          code: 'ARCHIVE_INVALID',
          reason: 'another-organization',
          remedy: /token of an OWNER of the organization/
        }
      }
    ],
    [
      'another checksum',
      [archive, { query: `?checksum=${'0'.repeat(64)}` }],
      { status: 422, body: { code: 'CHECKSUM_MISMATCH', remedy: 'Upload the archive again.' } }
    ],
    [
      'another digest',
      [archive, { headers: { 'repr-digest': `sha-256=:${sha256(Buffer.from('x')).toString('base64')}:` } }],
      { status: 422, body: { code: 'CHECKSUM_MISMATCH' } }
    ],
    [
      'a digest that is none',
      [archive, { headers: { 'repr-digest': 'sha-256=abc' } }],
      { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ field: 'headers.repr-digest' }] } }
    ],
    [
      'a checksum that is none',
      [archive, { query: '?checksum=abc' }],
      { status: 400, body: { code: 'VALIDATION_FAILED' } }
    ],
    ...['application/json', 'application/octet-stream', 'text/plain', 'zip', ''].map((type): Cases[number] => [
      `as ${type}`,
      [archive, { headers: { 'content-type': type } }],
      {
        status: 415,
        body: { code: 'UNSUPPORTED_MEDIA_TYPE', remedy: /application\/zip.*multipart\/form-data/ }
      }
    ])
  ]
  for (const [name, args, expected] of cases) {
    const answer = await upload(...args)
    t.match(
      {
        ...answer,
        status: typeof (expected as { status: unknown }).status === 'number' ? answer.status : String(answer.status)
      },
      expected,
      `${name}: ${JSON.stringify(answer)}`
    )
    t.notMatch(JSON.stringify(answer), args[1]?.organizationId === undefined ? /restore another/ : /acme/, name)
    t.same(await stored(), [], name)
  }
  t.match(await upload(archive), { status: 201 }, "and the organization's next job runs")
})

t.test('too large an archive is refused, told or not', async t => {
  const { upload, archive, stored } = await setUp(t, { UPLOAD_MAX_BYTES: '100000' })
  t.match(await upload(archive), {
    status: 413,
    body: { code: 'PAYLOAD_TOO_LARGE', reason: 'archive-too-large', message: /100000/ }
  })
  const endless = new ReadableStream({
    pull(controller) {
      controller.enqueue(archive.subarray(0, 20_000))
    }
  })
  const answer = await upload(endless).catch((error: unknown) => error)
  if (!(answer instanceof Error)) t.match(answer, { status: 413 })
  t.same(await stored(), [])
})

t.test('an archive that the disk has no room for is refused beforehand', async t => {
  const { upload, archive, core, stored } = await setUp(t)
  core.repository.freeBytes = async () => (64 << 20) + 1000
  t.match(await upload(archive), { status: 507, body: { code: 'DISK_FULL' } })
  t.same(await stored(), [])
})

/** Sends a part of the archive and keeps the connection. */
async function sendPart(
  address: string,
  token: string,
  archive: Buffer,
  type = 'application/zip'
): Promise<ClientRequest> {
  const sending = httpRequest(`${address}/api/backup/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type, 'content-length': archive.length }
  })
  sending.on('error', () => {})
  sending.write(archive.subarray(0, archive.length >> 1))
  await once(sending, 'socket')
  return sending
}

async function untilReceiving({ app, as }: TestApp): Promise<string> {
  for (;;) {
    const [job] = (await app.inject({ url: '/api/backup/jobs', headers: as() })).json<
      Array<{ id: string; kind: string; bytesDone: number; state: string }>
    >()
    if (job?.kind === 'import' && job.bytesDone > 0 && job.state === 'running') return job.id
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function untilEnded({ jobs }: TestApp, id: string): Promise<string> {
  for (;;) {
    const { state } = await jobs.get('acme', id)
    if (state !== 'running') return state
    await new Promise(resolve => setImmediate(resolve))
  }
}

t.test('a connection that breaks leaves nothing', async t => {
  const parts = await setUp(t)
  const sending = await sendPart(parts.address, parts.token(), parts.archive)
  const id = await untilReceiving(parts)
  t.match(await parts.upload(parts.archive), { status: 409, body: { code: 'JOB_CONFLICT' } }, 'one at a time')
  sending.destroy()
  t.equal(await untilEnded(parts, id), 'failed')
  t.match((await parts.jobs.get('acme', id)).error, { code: 'BAD_REQUEST', reason: 'upload-broken-off' })
  t.same(await parts.stored(), [])
})

t.test('an upload can be cancelled, also when nothing comes any more', async t => {
  const parts = await setUp(t)
  const sending = await sendPart(parts.address, parts.token(), parts.archive)
  const id = await untilReceiving(parts)
  const answered = once(sending, 'response')
  await parts.jobs.cancel('acme', id)
  t.equal(await untilEnded(parts, id), 'cancelled')
  t.same(await parts.stored(), [])
  const [response] = (await answered) as [IncomingMessage]
  t.match(await json(response), { statusCode: 409, code: 'JOB_CANCELLED' }, 'and the sender is told')
  sending.destroy()
})

t.test('a sender that falls silent is given up', async t => {
  const { core, stored } = await setUp(t)
  const silent = new Readable({ read() {} })
  silent.push('the beginning')
  await t.rejects(
    receiveBackup(core, { organizationId: 'acme', stream: silent, checksums: [], idleMs: 20 }, testJob()),
    { code: 'BAD_REQUEST', reason: 'upload-broken-off' }
  )
  t.same(await stored(), [])
})

t.test('only owners', async t => {
  const { app, as, archive } = await setUp(t)
  const response = await app.inject({
    method: 'POST',
    url: '/api/backup/upload',
    headers: { ...as('MANAGER'), 'content-type': 'application/zip' },
    payload: archive
  })
  t.equal(response.statusCode, 403)
})
