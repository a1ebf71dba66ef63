import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { Backup } from '../../src/repository/record.js'
import { buildTestApp } from '../support/app.js'

/** A listening service with one backup of incompressible bytes. */
async function setUp(t: Test, bytes = 100_000) {
  const parts = await buildTestApp(t)
  const { app, as, uploadDir, backupDir } = parts
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'photo.jpg'), randomBytes(bytes))
  const backup = (
    await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })
  ).json<Backup>()
  const archive = await readFile(join(backupDir, 'acme', `backup-${backup.id}.zip`))
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `${address}/api/backup/${backup.id}/download`
  const ask = async (headers: Record<string, string> = {}, method = 'GET') =>
    await fetch(url, { method, headers: { ...as(), ...headers } })
  return { ...parts, backup, archive, url, ask }
}

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

t.test('the whole archive, with what is needed to check it', async t => {
  const { ask, backup, archive } = await setUp(t)
  const response = await ask()
  t.equal(response.status, 200)
  t.ok((await bytesOf(response)).equals(archive))
  t.match(Object.fromEntries(response.headers), {
    'content-type': 'application/zip',
    'content-length': String(backup.size),
    'content-disposition': `attachment; filename="backup-${backup.id}.zip"`,
    'accept-ranges': 'bytes',
    etag: `"${backup.checksum}"`,
    'repr-digest': `sha-256=:${createHash('sha256').update(archive).digest('base64')}:`
  })
})

t.test('HEAD answers the same headers and opens nothing', async t => {
  const { ask, core, backup } = await setUp(t)
  const headers = async (response: Response) =>
    Object.entries(Object.fromEntries(response.headers))
      .filter(([name]) => !/date|ratelimit|connection|keep-alive/.test(name))
      .sort()
  const whole = await ask()
  await whole.arrayBuffer()
  core.repository.readArchive = async () => {
    throw new Error('opened')
  }
  const response = await ask({}, 'HEAD')
  t.equal(response.status, 200)
  t.same(await headers(response), await headers(whole))
  t.equal(response.headers.get('content-length'), String(backup.size))
  const part = await ask({ range: 'bytes=0-9' }, 'HEAD')
  t.equal(part.status, 206)
  t.equal(part.headers.get('content-length'), '10')
})

t.test('an interrupted download goes on', async t => {
  const { ask, archive, backup } = await setUp(t)
  const etag = `"${backup.checksum}"`
  const first = await ask({ range: 'bytes=0-49999' })
  const rest = await ask({ range: 'bytes=50000-', 'if-range': etag })
  t.equal(first.status, 206)
  t.equal(first.headers.get('content-range'), `bytes 0-49999/${archive.length}`)
  t.equal(first.headers.get('content-length'), '50000')
  t.equal(rest.headers.get('content-range'), `bytes 50000-${archive.length - 1}/${archive.length}`)
  t.ok(Buffer.concat([await bytesOf(first), await bytesOf(rest)]).equals(archive))

  const suffix = await ask({ range: 'bytes=-22' })
  t.ok((await bytesOf(suffix)).equals(archive.subarray(-22)))

  const changed = await ask({ range: 'bytes=50000-', 'if-range': '"another"' })
  t.equal(changed.status, 200)
  t.ok((await bytesOf(changed)).equals(archive))
})

t.test('a range outside the archive', async t => {
  const { ask, archive } = await setUp(t)
  const response = await ask({ range: `bytes=${archive.length}-` })
  t.equal(response.status, 416)
  t.equal(response.headers.get('content-range'), `bytes */${archive.length}`)
  t.match(await response.json(), { statusCode: 416, error: 'Range Not Satisfiable', code: 'RANGE_NOT_SATISFIABLE' })
})

t.test('what the client has is not sent again', async t => {
  const { ask, backup } = await setUp(t)
  const response = await ask({ 'if-none-match': `"${backup.checksum}"` })
  t.equal(response.status, 304)
  t.equal(response.headers.get('etag'), `"${backup.checksum}"`)
  t.equal(await response.text(), '')
})

t.test('the archive is closed when the client leaves', async t => {
  const { core, url, as } = await setUp(t, 20_000_000)
  const read = core.repository.readArchive
  let told: (stream: Readable) => void = () => {}
  const opened = new Promise<Readable>(resolve => {
    told = resolve
  })
  core.repository.readArchive = async (...args) => {
    const stream = await read(...args)
    if (stream !== null) told(stream)
    return stream
  }
  const request = get(url, { headers: as(), agent: false })
  request.on('error', () => {})
  await once(request, 'response')
  const stream = await opened
  t.equal(stream.destroyed, false)
  request.destroy()
  if (!stream.destroyed) await new Promise(resolve => stream.once('close', resolve))
  t.equal(stream.destroyed, true)
  t.equal(stream.readableEnded, false)
})

t.test('an archive that has become shorter, or is gone, is told before a byte is promised', async t => {
  const { ask, backup, backupDir } = await setUp(t)
  const path = join(backupDir, 'acme', `backup-${backup.id}.zip`)
  await truncate(path, 1000)
  const short = await ask()
  t.equal(short.status, 422)
  t.match(await short.json(), { code: 'CHECKSUM_MISMATCH' })
  t.equal((await ask({}, 'HEAD')).status, 422)
  await rm(path)
  t.equal((await ask({}, 'HEAD')).status, 404)
})
