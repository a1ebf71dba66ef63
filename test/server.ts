import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { signer, testSecret } from './support/app.js'
import { createTestDatabase } from './support/postgres.js'

const server = fileURLToPath(new URL('../src/server.ts', import.meta.url))

function start (t: Test, env: NodeJS.ProcessEnv, ...args: string[]): ChildProcess & { output: () => { stdout: string, stderr: string } } {
  const child = spawn(process.execPath, ['--import', './scripts/typescript.mjs', server, ...args], { env: { PATH: process.env.PATH, ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString() })
  t.teardown(() => { child.kill('SIGKILL') })
  return Object.assign(child, { output: () => ({ stdout, stderr }) })
}

/** The address that the service says it listens at. */
async function addressOf (child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new TypeError('no output')
  for await (const line of createInterface({ input: child.stdout })) {
    const [, address] = /Server listening at (http:[^"]+)/.exec(line) ?? []
    if (address !== undefined) return address
  }
  throw new Error('the service ended')
}

t.test('--help lists the variables', async t => {
  const child = start(t, {}, '--help')
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  t.match(child.output().stdout, /UPLOAD_DIR[\s\S]*JWT_SECRET_FILE|JWT_SECRET_FILE[\s\S]*UPLOAD_DIR/)
})

t.test('a bad configuration stops the start with what to do, and no stack', async t => {
  const child = start(t, { PORT: 'http' })
  const [code] = await once(child, 'close')
  t.equal(code, 1)
  const { stdout, stderr } = child.output()
  t.equal(stdout, '')
  t.match(stderr, /PORT must be a port number from 0 to 65535, not "http"\./)
  t.notMatch(stderr, /^\s+at /m)
  const none = start(t, {})
  t.equal((await once(none, 'close'))[0], 1)
  t.match(none.output().stderr, /JWT_SECRET is not set: set it to/)
})

t.test('it serves until it is told to stop, and ends its job first', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY, name text)`
  await sql`INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, 20000) n`
  const folder = t.testdir({ uploads: {} })
  const child = start(t, { JWT_SECRET: testSecret, DATABASE_URL: url, UPLOAD_DIR: join(folder, 'uploads'), BACKUP_DIR: join(folder, 'backups'), PORT: '0' })
  const exit = once(child, 'exit')
  const address = await addressOf(child)
  t.equal((await fetch(`${address}/health/ready`)).status, 200)

  const token = (await signer(testSecret))({ sub: 'u', organizationId: 'acme', role: 'OWNER' })
  const headers = { authorization: `Bearer ${token}`, prefer: 'respond-async' }
  const job = await fetch(`${address}/api/backup/create`, { method: 'POST', headers })
  t.equal(job.status, 202)
  const events = await fetch(`${address}${job.headers.get('location')}/events`, { headers })
  child.kill('SIGTERM')
  t.match(await events.text(), /event: result\ndata: .*"state":"succeeded"/)
  t.same(await exit, [0, null])
  t.notMatch(child.output().stdout, token)
})

t.test('a database that is down does not keep it from serving', async t => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'uploads'))
  const child = start(t, {
    JWT_SECRET: testSecret, DATABASE_URL: 'postgresql://app:hunter2@127.0.0.1:1/app', UPLOAD_DIR: join(folder, 'uploads'), PORT: '0'
  })
  const exit = once(child, 'exit')
  const address = await addressOf(child)
  const ready = await fetch(`${address}/health/ready`)
  t.equal(ready.status, 503)
  t.match(await ready.json(), { code: 'DATABASE_UNAVAILABLE', remedy: String })
  const headers = { authorization: `Bearer ${(await signer(testSecret))({ sub: 'u', organizationId: 'acme', role: 'OWNER' })}` }
  t.match(await (await fetch(`${address}/api/backup/create`, { method: 'POST', headers })).json(), { statusCode: 503, code: 'DATABASE_UNAVAILABLE' })
  t.same(await (await fetch(`${address}/api/backup/list`, { headers })).json(), [])
  child.kill('SIGINT')
  t.same(await exit, [0, null])
  t.match(child.output().stdout, /not ready: /)
  t.notMatch(child.output().stdout, /hunter2/)
})
