import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { withSql } from '../src/database/connection/connection.js'
import { findPostgresTools } from '../src/database/postgres-tools.js'
import { createTestDatabase } from './support/postgres.js'
import { projectFile } from './support/project.js'

t.test('the user that the composed service has is not a superuser, and owns its database', async t => {
  const { connection, adminUrl, name, sql } = await createTestDatabase(t, { role: 'superuser' })
  const user = `${name}_app`
  const script = (await readFile(projectFile('docker/create-app.sql'), 'utf8')).replaceAll(/\bapp\b/g, user)
  const file = join(t.testdir({}), 'create-app.sql')
  await writeFile(file, script)
  const password = 'it\'s "one"'
  const [server] = await sql<
    Array<{ major: number }>
  >`SELECT current_setting('server_version_num')::int / 10000 AS major`
  const { psql } = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: server!.major })
  await execa(psql, ['-X', '-v', 'ON_ERROR_STOP=1', '--no-password', '-d', adminUrl, '-f', file], {
    env: { APP_PASSWORD: password }
  })
  await withSql({ ...connection, user, password, database: user }, {}, async sql => {
    const [role] = await sql`
      SELECT rolsuper, rolcreatedb, rolcreaterole, (SELECT datdba = r.oid FROM pg_database WHERE datname = current_database()) AS owns
      FROM pg_roles r WHERE rolname = current_user`
    t.same(role, { rolsuper: false, rolcreatedb: true, rolcreaterole: true, owns: true })
  })
})

t.test('the health check of the image tells readiness, without Node.js', async t => {
  let status = 200
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/health/ready' ? status : 404
    response.end('{}')
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const check = async () =>
    (
      await execa('/bin/bash', [projectFile('docker/healthcheck.sh')], {
        env: { PATH: '/nonexistent', PORT: String(port) },
        extendEnv: false,
        reject: false
      })
    ).exitCode
  t.equal(await check(), 0)
  status = 503
  t.equal(await check(), 1)
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  t.equal(await check(), 1)
})

t.test('the commands of docs/install.md keep the secrets over a second start', async t => {
  const [, section = ''] = (await readFile(projectFile('docs/install.md'), 'utf8')).split('\n## Containers\n')
  const commands = section.split('\n## ')[0]!.match(/^ {4}grep .*$/gm) ?? []
  t.equal(commands.length, 3)
  const folder = t.testdir({})
  const run = async () => {
    await execa('sh', ['-c', commands.join('\n')], { cwd: folder })
    return await readFile(join(folder, '.env'), 'utf8')
  }
  const first = await run()
  t.match(
    first,
    /^JWT_SECRET=[0-9a-f]{64}\nPOSTGRES_PASSWORD=[0-9a-f]{64}\nPOSTGRES_SUPERUSER_PASSWORD=[0-9a-f]{64}\n$/
  )
  t.equal(await run(), first)
  t.match(await readFile(projectFile('.gitignore'), 'utf8'), /^\.env$/m)
})
