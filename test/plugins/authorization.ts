import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import type { Backup } from '../../src/repository/record.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { buildTestApp, testSecret, type TestApp } from '../support/app.js'
import { fillPath, readOperations, type Operation } from '../support/operations.js'
import { hmacToken, keyToken, unixTime, unsignedToken } from '../support/tokens.js'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const owner = { type: 'access', sub: 'user-1', email: 'olivia@example.com', organizationId: 'acme', role: 'OWNER' }

/** Every wrong hand: what it shows, and the status that must answer it. */
function wrongHands(): Array<{ name: string; status: number; authorization?: string; query?: string }> {
  const bearer = (status: number, tokens: Record<string, string>) =>
    Object.entries(tokens).map(([name, token]) => ({ name, status, authorization: `Bearer ${token}` }))
  const claiming = (status: number, claims: Record<string, object>) =>
    bearer(
      status,
      Object.fromEntries(
        Object.entries(claims).map(([name, change]) => [name, hmacToken(testSecret, { ...owner, ...change })])
      )
    )
  const good = hmacToken(testSecret, owner)
  const [header, payload, signature] = good.split('.') as [string, string, string]
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' })

  return [
    { name: 'no token', status: 401 },
    { name: 'another scheme', status: 401, authorization: `Basic ${good}` },
    { name: 'no scheme', status: 401, authorization: good },
    { name: 'a token in the query', status: 401, query: `token=${good}&access_token=${good}&jwt=${good}` },
    { name: 'two tokens', status: 401, authorization: `Bearer ${good}, Bearer ${good}` },
    ...bearer(401, {
      'malformed: nothing': '',
      'malformed: garbage': 'garbage',
      'malformed: three dots': '...',
      'malformed: two parts': `${header}.${payload}`,
      'malformed: four parts': `${good}.${signature}`,
      'malformed: header is no JSON': `AAAA.${payload}.${signature}`,
      'malformed: payload is null': unsignedToken(null, { alg: 'HS256' }, signature),
      'malformed: very long': 'a'.repeat(6000),
      'signature of another payload': `${header}.${Buffer.from(JSON.stringify({ ...owner, organizationId: 'globex' })).toString('base64url')}.${signature}`,
      'signature cut off': `${header}.${payload}.`,
      'signature shortened': good.slice(0, -3),
      'alg none': unsignedToken(owner, { alg: 'none', typ: 'JWT' }),
      'alg none, with a signature': unsignedToken(owner, { alg: 'none', typ: 'JWT' }, signature),
      'alg NoNe': unsignedToken(owner, { alg: 'NoNe', typ: 'JWT' }),
      'no alg': unsignedToken(owner, { typ: 'JWT' }, signature),
      'alg is a list': unsignedToken(owner, { alg: ['HS256'], typ: 'JWT' }, signature),
      'alg __proto__': unsignedToken(owner, { alg: '__proto__', typ: 'JWT' }, signature),
      'HS256 with the public key as the secret': hmacToken(pem, owner),
      'HS256 with the public key, trimmed': hmacToken(pem.trim(), owner),
      'HS256 with the public key, DER': hmacToken(der, owner),
      'HS256 with the public key, base64': hmacToken(der.toString('base64'), owner),
      'RS256 over an HMAC with the public key': hmacToken(pem, owner, { alg: 'RS256' }),
      'RS256 over an HMAC with the secret': hmacToken(testSecret, owner, { alg: 'RS256' }),
      'HS384 with the right secret': hmacToken(testSecret, owner, { alg: 'HS384' }),
      'HS512 with the right secret': hmacToken(testSecret, owner, { alg: 'HS512' }),
      'HS256 with another secret': hmacToken('another secret that is long enough', owner),
      'HS256 with an empty secret': hmacToken('', owner),
      'RS256 with another key': keyToken(stranger.privateKey, owner, { alg: 'RS256' }),
      'RS256 with another key, in its own header': keyToken(stranger.privateKey, owner, {
        alg: 'RS256',
        jwk: stranger.publicKey.export({ format: 'jwk' })
      } as { alg: string }),
      'RS256 with another key, at an address': keyToken(stranger.privateKey, owner, {
        alg: 'RS256',
        jku: 'http://127.0.0.1:1/',
        kid: '/dev/null'
      } as { alg: string }),
      'ES256, which is not configured': keyToken(curve.privateKey, owner, { alg: 'ES256' })
    }),
    ...claiming(401, {
      expired: { exp: unixTime() - 10 },
      'expired long ago': { exp: 0 },
      'expiry is no number': { exp: 'never' },
      'not yet valid': { nbf: unixTime() + 1000 },
      'a refresh token': { type: 'refresh' },
      'a token of no known kind': { type: null },
      nobody: { sub: undefined, email: undefined }
    }),
    ...claiming(403, {
      MANAGER: { role: 'MANAGER' },
      MEMBER: { role: 'MEMBER' },
      VIEWER: { role: 'VIEWER' },
      'owner in small letters': { role: 'owner' },
      'OWNER with a space': { role: 'OWNER ' },
      'a list with OWNER': { role: ['OWNER'] },
      'roles instead of role': { role: undefined, roles: ['OWNER'] },
      'no role': { role: undefined },
      'no organization claim': { organizationId: undefined },
      'an empty organization': { organizationId: '' },
      'organization null': { organizationId: null }
    }),
    ...claiming(400, {
      'a list of organizations': { organizationId: ['acme'] },
      'an organization that is an object': { organizationId: { toString: 'acme' } },
      'an organization above': { organizationId: '../acme' },
      'every organization': { organizationId: '*' },
      'a reserved name': { organizationId: 'backups' }
    }),
    {
      name: 'RS256 of a MEMBER',
      status: 403,
      authorization: `Bearer ${keyToken(rsa.privateKey, { ...owner, role: 'MEMBER' }, { alg: 'RS256' })}`
    }
  ]
}

/** acme has one of everything, which globex must not see. */
async function setUp(
  t: Parameters<typeof buildTestApp>[0]
): Promise<TestApp & { operations: Operation[]; ids: Record<string, string> }> {
  const parts = await buildTestApp(t, { env: { JWT_PUBLIC_KEY: pem } })
  const { app, as, uploadDir } = parts
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'secret.txt'), 'of acme')
  const post = async <Answer>(url: string, payload: object): Promise<Answer> =>
    (await app.inject({ method: 'POST', url, headers: as(), payload })).json<Answer>()
  const backup = await post<Backup>('/api/backup/create', { type: 'files' })
  const { restoreId } = await post<RestoreResult>(`/api/backup/restore/${backup.id}`, {})
  const [job] = (await app.inject({ url: '/api/backup/jobs', headers: as() })).json<Job[]>()
  return {
    ...parts,
    operations: (await readOperations(app)).operations,
    ids: { backupId: backup.id, restoreId, jobId: job!.id, organizationId: 'acme' }
  }
}

/** A request as the operation wants it; `change` adds fields to a body. */
function requestFor({ method, path, requestBody }: Operation, ids: Record<string, string>, change: object = {}) {
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? []
  const isJson = type === 'application/json'
  const example = content?.schema.examples?.[0] as object | undefined
  return {
    method,
    url: fillPath(path, ids),
    headers: { prefer: 'wait', ...(type === undefined ? {} : { 'content-type': type }) },
    ...(type === undefined ? {} : { payload: isJson ? JSON.stringify({ ...example, ...change }) : 'not an archive' })
  }
}

async function everythingOf(
  app: FastifyInstance,
  headers: { authorization: string },
  folders: string[]
): Promise<object> {
  const answers = await Promise.all(
    ['list', 'jobs', 'restores'].map(async name =>
      (await app.inject({ url: `/api/backup/${name}`, headers })).json<unknown>()
    )
  )
  return [answers, await Promise.all(folders.map(async folder => (await readdir(folder, { recursive: true })).sort()))]
}

t.test('only an OWNER passes, whatever the operation', async t => {
  const { app, as, operations, ids, uploadDir, backupDir } = await setUp(t)
  const before = await everythingOf(app, as(), [uploadDir, backupDir])
  const hands = wrongHands()
  let cells = 0
  for (const operation of operations) {
    const request = requestFor(operation, ids)
    const methods = operation.method === 'GET' ? (['GET', 'HEAD'] as const) : [operation.method]
    for (const method of methods) {
      for (const { name, status, authorization, query } of hands) {
        const headers = { ...request.headers, ...(authorization === undefined ? {} : { authorization }) }
        const answer = await app.inject({
          ...request,
          method,
          headers,
          ...(query === undefined ? {} : { url: `${request.url}?${query}` })
        })
        cells += 1
        const [asked, cell] = [`${method} ${operation.path}`, `${operation.operationId} (${method}), ${name}`]
        if (operation.isPublic) {
          if ([401, 403].includes(answer.statusCode))
            t.fail(`${cell}: ${asked} is public, and answers ${answer.statusCode}`)
        } else if (
          answer.statusCode !== status ||
          (method !== 'HEAD' && answer.json<{ statusCode: number }>().statusCode !== status)
        ) {
          t.fail(`${cell}: ${asked} answers ${answer.statusCode} and not ${status}`)
        }
      }
    }
  }
  t.same(await everythingOf(app, as(), [uploadDir, backupDir]), before, 'nothing has happened')
  t.ok(operations.length > 15 && hands.length > 50)
  t.comment(
    `${cells} cells tried: ${operations.length} operations (and HEAD of each GET), ${hands.length} wrong hands each`
  )
})

t.test("another organization's things are as unknown as what was never there", async t => {
  const { app, as, operations, ids, uploadDir, backupDir } = await setUp(t)
  const owned = [uploadDir, backupDir].map(folder => join(folder, 'acme'))
  const before = await everythingOf(app, as(), owned)
  const nothing = Object.fromEntries(
    Object.keys(ids).map(name => [name, name === 'organizationId' ? 'initech' : randomUUID()])
  )
  const own = Object.values(ids).join('|')
  let cells = 0
  for (const operation of operations.filter(({ isPublic }) => !isPublic)) {
    const name = operation.operationId
    const ask = async (values: Record<string, string>, { change = {}, query = '', extra = {} } = {}) => {
      cells += 1
      const request = requestFor(operation, values, change)
      return await app.inject({
        ...request,
        url: `${request.url}${query}`,
        headers: { ...request.headers, ...as('OWNER', 'globex'), ...extra }
      })
    }
    const inPath = await ask(ids)
    const unknown = await ask(nothing)
    t.equal(inPath.statusCode, unknown.statusCode, `${name}: its ids in the path`)
    if (operation.path.includes('{')) {
      const masked = (body: string): string => body.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'id')
      t.equal(inPath.statusCode, 404, `${name}: its ids in the path are not found`)
      t.equal(masked(inPath.body), masked(unknown.body), `${name}: in the same words`)
    } else {
      t.notMatch(inPath.body, new RegExp(own), `${name}: nothing of it is told`)
    }
    if (operation.requestBody?.content['application/json'] !== undefined) {
      for (const field of ['organizationId', 'organization', 'createdBy', '__proto__']) {
        const body = await ask(ids, { change: JSON.parse(`{"${field}": "acme"}`) as object })
        t.ok([400, 404].includes(body.statusCode), `${name}: ${field} in the body is refused`)
      }
    }
    for (const asked of [
      { query: '?organizationId=acme' },
      { query: '?organizationId=acme&organizationId=globex' },
      { extra: { 'x-organization-id': 'acme' } }
    ]) {
      const answer = await ask(ids, asked)
      t.notMatch(
        answer.body.replaceAll(operation.path.includes('{') ? new RegExp(own, 'g') : '', ''),
        /acme/,
        `${name}: ${JSON.stringify(asked)} makes no difference`
      )
    }
  }
  t.same(await everythingOf(app, as(), owned), before, 'nothing of it has changed')
  t.comment(`${cells} cells tried with another organization's OWNER`)
})

t.test('the OWNER of the organization passes', async t => {
  const { app, operations, ids } = await setUp(t)
  const tokens = { HS256: hmacToken(testSecret, owner), RS256: keyToken(rsa.privateKey, owner, { alg: 'RS256' }) }
  // What deletes comes last, and finds its target there the first time.
  const inOrder = [
    ...operations.filter(({ method }) => method !== 'DELETE'),
    ...operations.filter(({ method }) => method === 'DELETE')
  ]
  for (const [alg, token] of Object.entries(tokens)) {
    for (const operation of inOrder) {
      const request = requestFor(operation, ids)
      const { statusCode } = await app.inject({
        ...request,
        headers: { ...request.headers, authorization: `Bearer ${token}` }
      })
      const gone = alg === 'RS256' && operation.path.includes('{backupId}')
      t.ok(gone || ![401, 403, 404].includes(statusCode), `${operation.operationId}, ${alg}: ${statusCode}`)
    }
  }
})

t.test('every route is an operation, or belongs to the documentation page', async t => {
  const { app, operations } = await setUp(t)
  const known = new Set(operations.map(({ method, path }) => `${method} ${path.replaceAll(/\{([^}]+)\}/g, ':$1')}`))
  const routes = routesOf(app.printRoutes({ commonPrefix: false }))
  const others = routes.filter(
    route => !known.has(route) && !route.startsWith('HEAD ') && !/^GET \/(docs(\/.*)?|favicon\.ico)?$/.test(route)
  )
  t.same(
    [...known].filter(route => !routes.includes(route)),
    [],
    'the tree is read as it is meant'
  )
  t.same(others, [])
})

/** `GET /path` for each line of Fastify's tree of routes, in which a line is indented by four characters a level. */
function routesOf(tree: string): string[] {
  const parts: string[] = []
  return tree.split('\n').flatMap(line => {
    const [, indent = '', part = '', methods] = /^([│ ]*)[├└]── (\S*)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    if (part === '') return []
    parts.splice(indent.length / 4, Infinity, part)
    return methods === undefined
      ? []
      : methods.split(', ').map(method => `${method} ${parts.join('').replace(/^\/+/, '/')}`)
  })
}
