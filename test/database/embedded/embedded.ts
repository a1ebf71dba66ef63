import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import type { Test } from 'tap'
import { withSql } from '../../../src/database/connection/connection.js'
import { createEmbeddedDatabase } from '../../../src/database/embedded/embedded.js'
import { findPostmaster, stopPostmaster } from '../../../src/database/embedded/postmaster.js'
import type { DatabaseStrategy } from '../../../src/database/strategy.js'
import { takeLock } from '../../../src/io/lock.js'
import { compiled } from '../../support/project.js'

interface Embedded {
  directory: string
  data: string
  logged: string[]
  open(): DatabaseStrategy
  /** Resolves when the log matches. */
  awaitLog(pattern: RegExp): Promise<void>
}

async function setUp(t: Test, name = 'pg'): Promise<Embedded> {
  const parent = await mkdtemp(join(tmpdir(), 'dab-embedded-'))
  await chmod(parent, 0o755)
  const directory = join(parent, name)
  const data = join(directory, 'data')
  const logged: string[] = []
  const lines = new EventEmitter()
  const write = (...args: unknown[]): void => {
    logged.push(JSON.stringify(args))
    lines.emit('line')
  }
  const awaitLog = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(logged.join('\n'))) await once(lines, 'line')
  }
  const log = { debug: write, info: write, warn: write, error: write }
  t.teardown(async () => {
    const left = await findPostmaster(data)
    if (left !== null) await stopPostmaster(data, left.pid, 'immediate')
    await rm(parent, { recursive: true, force: true })
  })
  return {
    directory,
    data,
    logged,
    awaitLog,
    open: () => createEmbeddedDatabase({ directory, binDir: process.env.PG_BIN_DIR ?? null, log, superviseMs: 50 })
  }
}

async function pidOf(data: string): Promise<number> {
  return (await findPostmaster(data))?.pid ?? 0
}

async function notes(database: DatabaseStrategy): Promise<string[]> {
  return await withSql(database.connection(), {}, async sql =>
    (await sql`SELECT text FROM notes ORDER BY 1`).map(row => row.text)
  )
}

async function note(database: DatabaseStrategy, text: string): Promise<void> {
  await withSql(database.connection(), {}, async sql => {
    await sql`CREATE TABLE IF NOT EXISTS notes (text text)`
    await sql`INSERT INTO notes VALUES (${text})`
  })
}

t.test('first start makes a private cluster; a restart keeps data and port; stop leaves no process', async t => {
  const { directory, data, logged, open } = await setUp(t)
  const database = open()
  t.throws(() => database.connection(), { code: 'DATABASE_UNAVAILABLE' })
  await database.start()
  await database.start()
  t.equal(database.dataDirectory, data)
  await note(database, 'kept')

  const credentials = JSON.parse(await readFile(join(directory, 'credentials.json'), 'utf8'))
  t.equal((await stat(join(directory, 'credentials.json'))).mode & 0o777, 0o600)
  t.notMatch(logged.join(), credentials.password)
  t.notMatch(logged.join(), credentials.superuser.password)
  t.match(logged.join(), `"port":${credentials.port}`)
  t.strictSame((await readdir(directory)).sort(), ['credentials.json', 'data', 'postgres.log', 'run', 'service.lock'])

  await withSql({ ...credentials, parameters: {} }, {}, async sql => {
    const [row] = await sql`
      SELECT rolsuper, rolcreatedb, rolcreaterole, current_setting('data_checksums') AS checksums, current_setting('fsync') AS fsync,
        current_setting('listen_addresses') AS listen, current_setting('server_encoding') AS encoding,
        (SELECT datdba = r.oid FROM pg_database WHERE datname = current_database()) AS owns
      FROM pg_roles r WHERE rolname = current_user`
    t.same(row, {
      rolsuper: false,
      rolcreatedb: true,
      rolcreaterole: true,
      checksums: 'on',
      fsync: 'on',
      listen: '127.0.0.1',
      encoding: 'UTF8',
      owns: true
    })
    const [{ major }] = await sql<
      [{ major: number }]
    >`SELECT current_setting('server_version_num')::int / 10000 AS major`
    if (major >= 15) await t.resolves(sql`SET temp_file_limit = -1`, 'it may limit the temporary files of a load')
  })
  await t.rejects(
    withSql(database.connection(), { password: 'wrong' }, async sql => await sql`SELECT 1`),
    { code: '28P01' }
  )

  const pid = await pidOf(data)
  if (process.getuid?.() === 0) t.not((await stat(data)).uid, 0)
  const { port } = database.connection()
  await database.stop()
  await database.stop()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  t.throws(() => database.connection(), { code: 'DATABASE_UNAVAILABLE' })

  await database.start()
  t.equal(database.connection().port, port)
  t.strictSame(await notes(database), ['kept'])
  await database.stop()
})

t.test('a server that is killed is started again', async t => {
  const { data, open, awaitLog } = await setUp(t)
  const database = open()
  await database.start()
  await note(database, 'committed')
  const revived = awaitLog(/ended: starting it again[^]*is ready/)
  process.kill(await pidOf(data), 'SIGKILL')
  await revived
  t.strictSame(await notes(database), ['committed'])
  await database.stop()
  t.equal(await findPostmaster(data), null)
})

t.test('a stale postmaster.pid whose pid another program has now is no obstacle', async t => {
  const { data, directory, open } = await setUp(t)
  const database = open()
  await database.start()
  await note(database, 'kept')
  const { port } = database.connection()
  const pid = await pidOf(data)
  const pidFile = await readFile(join(data, 'postmaster.pid'), 'utf8')
  const lockFile = join(directory, 'run', `.s.PGSQL.${port}.lock`)
  const lock = await readFile(lockFile, 'utf8')
  await database.stop()

  const { uid, gid } = await stat(data)
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    stdio: 'ignore',
    ...(process.getuid?.() === 0 ? { uid, gid } : {})
  })
  t.teardown(() => other.kill())
  await writeFile(join(data, 'postmaster.pid'), pidFile.replace(String(pid), String(other.pid)))
  await writeFile(lockFile, lock.replace(String(pid), String(other.pid)))
  for (const file of [join(data, 'postmaster.pid'), lockFile]) await chown(file, uid, gid)
  const next = open()
  await next.start()
  t.equal(next.connection().port, port)
  t.strictSame(await notes(next), ['kept'])
  await next.stop()
})

t.test('takes over the server of a service that was killed', async t => {
  const { data, directory, open } = await setUp(t)
  const service = spawn(process.execPath, [compiled('test/support/embedded-service.js'), directory], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(service.stdout, 'data')
  const pid = await pidOf(data)
  service.kill('SIGKILL')
  await once(service, 'exit')
  const database = open()
  await database.start()
  t.equal(await pidOf(data), pid)
  await note(database, 'works')
  await database.stop()
  t.equal(await findPostmaster(data), null)
})

t.test('a second service on the same folder is refused and harms nothing', async t => {
  const { open } = await setUp(t)
  const first = open()
  const second = open()
  await first.start()
  await note(first, 'safe')
  await t.rejects(second.start(), { code: 'CONFIG_INVALID', reason: 'another-service' })
  await second.stop()
  t.strictSame(await notes(first), ['safe'])
  await first.stop()
})

t.test('of two services that start at once on a new folder, one wins', async t => {
  const { open } = await setUp(t)
  const services = [open(), open()]
  const results = await Promise.allSettled(services.map(async service => await service.start()))
  t.strictSame(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const winner = services[results.findIndex(({ status }) => status === 'fulfilled')]
  const loser = results.find(result => result.status === 'rejected')
  t.match(loser?.reason, { code: 'CONFIG_INVALID' })
  if (winner !== undefined) await note(winner, 'works')
  for (const service of services) await service.stop()
})

t.test('an interrupted first start is done again', async t => {
  const { directory, open } = await setUp(t)
  await mkdir(join(directory, 'data.new-abc', 'data'), { recursive: true, mode: 0o755 })
  await writeFile(join(directory, 'data.new-abc', 'data', 'PG_VERSION'), '15\n')
  const database = open()
  await database.start()
  await note(database, 'works')
  t.notMatch((await readdir(directory)).join(), /data\.new/)
  await database.stop()
})

t.test('takes another port when its own is taken', async t => {
  const { open } = await setUp(t)
  const database = open()
  await database.start()
  const { port } = database.connection()
  await database.stop()
  const squatter = createServer().listen(port, '127.0.0.1')
  await once(squatter, 'listening')
  t.teardown(() => {
    squatter.close()
  })
  await database.start()
  t.not(database.connection().port, port)
  await database.stop()
})

t.test('a path too long for a socket gets a short one', async t => {
  const { open } = await setUp(t, 'a path, with "odd" parts '.repeat(6).trim())
  const database = open()
  await database.start()
  const { host } = database.connection()
  t.ok(host.startsWith(tmpdir()))
  t.ok(host.length < 100)
  await note(database, 'works')
  await database.stop()
  await rm(host, { recursive: true })
})

t.test("refuses what it can't run, and says why", async t => {
  const { directory, data, open } = await setUp(t)
  const database = open()
  await database.start()
  await database.stop()

  const credentials = await readFile(join(directory, 'credentials.json'), 'utf8')
  await rm(join(directory, 'credentials.json'))
  await t.rejects(open().start(), { code: 'CONFIG_INVALID', reason: 'embedded-credentials-gone' })
  await writeFile(
    join(directory, 'credentials.json'),
    credentials.replace(/"password": "[^"]*"/g, '"password": "other"')
  )
  await t.rejects(open().start(), { code: 'CONFIG_INVALID', reason: 'embedded-credentials-foreign' })
  t.equal(await findPostmaster(data), null)

  await writeFile(join(data, 'PG_VERSION'), '9\n')
  await t.rejects(open().start(), { code: 'DATABASE_TOOLS_MISSING', reason: 'server-version-missing' })
})

t.test('a folder of something else is left alone', async t => {
  const { data, open } = await setUp(t)
  await mkdir(data, { recursive: true })
  await writeFile(join(data, 'precious'), 'x')
  await t.rejects(open().start(), { code: 'CONFIG_INVALID', reason: 'embedded-not-a-cluster' })
  t.strictSame(await readdir(data), ['precious'])
})

t.test('a folder that is a file, or that another service has, is told', async t => {
  const folder = t.testdir({ file: 'a file', taken: {} })
  const start = async (directory: string) => {
    await createEmbeddedDatabase({ directory, binDir: null, log: pino({ level: 'silent' }) }).start()
  }
  await t.rejects(start(join(folder, 'file')), {
    code: 'CONFIG_INVALID',
    reason: 'folder-is-a-file',
    message: /^EMBEDDED_DB_DIR /
  })
  await t.rejects(start(join(folder, 'file/below')), {
    code: 'CONFIG_INVALID',
    reason: 'folder-is-a-file',
    message: /of EMBEDDED_DB_DIR /
  })
  const lock = await takeLock(join(folder, 'taken/service.lock'))
  await t.rejects(start(join(folder, 'taken')), {
    code: 'CONFIG_INVALID',
    message: new RegExp(`Another service runs on EMBEDDED_DB_DIR \\(process ${process.pid} `)
  })
  await lock?.release()
})

t.test(
  "as root: a folder that the server's user can't enter",
  { skip: process.getuid?.() === 0 ? false : 'not root' },
  async t => {
    const { directory, open } = await setUp(t)
    await chmod(join(directory, '..'), 0o700)
    await t.rejects(open().start(), { code: 'CONFIG_INVALID', reason: 'embedded-folder-unreachable' })
  }
)

t.test('a data folder of another version says how to move on, as long as it does not start', async t => {
  const { directory, data, open } = await setUp(t)
  await mkdir(data, { recursive: true })
  await writeFile(join(data, 'PG_VERSION'), '9\n')
  const database = open()
  const expected = {
    code: 'DATABASE_TOOLS_MISSING',
    reason: 'server-version-missing',
    remedy: /docs\/upgrade-postgresql\.md/
  }
  await t.rejects(database.start(), expected)
  t.throws(() => database.connection(), expected, 'readiness tells the same')
  t.strictSame(await readdir(directory), ['data', 'service.lock'])
  await rm(data, { recursive: true })
  await database.start()
  t.ok(database.connection().port > 0)
  await database.stop()
})
