import { connect } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { statusOf } from '../../plugins/error-status.js'
import { errorCatalogue } from '../../src/errors.js'
import { buildTestApp } from '../support/app.js'

t.test('every code has a status', async t => {
  t.same(Object.keys(statusOf).sort(), Object.keys(errorCatalogue).sort())
})

t.test('what the framework refuses has the same shape', async t => {
  const { app, as } = await buildTestApp(t)
  const url = '/api/backup/create'
  const json = { ...as(), 'content-type': 'application/json' }
  const cases = [
    {
      name: 'malformed JSON',
      request: { method: 'POST', url, headers: json, payload: '{"type":' },
      status: 400,
      code: 'BAD_REQUEST'
    },
    {
      name: 'prototype poisoning',
      request: { method: 'POST', url, headers: json, payload: '{"__proto__": {"type": "full"}}' },
      status: 400,
      code: 'BAD_REQUEST'
    },
    {
      name: 'too large',
      request: { method: 'POST', url, headers: json, payload: JSON.stringify({ description: 'x'.repeat(70_000) }) },
      status: 413,
      code: 'PAYLOAD_TOO_LARGE'
    },
    {
      name: 'a form',
      request: {
        method: 'POST',
        url,
        headers: { ...as(), 'content-type': 'application/x-www-form-urlencoded' },
        payload: 'type=full'
      },
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE'
    },
    {
      name: 'text',
      request: { method: 'POST', url, headers: { ...as(), 'content-type': 'text/plain' }, payload: '{}' },
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE'
    },
    {
      name: 'an unknown address',
      request: { method: 'GET', url: '/nothing?token=secret' },
      status: 404,
      code: 'NOT_FOUND'
    },
    {
      name: "an address that can't be decoded",
      request: { method: 'GET', url: '/health/%zz' },
      status: 400,
      code: 'BAD_REQUEST'
    }
  ] as const
  for (const { name, request, status, code } of cases) {
    const response = await app.inject(request)
    t.equal(response.statusCode, status, name)
    t.match(response.json(), { statusCode: status, error: String, code, message: String, remedy: String }, name)
    t.match(response.headers['content-type'], /^application\/json/, name)
    t.notMatch(response.body, /token=secret/)
  }
})

t.test('an address that is there tells its methods', async t => {
  const { app, as } = await buildTestApp(t)
  const id = '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54'
  const cases = [
    ['GET', `/api/backup/restore/${id}?x=1`, 'POST'],
    ['PUT', `/api/backup/${id}`, 'DELETE, GET, HEAD'],
    ['POST', '/api/backup/list', 'DELETE, GET, HEAD'],
    ['DELETE', '/health/ready', 'GET, HEAD']
  ] as const
  for (const [method, url, allow] of cases) {
    const response = await app.inject({ method, url, headers: as() })
    t.equal(response.statusCode, 405, `${method} ${url}`)
    t.equal(response.headers.allow, allow, `${method} ${url}`)
    t.match(response.json(), { statusCode: 405, error: 'Method Not Allowed', code: 'METHOD_NOT_ALLOWED' })
  }
  t.equal(
    (await app.inject({ method: 'PUT', url: `/api/backup/${id}` })).statusCode,
    401,
    'nobody is told without a token'
  )
  t.equal((await app.inject({ method: 'POST', url: '/api/backupx', headers: as() })).statusCode, 404)
})

t.test('what is unexpected is logged and not told', async t => {
  const lines: string[] = []
  const log = pino(
    { level: 'info' },
    new Writable({
      write(line: Buffer, _encoding, callback) {
        lines.push(line.toString())
        callback()
      }
    })
  )
  const { app, core, as } = await buildTestApp(t, { log })
  core.catalog.list = async () => {
    throw new Error('secret detail')
  }
  const response = await app.inject({ url: '/api/backup/list', headers: as() })
  t.equal(response.statusCode, 500)
  t.match(response.json(), { statusCode: 500, error: 'Internal Server Error', code: 'INTERNAL_ERROR' })
  t.notMatch(response.body, /secret detail/)
  const id = response.headers['x-request-id']
  t.ok(
    lines.some(line => line.includes('secret detail') && line.includes(String(id))),
    'the log has the cause under the request id'
  )
  t.notOk(
    lines.some(line => line.includes(as().authorization.slice(-20))),
    'the log has no token'
  )
})

t.test('too many requests, by user', async t => {
  const { app, as } = await buildTestApp(t, { env: { RATE_LIMIT: '2' } })
  const ask = async (headers: Record<string, string>) => await app.inject({ url: '/api/backup/list', headers })
  t.equal((await ask(as())).statusCode, 200)
  t.equal((await ask(as())).statusCode, 200)
  const refused = await ask(as())
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { statusCode: 429, error: 'Too Many Requests', code: 'RATE_LIMITED' })
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal((await ask(as('OWNER', 'acme', { sub: 'user-2' }))).statusCode, 200, 'another user')
  t.equal((await ask(as('OWNER', 'other'))).statusCode, 200, 'another organization')
  t.equal((await ask({})).statusCode, 401)
  t.equal((await ask({})).statusCode, 401)
  t.equal((await ask({})).statusCode, 429, 'without a token, by address')
  for (let i = 0; i < 5; i++) t.equal((await app.inject({ url: '/health/live' })).statusCode, 200)
})

t.test('answers carry security headers', async t => {
  const { app } = await buildTestApp(t)
  const { headers } = await app.inject({ url: '/health/live' })
  t.match(headers, { 'x-content-type-options': 'nosniff', 'content-security-policy': /default-src 'self'/ })
})

t.test('a request that is no HTTP does no harm', async t => {
  const { app } = await buildTestApp(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('nonsense\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 400/)
  socket.destroy()
  t.equal((await app.inject({ url: '/health/live' })).statusCode, 200)
})
