import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import unreadBodyPlugin from '../../plugins/unread-body.js'
import { buildTestApp } from '../support/app.js'
import { startWork } from '../support/work.js'

const large = 200 << 20
/** More than the buffers of a connection hold. */
const medium = 12 << 20
const piece = Buffer.alloc(1 << 20, 'x')
const zip = { 'content-type': 'application/zip' }

interface Refusal {
  name: string
  status: number
  code: string
  path?: string
  method?: string
  headers?: Record<string, string>
  /** How the body begins; else it is nothing but x. */
  start?: string
}

/** A service that is listening, and everything that it refuses before it reads the body, or in the middle of it. */
async function setUp(t: Test) {
  const { app, as, jobs } = await buildTestApp(t, { env: { UPLOAD_MAX_BYTES: '1000000' } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const busy = startWork(jobs, {
    organizationId: 'busy',
    run: async ({ signal }) => {
      await once(signal, 'abort')
    }
  })
  t.teardown(async () => {
    await jobs.cancel('busy', busy.job.id)
  })
  const refusals: Refusal[] = [
    { name: 'no token', status: 401, code: 'UNAUTHORIZED', headers: { ...zip, authorization: '' } },
    { name: 'not an OWNER', status: 403, code: 'FORBIDDEN', headers: { ...zip, ...as('MANAGER') } },
    {
      name: 'a checksum that is none',
      status: 400,
      code: 'VALIDATION_FAILED',
      path: '/api/backup/upload?checksum=abc'
    },
    {
      name: 'a digest that is none',
      status: 400,
      code: 'VALIDATION_FAILED',
      headers: { ...zip, 'repr-digest': 'sha-256=abc' }
    },
    {
      name: 'another content type',
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE',
      headers: { 'content-type': 'application/gzip' }
    },
    { name: 'a running job', status: 409, code: 'JOB_CONFLICT', headers: { ...zip, ...as('OWNER', 'busy') } },
    { name: 'an unknown address', status: 404, code: 'NOT_FOUND', path: '/upload' },
    { name: 'another method', status: 405, code: 'METHOD_NOT_ALLOWED', method: 'PUT' },
    {
      name: 'a JSON body of that size',
      status: 413,
      code: 'PAYLOAD_TOO_LARGE',
      path: '/api/backup/create',
      headers: { 'content-type': 'application/json' }
    },
    { name: 'too large an archive', status: 413, code: 'PAYLOAD_TOO_LARGE' },
    {
      name: 'a form with something else',
      status: 400,
      code: 'VALIDATION_FAILED',
      headers: { 'content-type': 'multipart/form-data; boundary=B' },
      start: '--B\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    }
  ]
  return { port: (app.server.address() as AddressInfo).port, as, refusals }
}

type Service = Awaited<ReturnType<typeof setUp>>

async function fetchWith(
  { port, as }: Pick<Service, 'port' | 'as'>,
  { path = '/api/backup/upload', method = 'POST', headers = zip, start = '' }: Partial<Refusal>
): Promise<object> {
  let left = large
  const body = new ReadableStream({
    start(controller) {
      if (start !== '') controller.enqueue(Buffer.from(start))
    },
    pull(controller) {
      controller.enqueue(piece)
      left -= piece.length
      if (left <= 0) controller.close()
    }
  })
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    body,
    duplex: 'half',
    headers: { ...as(), ...headers }
  })
  return { status: response.status, body: await response.json() }
}

/** Sends all of it before it looks at the answer, as browsers and Python do. */
async function sendAll(
  { port, as }: Pick<Service, 'port' | 'as'>,
  { path = '/api/backup/upload', method = 'POST', headers = zip, start = '' }: Partial<Refusal>,
  { bytes = medium, chunked = false, close = false }: { bytes?: number; chunked?: boolean; close?: boolean } = {}
): Promise<object> {
  const socket = connect(port, '127.0.0.1').pause()
  const write = async (chunk: Buffer | string): Promise<void> => {
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  const length = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(bytes) }
  const all = { host: 'x', ...as(), ...headers, ...length, ...(close ? { connection: 'close' } : {}) }
  await write(
    `${method} ${path} HTTP/1.1\r\n${Object.entries(all)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`
  )
  let first = Buffer.concat([Buffer.from(start), piece.subarray(start.length)])
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (chunked) await write(`${piece.length.toString(16)}\r\n`)
    await write(first)
    if (chunked) await write('\r\n')
    first = piece
  }
  if (chunked) await write('0\r\n\r\n')
  const [head, body] = await readAnswer(socket)
  socket.destroy()
  return { status: Number(head.split(' ')[1]), body: JSON.parse(body) as unknown }
}

async function readAnswer(socket: Socket): Promise<[string, string]> {
  let text = ''
  for await (const chunk of socket.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    text += chunk
    const [head = '', body = ''] = text.split('\r\n\r\n')
    if (body.length > 0 && body.length === Number(/content-length: (\d+)/i.exec(head)?.[1])) return [head, body]
  }
  throw new Error(`The connection ended: ${text}`)
}

t.test('whoever sends a large body that is refused reads why', async t => {
  const service = await setUp(t)
  for (const [index, refusal] of service.refusals.entries()) {
    const { name, status, code } = refusal
    const expected = { status, body: { statusCode: status, code, message: String, remedy: String } }
    t.match(await fetchWith(service, refusal), expected, `fetch: ${name}`)
    for (const close of [false, true]) {
      const way = { close, chunked: (index % 2 === 1) === close }
      t.match(await sendAll(service, refusal, way), expected, `${JSON.stringify(way)}: ${name}`)
    }
  }
  const [first] = service.refusals
  t.match(await sendAll(service, first!, { bytes: large, close: true }), { status: 401 }, 'all of 200 MiB')
})

t.test('so does one that has sent too many requests', async t => {
  const { app, as } = await buildTestApp(t, { env: { RATE_LIMIT: '2' } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const service = { port: (app.server.address() as AddressInfo).port, as }
  for (let asked = 0; asked < 2; asked += 1) await app.inject({ url: '/api/backup/list', headers: as() })
  t.match(await fetchWith(service, {}), { status: 429, body: { code: 'RATE_LIMITED' } })
  t.match(await sendAll(service, {}), { status: 429, body: { code: 'RATE_LIMITED' } })
})

t.test('a body that its sender asks for leave to send is only asked for when it is wanted', async t => {
  const service = await setUp(t)
  const ask = async (
    { path = '/api/backup/upload', method = 'POST', headers = zip }: Partial<Refusal>,
    body?: string
  ) => {
    let continued = false
    const request = httpRequest({
      port: service.port,
      path,
      method,
      agent: false,
      headers: { ...service.as(), ...headers, expect: '100-continue', 'content-length': body?.length ?? large }
    })
    request.on('continue', () => {
      continued = true
      request.end(body)
    })
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return {
      continued,
      status: response.statusCode,
      connection: response.headers.connection,
      body: await json(response)
    }
  }
  for (const refusal of service.refusals.filter(({ start }) => start === undefined)) {
    const { name, status, code } = refusal
    t.match(await ask(refusal), { continued: false, status, connection: 'close', body: { code } }, name)
  }
  t.match(
    await ask(
      { path: `/api/backup/restore/${randomUUID()}`, headers: { 'content-type': 'application/json' } },
      '{"dryRun": true}'
    ),
    { continued: true, status: 404 }
  )
  t.match(await ask({}, 'no archive'), { continued: true, status: 422, body: { code: 'ARCHIVE_INVALID' } })
  const form = '--x\r\ncontent-disposition: form-data; name="archive"; filename="a.zip"\r\n\r\nno archive\r\n--x--\r\n'
  t.match(await ask({ headers: { 'content-type': 'multipart/form-data; boundary=x' } }, form), {
    continued: true,
    status: 422,
    body: { code: 'ARCHIVE_INVALID' }
  })
})

t.test('a connection whose body was dropped is used again', async t => {
  const { port, as } = await setUp(t)
  const socket = connect(port, '127.0.0.1')
  const get = `GET /api/backup/list HTTP/1.1\r\nhost: x\r\nauthorization: ${as().authorization}\r\n`
  socket.write(`POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: ${piece.length}\r\n\r\n`)
  t.match((await readAnswer(socket))[0], /^HTTP\/1.1 404/)
  socket.write(piece)
  socket.write(`${get}\r\n`)
  t.match(await readAnswer(socket), [/^HTTP\/1.1 200/, '[]'])
  socket.write(`${get}connection: close\r\n\r\n`)
  t.match(await readAnswer(socket), [/^HTTP\/1.1 200/, '[]'])
  await once(socket.resume(), 'close')
})

t.test('what is dropped is bounded in time and size', async t => {
  for (const [options, send] of [
    [
      { limitBytes: 3 << 20 },
      (socket: Socket) => {
        while (socket.write(piece));
        socket.on('drain', () => {
          while (socket.write(piece));
        })
      }
    ],
    [{ limitMs: 50 }, () => {}]
  ] as Array<[object, (socket: Socket) => void]>) {
    const app = Fastify()
    await app.register(unreadBodyPlugin, options)
    app.addHook('onRequest', async () => {
      throw new Error('refused')
    })
    app.post('/', async () => 'never')
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(async () => {
      await app.close()
    })
    for (const more of ['', 'connection: close\r\n', 'expect: 100-continue\r\n']) {
      const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
      const ended = new Promise(resolve => {
        socket.on('error', () => {}).once('close', resolve)
      })
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${1e12}\r\n${more}\r\n`)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      send(socket.resume())
      await ended
      t.match(answer.toString(), /^HTTP\/1.1 500/, `${JSON.stringify(options)} ${more}`)
    }
  }
})
