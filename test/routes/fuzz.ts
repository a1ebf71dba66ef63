import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import type { Backup } from '../../src/repository/record.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { buildTestApp, type TestApp } from '../support/app.js'
import { deepSeeds } from '../support/deep.js'
import { requestsFor, type FuzzRequest } from '../support/fuzz-requests.js'
import { fillPath, readOperations, type Operation } from '../support/operations.js'
import { createTestDatabase } from '../support/postgres.js'
import { createContract, type Answer } from '../support/response-contract.js'
import { untilIdle } from '../support/work.js'

const runs = 200

/** A listening service whose organization has one of everything, and where it is. */
async function setUp(t: Parameters<typeof buildTestApp>[0]) {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY)`
  const parts = await buildTestApp(t, { databaseUrl: url, env: { DATABASE_SCOPE: 'instance' } })
  await mkdir(join(parts.uploadDir, 'acme'))
  await writeFile(join(parts.uploadDir, 'acme', 'photo.jpg'), 'not really')
  await parts.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...parts, port: (parts.app.server.address() as AddressInfo).port }
}

async function makeIds({ app, as }: TestApp): Promise<Record<string, string>> {
  const post = async <Result>(url: string, payload: object): Promise<Result> =>
    (await app.inject({ method: 'POST', url, headers: as(), payload })).json<Result>()
  const { id: backupId } = await post<Backup>('/api/backup/create', { type: 'files' })
  const { restoreId } = await post<RestoreResult>(`/api/backup/restore/${backupId}`, {})
  const [job] = (await app.inject({ url: '/api/backup/jobs', headers: as() })).json<Job[]>()
  return { backupId, restoreId, jobId: job!.id }
}

/** Null when the client left, or the service closed the connection on a body that it would not read to its end. */
async function send(
  port: number,
  { method, path, headers, body, pieces, leaves }: FuzzRequest
): Promise<Answer | null> {
  return await new Promise((resolve, reject) => {
    const content = body === null ? null : Buffer.from(body)
    const length =
      content === null
        ? {}
        : pieces > 0 || leaves
          ? { 'transfer-encoding': 'chunked' }
          : { 'content-length': content.length }
    const request = httpRequest(
      { port, method, path, headers: { ...headers, ...length }, agent: false },
      (response: IncomingMessage) => {
        const { statusCode: status = 0, headers } = response
        text(response).then(body => {
          resolve({ status, headers, body })
        }, reject)
      }
    )
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (leaves || ['EPIPE', 'ECONNRESET'].includes(error.code ?? '')) resolve(null)
      else reject(error)
    })
    if (content === null) request.end()
    else if (leaves) {
      request.flushHeaders()
      request.write(content.subarray(0, content.length / 2), () => {
        request.destroy(new Error('left'))
      })
    } else if (pieces === 0) request.end(content)
    else
      sendInPieces(content, pieces, piece => {
        if (piece === null) request.end()
        else request.write(piece)
      })
  })
}

/** One piece a turn of the event loop, as a slow client does. */
function sendInPieces(content: Buffer, pieces: number, write: (piece: Buffer | null) => void): void {
  const size = Math.ceil(content.length / pieces)
  const next = (start: number): void => {
    if (start >= content.length) return write(null)
    write(content.subarray(start, start + size))
    setImmediate(next, start + size)
  }
  next(0)
}

/** The operation that a router must find; the most specific path, as in OpenAPI. */
function operationAt(operations: Operation[], method: string, path: string): Operation | undefined {
  const decode = (part: string): string | null => {
    try {
      return decodeURIComponent(part)
    } catch {
      return null
    }
  }
  const parts = path.split('?')[0]!.split('/').map(decode)
  const statics = (operation: Operation): number =>
    operation.path.split('/').filter(part => !part.startsWith('{')).length
  return operations
    .filter(operation => operation.method === (method === 'HEAD' ? 'GET' : method))
    .filter(operation => {
      const template = operation.path.split('/')
      return (
        template.length === parts.length &&
        template.every((part, index) =>
          part.startsWith('{') ? parts[index] !== '' && parts[index] !== null : part === parts[index]
        )
      )
    })
    .sort((a, b) => statics(b) - statics(a))[0]
}

t.test('whatever is asked, the answer is one that the document describes', async t => {
  const parts = await setUp(t)
  const { port, token } = parts
  const { document, operations } = await readOperations(parts.app)
  const check = createContract(document)
  const owner = `Bearer ${token()}`
  const requests = fc.oneof(
    ...operations.map(operation =>
      requestsFor(operation, [owner, owner, owner, owner, owner, owner, `Bearer ${token('VIEWER')}`, 'Bearer x', ''])
    )
  )
  const statuses = new Map<number | 'none', number>()
  let ids = await makeIds(parts)

  for (const seed of deepSeeds(1)) {
    t.comment(`seed ${seed}, ${runs} runs`)
    const result = await fc.check(
      fc.asyncProperty(requests, async asked => {
        const request = { ...asked, path: fillPath(asked.path, ids) }
        const answer = await send(port, request)
        const status = answer?.status ?? 'none'
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        const { method, path } = request
        if (method === 'DELETE' && status === 200) ids = await makeIds(parts)
        // A job that a client has left goes on.
        await untilIdle(parts.jobs)
        if (answer === null) return
        const wrong = check(operationAt(operations, method, path), method, answer)
        if (wrong !== null) throw new Error(`${method} ${path.slice(0, 200)}: ${wrong}\n${answer.body.slice(0, 500)}`)
      }),
      { numRuns: runs, seed }
    )
    if (result.failed) {
      t.comment(`after ${result.numShrinks} shrinks: ${JSON.stringify(result.counterexample)}`)
      t.fail((result.errorInstance as Error).message)
    }
    t.comment(
      `${result.numRuns} requests: ${[...statuses]
        .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
        .map(([status, count]) => `${status} × ${count}`)
        .join(', ')}`
    )
  }
  t.equal(({} as { x?: unknown }).x, undefined, 'no prototype is changed')
  t.equal((await parts.app.inject({ url: '/health/ready' })).statusCode, 200, 'the service is in good order')
  t.ok(
    [200, 400, 404].every(status => statuses.has(status)),
    'they got in, and were refused'
  )
})

t.test('what is no HTTP, or not whole, is refused in the same shape and does no harm', async t => {
  const { app, port, as } = await setUp(t)
  const { document } = await readOperations(app)
  const check = createContract(document)
  const start = 'POST /api/backup/create HTTP/1.1\r\nhost: x\r\n'
  const cases = [
    '\r\n\r\n',
    '\0\0\0\0',
    'GET\r\n\r\n',
    'GET / \r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00',
    'HELO mail\r\n',
    'GET /health/live HTTP/1.1\r\n\r\n',
    'GET /nothing HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n',
    'GET /health/live HTTP/1.1\r\nhost: x\r\nx: \0\r\n\r\n',
    'GET /health/live HTTP/1.1\r\nhost x\r\n\r\n',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(5000)}\r\n`,
    'GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'GET //etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'GET http://other/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'GET /docs/static/../../../package.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'GET /docs/static/%2e%2e/%2e%2e/package.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'CONNECT other:443 HTTP/1.1\r\nhost: x\r\n\r\n',
    'GET /health/nothing HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    `${start}content-length: -1\r\n\r\n`,
    `${start}content-length: 1e3\r\n\r\n`,
    `${start}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
    `${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${start}transfer-encoding: chunked\r\n\r\nzz\r\n\r\n`,
    `${start}transfer-encoding: gzip\r\n\r\n`,
    `${start}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n`,
    `${start}content-length: 99999999999999999999\r\n\r\n`,
    `${start}authorization: ${as().authorization}\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{`
  ]
  for (const [index, bytes] of cases.entries()) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(bytes, 'latin1')
    // Its end, for a service that waits for more.
    socket.end()
    const received = await text(socket)
    if (!socket.closed) await once(socket, 'close')
    const [head = '', ...rest] = received.split('\r\n\r\n')
    const [, status] = /^HTTP\/1\.1 (\d+)/.exec(head) ?? []
    if (status === undefined) {
      t.equal(received, '', `${index}: closed without a word`)
      continue
    }
    // Node's own answer to a request without a Host.
    if (status === '400' && ['', '0'].includes(rest.join(''))) continue
    const headers = Object.fromEntries(
      head
        .split('\r\n')
        .slice(1)
        .map(line => line.split(': ') as [string, string])
        .map(([name, value]) => [name.toLowerCase(), value])
    )
    t.equal(
      check(undefined, 'GET', { status: Number(status), headers, body: rest.join('\r\n\r\n') }),
      null,
      `${index}: ${JSON.stringify(bytes.slice(0, 60))}`
    )
  }
  t.equal((await app.inject({ url: '/health/live' })).statusCode, 200)
  t.comment(`${cases.length} broken requests tried`)
})
