import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { version } from '../src/config.js'
import { signer, testSecret } from './support/app.js'
import { createTestDatabase } from './support/postgres.js'
import { addressOf, startServer } from './support/server.js'

t.test('--help lists the variables', async t => {
  const child = startServer(t, {}, '--help')
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  t.match(child.output().stdout, /UPLOAD_DIR[\s\S]*JWT_SECRET_FILE|JWT_SECRET_FILE[\s\S]*UPLOAD_DIR/)
})

t.test('tells its version, and refuses arguments that it does not know', async t => {
  const run = async (...args: string[]) => {
    const child = startServer(t, {}, ...args)
    const [code] = await once(child, 'close')
    return { code, ...child.output() }
  }
  t.same(await run('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
  for (const [args, said] of [
    [['--prot=8080'], /Unknown argument "--prot".*Set the variable PORT\./],
    [['--help', 'start'], /Unknown argument "start"/],
    [['--jwt-secret=hunter2'], /Set the variable JWT_SECRET\./]
  ] as const) {
    const { code, stdout, stderr } = await run(...args)
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, said)
    t.match(stderr, /Usage: /)
    t.notMatch(stderr, /hunter2|8080/)
  }
})

t.test('a reader that has seen enough of --help is not a failure', async t => {
  const child = startServer(t, {}, '--help')
  child.stdout!.destroy()
  t.same(await once(child, 'close'), [0, null])
  t.equal(child.output().stderr, '')
})

t.test('a bad configuration stops the start with what to do, and no stack', async t => {
  const child = startServer(t, { PORT: 'http' })
  const [code] = await once(child, 'close')
  t.equal(code, 1)
  const { stdout, stderr } = child.output()
  t.equal(stdout, '')
  t.match(stderr, /PORT must be a port number from 0 to 65535, not "http"\./)
  t.notMatch(stderr, /^\s+at /m)
  const none = startServer(t, {})
  t.equal((await once(none, 'close'))[0], 1)
  t.match(none.output().stderr, /JWT_SECRET is not set: set it to/)
})

t.test('it serves until it is told to stop, and ends its job first', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY, name text)`
  await sql`INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, 20000) n`
  const folder = t.testdir({ uploads: {} })
  const child = startServer(t, {
    JWT_SECRET: testSecret,
    DATABASE_URL: url,
    DATABASE_SCOPE: 'instance',
    LOG_LEVLE: 'x',
    UPLOAD_DIR: join(folder, 'uploads'),
    BACKUP_DIR: join(folder, 'backups'),
    PORT: '0'
  })
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
  const [first, second] = child
    .output()
    .stdout.split('\n')
    .map(line => JSON.parse(line || '{}') as Record<string, unknown>)
  t.match(first, {
    msg: 'Starting',
    version,
    uploadDir: join(folder, 'uploads'),
    backupDir: join(folder, 'backups'),
    database: String,
    databaseScope: 'instance'
  })
  t.match(second, { level: 40, variable: 'LOG_LEVLE', meant: 'LOG_LEVEL' })
})

t.test("an address that it can't listen on ends it as a failure, which a supervisor sees", async t => {
  const folder = t.testdir({ uploads: {} })
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => {
    other.close()
  })
  await once(other, 'listening')
  for (const [HOST, PORT, reason] of [
    [
      '127.0.0.1',
      String((other.address() as AddressInfo).port),
      /The port is in use: stop the other process, or set PORT to a free one/
    ],
    // For documentation alone (RFC 5737), so no machine has it.
    ['192.0.2.1', '0', /The address does not belong to this machine: set HOST/]
  ] as const) {
    const child = startServer(t, {
      JWT_SECRET: testSecret,
      DATABASE_URL: 'postgresql://app@127.0.0.1:1/app',
      UPLOAD_DIR: join(folder, 'uploads'),
      HOST,
      PORT
    })
    t.same(await once(child, 'close'), [1, null])
    t.match(child.output().stdout, reason)
    t.notMatch(child.output().stdout, /unexpected/)
  }
})

t.test('a database that is down does not keep it from serving', async t => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'uploads'))
  const child = startServer(t, {
    JWT_SECRET: testSecret,
    DATABASE_URL: 'postgresql://app:hunter2@127.0.0.1:1/app',
    UPLOAD_DIR: join(folder, 'uploads'),
    PORT: '0'
  })
  const exit = once(child, 'exit')
  const address = await addressOf(child)
  const ready = await fetch(`${address}/health/ready`)
  t.equal(ready.status, 503)
  t.match(await ready.json(), { code: 'DATABASE_UNAVAILABLE', remedy: String })
  const headers = {
    authorization: `Bearer ${(await signer(testSecret))({ sub: 'u', organizationId: 'acme', role: 'OWNER' })}`
  }
  t.match(await (await fetch(`${address}/api/backup/create`, { method: 'POST', headers })).json(), {
    statusCode: 503,
    code: 'DATABASE_UNAVAILABLE'
  })
  t.same(await (await fetch(`${address}/api/backup/list`, { headers })).json(), [])
  child.kill('SIGINT')
  t.same(await exit, [0, null])
  t.match(child.output().stdout, /Not ready, and trying again until it is: /)
  t.notMatch(child.output().stdout, /hunter2/)
  t.notMatch(child.output().stdout, /\.: /, 'the error behind one stands by itself')
})

t.test('of two services on one BACKUP_DIR the second waits for the first to end, and takes over', async t => {
  const { url } = await createTestDatabase(t)
  const folder = t.testdir({ uploads: { acme: { 'a.txt': 'a' } } })
  const env = {
    JWT_SECRET: testSecret,
    DATABASE_URL: url,
    UPLOAD_DIR: join(folder, 'uploads'),
    BACKUP_DIR: join(folder, 'backups'),
    PORT: '0'
  }
  const headers = {
    authorization: `Bearer ${(await signer(testSecret))({ sub: 'u', organizationId: 'acme', role: 'OWNER' })}`,
    'content-type': 'application/json'
  }
  const create = async (address: string) =>
    await fetch(`${address}/api/backup/create`, { method: 'POST', headers, body: '{"type":"files"}' })
  const readiness = async (address: string) => await fetch(`${address}/health/ready`)

  const first = startServer(t, env)
  const firstEnded = once(first, 'exit')
  const firstAddress = await addressOf(first)
  const second = startServer(t, env)
  const secondEnded = once(second, 'exit')
  const secondAddress = await addressOf(second)

  t.equal((await readiness(firstAddress)).status, 200)
  const refused = await readiness(secondAddress)
  t.equal(refused.status, 503)
  t.match(await refused.json(), {
    statusCode: 503,
    code: 'CONFIG_INVALID',
    message: `Another service runs on BACKUP_DIR (process ${first.pid} on the host ${hostname()}).`,
    remedy: /Stop the other service/
  })
  t.equal((await create(secondAddress)).status, 503, 'it starts no job')
  t.equal((await create(firstAddress)).status, 201)
  t.equal((await fetch(`${secondAddress}/health/live`)).status, 200)

  // Without a word, as the kernel's out-of-memory killer would.
  first.kill('SIGKILL')
  await firstEnded
  while ((await readiness(secondAddress)).status !== 200) await new Promise(resolve => setTimeout(resolve, 50))
  t.equal((await create(secondAddress)).status, 201)
  t.equal(
    ((await (await fetch(`${secondAddress}/api/backup/list`, { headers })).json()) as unknown[]).length,
    2,
    'what the first made is there'
  )
  second.kill('SIGTERM')
  t.same(await secondEnded, [0, null])
  const told = second
    .output()
    .stdout.split('\n')
    .filter(line => /Not ready.*Another service runs/.test(line))
  t.equal(told.length, 1, 'the log is told once')
  t.notMatch(told[0], /stack/)
})
