import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { buildTestApp, signer, testSecret } from '../support/app.js'
import { hmacToken, keyToken, unixTime, unsignedToken } from '../support/tokens.js'

const claims = { sub: 'user-1', organizationId: 'acme', role: 'OWNER' }

t.test('who may pass', async t => {
  const { app, as } = await buildTestApp(t)
  const ask = async (headers: Record<string, string>, url = '/api/backup/list') => await app.inject({ url, headers })

  const unauthorized: Array<[string, Record<string, string>]> = [
    ['no token', {}],
    ['another scheme', { authorization: 'Basic b3duZXI6c2VjcmV0' }],
    ['no token after the scheme', { authorization: 'Bearer ' }],
    ['garbage', { authorization: 'Bearer garbage' }],
    ['another secret', { authorization: `Bearer ${(await signer('another secret that is long enough'))(claims)}` }],
    ['alg none', { authorization: `Bearer ${unsignedToken(claims, { alg: 'none', typ: 'JWT' })}` }],
    [
      'alg HS512 over an HS256 signature',
      { authorization: `Bearer ${hmacToken(testSecret, claims, { alg: 'HS512' })}` }
    ],
    ['expired', as('OWNER', 'acme', { exp: unixTime() - 10 })],
    ['not valid yet', as('OWNER', 'acme', { nbf: unixTime() + 1000 })],
    ['a refresh token', as('OWNER', 'acme', { type: 'refresh' })],
    ['nobody', as('OWNER', 'acme', { sub: undefined, email: undefined })]
  ]
  for (const [name, headers] of unauthorized) {
    const response = await ask(headers)
    t.equal(response.statusCode, 401, name)
    t.match(
      response.json(),
      { statusCode: 401, error: 'Unauthorized', code: 'UNAUTHORIZED', message: String, remedy: /Bearer/ },
      name
    )
    t.equal(response.headers['www-authenticate'], 'Bearer', name)
  }
  t.match((await ask(as('OWNER', 'acme', { exp: unixTime() - 10 }))).json(), { reason: 'token-expired' })

  for (const role of ['MANAGER', 'MEMBER', 'VIEWER', 'owner', '']) {
    const response = await ask(as(role))
    t.equal(response.statusCode, 403, role)
    t.match(response.json(), { statusCode: 403, error: 'Forbidden', code: 'FORBIDDEN' }, role)
  }
  t.equal((await ask(as('OWNER', ''))).statusCode, 403, 'no organization')
  for (const id of ['../acme', 'a/b', 'backups', 'x'.repeat(65), 'é']) {
    const response = await ask(as('OWNER', id))
    t.equal(response.statusCode, 400, id)
    t.match(response.json(), { code: 'ORGANIZATION_ID_INVALID' }, id)
  }

  const numbered = (organizationId: unknown) => as('OWNER', 'acme', { organizationId })
  for (const id of [1.5, -0.5, 2 ** 53, 1e21, true, [42], { toString: 'acme' }]) {
    t.match(
      (await ask(numbered(id))).json(),
      { statusCode: 400, code: 'ORGANIZATION_ID_INVALID', reason: 'token-organization-id' },
      JSON.stringify(id)
    )
  }
  t.equal((await ask(numbered(42))).statusCode, 200, 'a whole number')

  t.equal((await ask(as())).statusCode, 200)
  t.equal((await ask({ authorization: `Bearer ${hmacToken(testSecret, claims)}` })).statusCode, 200)
  t.equal((await ask(as('OWNER', 'acme', { type: undefined, sub: undefined, userId: 42 }))).statusCode, 200)
})

t.test('an organization whose id is a number is that of the same digits', async t => {
  const { app, as } = await buildTestApp(t)
  const created = await app.inject({
    method: 'POST',
    url: '/api/backup/create',
    headers: as('OWNER', 'acme', { organizationId: 42 }),
    payload: { type: 'files' }
  })
  t.match(created.json(), { organizationId: '42' })
  const list = async (organizationId: unknown) =>
    (await app.inject({ url: '/api/backup/list', headers: as('OWNER', 'acme', { organizationId }) })).json<unknown[]>()
      .length
  t.equal(await list('42'), 1)
  t.equal(await list(42), 1)
  t.equal(await list(4), 0)
})

t.test('nothing under /api/backup answers without a token, not even what does not exist', async t => {
  const { app, as } = await buildTestApp(t)
  for (const url of ['/api/backup/nothing/here', '/api/backup/jobs', '/api/backup/restores', '/api/backup/x']) {
    t.equal((await app.inject({ url })).statusCode, 401, url)
    t.equal((await app.inject({ method: 'POST', url, payload: {} })).statusCode, 401, url)
  }
  const unknown = await app.inject({ url: '/api/backup/nothing/here', headers: as() })
  t.match(unknown.json(), { statusCode: 404, error: 'Not Found', code: 'NOT_FOUND' })
})

t.test('a public key verifies its own algorithm only', async t => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (const [alg, other, { publicKey, privateKey }] of [
    ['RS256', ec, rsa],
    ['ES256', rsa, ec]
  ] as const) {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const { app } = await buildTestApp(t, {
      env: { JWT_SECRET: '', JWT_PUBLIC_KEY: pem, BACKUP_SIGNING_KEY: testSecret }
    })
    const ask = async (token: string) =>
      (await app.inject({ url: '/api/backup/list', headers: { authorization: `Bearer ${token}` } })).statusCode
    t.equal(await ask(keyToken(privateKey, claims, { alg })), 200, alg)
    t.equal(
      await ask(keyToken(other.privateKey, claims, { alg: alg === 'RS256' ? 'ES256' : 'RS256' })),
      401,
      'another key'
    )
    t.equal(await ask(hmacToken(pem, claims)), 401, 'HS256 with the public key as its secret')
    t.equal(await ask(hmacToken(pem.trim(), claims)), 401, 'HS256 with the public key as its secret, trimmed')
    t.equal(await ask(hmacToken(testSecret, claims)), 401, 'HS256')
  }
})

t.test('with both keys each algorithm has its own', async t => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const { app } = await buildTestApp(t, { env: { JWT_PUBLIC_KEY: pem } })
  const ask = async (token: string) =>
    (await app.inject({ url: '/api/backup/list', headers: { authorization: `Bearer ${token}` } })).statusCode
  t.equal(await ask(hmacToken(testSecret, claims)), 200)
  t.equal(await ask(keyToken(privateKey, claims, { alg: 'ES256' })), 200)
  t.equal(await ask(hmacToken(pem, claims)), 401)
})
