import { execFileSync } from 'node:child_process'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { withSql } from '../../src/database/connection/connection.js'
import { createExternalDatabase } from '../../src/database/external.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { parseConnectionUrl, toEnvironment } from '../../src/database/connection/connection.js'
import { unprivilegedUser } from '../../src/database/embedded/unprivileged-user.js'
import { freePort } from '../../src/io/free-port.js'
import { runProgram } from '../../src/io/process.js'
import { createTestDatabase, startCluster, urlOf } from '../support/postgres.js'

t.test('starts when the database answers', async t => {
  const { url, name } = await createTestDatabase(t)
  const database = createExternalDatabase({ url })
  t.match(database, { kind: 'external', dataDirectory: null })
  await database.start()
  await database.start()
  t.equal(database.connection().database, name)
  await database.stop()
})

t.test("says why it can't be reached", async t => {
  const { connection } = await createTestDatabase(t)
  const start = async (changes: object): Promise<void> =>
    await createExternalDatabase({ url: urlOf({ ...connection, ...changes }) }).start()
  await t.rejects(start({ password: 's3cret' }), { code: 'DATABASE_UNAVAILABLE', remedy: /password/ })
  await t.rejects(start({ database: 'nowhere' }), { code: 'DATABASE_UNAVAILABLE', reason: 'no-such-database' })
  await t.rejects(start({ port: await freePort() }), { code: 'DATABASE_UNAVAILABLE', reason: 'connection-refused' })
  await t.rejects(start({ host: '/nowhere' }), { code: 'DATABASE_UNAVAILABLE' })
  t.throws(() => createExternalDatabase({ url: 'nonsense' }), { code: 'CONFIG_INVALID' })
})

t.test('comes back when PostgreSQL does', async t => {
  const cluster = await startCluster(t)
  const database = createExternalDatabase({ url: urlOf(cluster.connection) })
  await cluster.stop()
  await t.rejects(database.start(), { code: 'DATABASE_UNAVAILABLE' })
  await cluster.start()
  await database.start()
  cluster.kill()
  await cluster.start()
  await database.start()
})

t.test('by socket, driver and tools alike', async t => {
  const cluster = await startCluster(t)
  const { password, port, folder } = cluster.files
  const connection = parseConnectionUrl(
    `postgres:///postgres?host=${encodeURIComponent(folder)}&port=${port}&user=postgres&password=${password}`
  )
  const [row] = await withSql(connection, {}, async sql => await sql`SELECT inet_server_addr() AS address`)
  t.equal(row?.address, null)
  const { psql } = await findPostgresTools({ serverMajor: 12 })
  t.equal(await runProgram(psql, ['-XAtc', 'SELECT 1'], { env: toEnvironment(connection) }), '1')
})

t.test('sslmode means what it means to libpq', { skip: hasOpenssl() ? false : 'no openssl' }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'dab-tls-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost'
    ],
    { stdio: 'ignore' }
  )
  const user = await unprivilegedUser()
  if (user !== null) for (const path of [folder, key, cert]) await chown(path, user.uid, user.gid)
  const encrypted = await startCluster(t, { settings: { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key } })
  const plain = await startCluster(t)

  const { psql } = await findPostgresTools({ serverMajor: 12 })
  // host, parameters, expected with TLS on the server, expected without
  const cases: Array<[string, string, string, string]> = [
    ['localhost', '', 'encrypted', 'plain'],
    ['localhost', 'sslmode=disable', 'plain', 'plain'],
    ['localhost', 'sslmode=prefer', 'encrypted', 'plain'],
    ['localhost', 'sslmode=require', 'encrypted', 'refused'],
    ['localhost', `sslmode=verify-ca&sslrootcert=${cert}`, 'encrypted', 'refused'],
    ['localhost', `sslmode=verify-full&sslrootcert=${cert}`, 'encrypted', 'refused'],
    ['127.0.0.1', `sslmode=verify-ca&sslrootcert=${cert}`, 'encrypted', 'refused'],
    ['127.0.0.1', `sslmode=verify-full&sslrootcert=${cert}`, 'refused', 'refused'],
    ['localhost', `sslmode=verify-full&sslrootcert=${await otherCertificate(folder)}`, 'refused', 'refused'],
    ['localhost', `sslmode=require&sslrootcert=${await otherCertificate(folder)}`, 'refused', 'refused']
  ]
  const query =
    "SELECT CASE WHEN ssl THEN 'encrypted' ELSE 'plain' END AS is FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
  for (const [host, parameters, withTls, without] of cases) {
    for (const [cluster, expected] of [
      [encrypted, withTls],
      [plain, without]
    ] as const) {
      const connection = parseConnectionUrl(`${urlOf({ ...cluster.connection, host })}?${parameters}`)
      const driver = await withSql(connection, {}, async sql => (await sql.unsafe(query))[0]?.is).catch(() => 'refused')
      const tool = await runProgram(psql, ['-XAtc', query], { env: toEnvironment(connection) }).catch(() => 'refused')
      t.strictSame({ driver, tool }, { driver: expected, tool: expected }, `${host} ${parameters} ${expected}`)
    }
  }
  const url = `${urlOf({ ...encrypted.connection, host: '127.0.0.1' })}?sslmode=verify-full&sslrootcert=${cert}`
  await t.rejects(createExternalDatabase({ url }).start(), {
    code: 'DATABASE_UNAVAILABLE',
    reason: 'no-trusted-encryption'
  })
  const missing = `${urlOf(encrypted.connection)}?sslmode=verify-full&sslrootcert=/nowhere.pem`
  await t.rejects(createExternalDatabase({ url: missing }).start(), {
    code: 'CONFIG_INVALID',
    reason: 'tls-file-unreadable'
  })
})

async function otherCertificate(folder: string): Promise<string> {
  const file = join(folder, 'other.pem')
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      join(folder, 'other.key'),
      '-out',
      file,
      '-days',
      '2',
      '-subj',
      '/CN=other'
    ],
    { stdio: 'ignore' }
  )
  return file
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
