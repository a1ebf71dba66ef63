import { once } from 'node:events'
import { mkdir, rmdir, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Core } from '../src/core.js'
import { AppError } from '../src/errors.js'
import { createStartup } from '../src/startup.js'
import type { Gate } from '../src/jobs/gate.js'
import { buildTestApp } from './support/app.js'
import { keptLog } from './support/kept-log.js'
import { createTestDatabase } from './support/postgres.js'

const retryMs = 10

/** Resolves when the gate is opened. */
async function readiness(gate: Gate): Promise<void> {
  const { set } = gate
  await new Promise<void>(resolve => {
    gate.set = reason => {
      set(reason)
      if (reason === null) resolve()
    }
  })
}

/** Resolves when so many tries have failed from now on. */
async function failures(gate: Gate, count: number): Promise<void> {
  const { set } = gate
  let left = count
  await new Promise<void>(resolve => {
    gate.set = reason => {
      set(reason)
      if (reason !== null && --left === 0) resolve()
    }
  })
  gate.set = set
}

/** A database that is down until open() is called: a port that nobody listens at, then one that leads to it. */
async function closedDoor(t: Test): Promise<{ url: string; open: () => Promise<void> }> {
  const { url, connection } = await createTestDatabase(t)
  const sockets = new Set<Socket>()
  const door = createServer(inner => {
    const outer = connection.host.startsWith('/')
      ? connect(`${connection.host}/.s.PGSQL.${connection.port}`)
      : connect(connection.port, connection.host)
    for (const socket of [inner, outer]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    inner.pipe(outer).pipe(inner)
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  const { port } = door.address() as AddressInfo
  door.close()
  await once(door, 'close')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    door.close()
  })
  const { pathname, username, password } = new URL(url)
  return {
    url: `postgresql://${username}:${password}@127.0.0.1:${port}${pathname}?sslmode=disable`,
    open: async () => {
      door.listen(port, '127.0.0.1')
      await once(door, 'listening')
    }
  }
}

const order = (core: Core, seen: string[]) => {
  const { removePartials } = core.repository
  const { reconcile } = core.catalog
  const { start } = core.database
  core.repository.removePartials = async () => {
    seen.push('partials')
    await removePartials.call(core.repository)
  }
  core.catalog.reconcile = async () => {
    seen.push('catalog')
    await reconcile.call(core.catalog)
  }
  core.database.start = async () => {
    seen.push('database')
    await start.call(core.database)
  }
}

t.test('jobs are refused until everything is in order, and what is done is not done again', async t => {
  const { url, open } = await closedDoor(t)
  const { core, jobs, gate } = await buildTestApp(t, { databaseUrl: url })
  const seen: string[] = []
  order(core, seen)
  const startup = createStartup(core, { queue: jobs, gate }, { retryMs })
  await startup.begin()
  t.match(gate.reason(), { code: 'DATABASE_UNAVAILABLE' })
  const ready = readiness(gate)
  await open()
  await ready
  t.equal(gate.reason(), null)
  t.same(seen.slice(-2), ['partials', 'catalog'])
  t.same(new Set(seen.slice(0, -2)), new Set(['database']))
  await startup.stop()
})

t.test('a repository that is not there yet is waited for', async t => {
  const { url } = await createTestDatabase(t)
  const { core, jobs, gate } = await buildTestApp(t, {
    databaseUrl: url,
    env: { BACKUP_DIR: `${t.testdir({})}/later` }
  })
  const { removePartials } = core.repository
  let broken = true
  core.repository.removePartials = async () => {
    if (broken) throw new Error('the disk is not mounted')
    await removePartials.call(core.repository)
  }
  const startup = createStartup(core, { queue: jobs, gate }, { retryMs })
  await startup.begin()
  t.match(gate.reason(), { code: 'INTERNAL_ERROR' })
  t.notMatch(gate.reason()?.message, /mounted/)
  const ready = readiness(gate)
  broken = false
  await ready
  await startup.stop()
})

t.test('stop ends the trying', async t => {
  const { core, jobs, gate } = await buildTestApp(t)
  const startup = createStartup(core, { queue: jobs, gate }, { retryMs: 3_600_000 })
  await startup.begin()
  await startup.stop()
  t.match(gate.reason(), { code: 'DATABASE_UNAVAILABLE' })
})

t.test('a restore that stands unfinished refuses jobs until it is finished', async t => {
  const { url } = await createTestDatabase(t)
  const { core, jobs, gate } = await buildTestApp(t, { databaseUrl: url })
  const startup = createStartup(core, { queue: jobs, gate }, { retryMs })
  await startup.begin()
  t.equal(gate.reason(), null)
  const reason = new AppError('RESTORE_UNFINISHED', 'not-finished', 'Half way.')
  const ready = readiness(gate)
  startup.finishRestores(reason)
  t.equal(gate.reason(), reason)
  await ready
  t.equal(gate.reason(), null)
  await startup.stop()
})

t.test(
  "a folder that is set and can't be used is named, with its path and the remedy: once, without a stack",
  async t => {
    const { url } = await createTestDatabase(t)
    const cases: Array<{
      uploads: string
      backups: string
      path: string
      msg: RegExp
      remedy: RegExp
      mend: (path: string) => Promise<unknown>
    }> = [
      // BACKUP_DIR lies in UPLOAD_DIR unless it is set, and is not the reason then.
      {
        uploads: 'typo',
        backups: 'typo/backups',
        path: 'typo',
        msg: /: The folder UPLOAD_DIR is not there\.$/,
        remedy: /Make the folder, or mount it.*correct UPLOAD_DIR/,
        mend: mkdir
      },
      {
        uploads: 'file',
        backups: 'file/backups',
        path: 'file',
        msg: /: UPLOAD_DIR is a file, not a folder\.$/,
        remedy: /set UPLOAD_DIR/,
        mend: async path => {
          await unlink(path)
          await mkdir(path)
        }
      },
      {
        uploads: 'there',
        backups: 'absent/backups',
        path: 'absent',
        msg: /: The folder that BACKUP_DIR is to be made in is not there\.$/,
        remedy: /correct BACKUP_DIR/,
        mend: mkdir
      },
      {
        uploads: 'there',
        backups: 'file',
        path: 'file',
        msg: /: BACKUP_DIR is a file, not a folder\.$/,
        remedy: /set BACKUP_DIR/,
        mend: unlink
      },
      {
        uploads: 'there',
        backups: 'file/backups',
        path: 'file',
        msg: /: The path of BACKUP_DIR leads through a file\.$/,
        remedy: /set BACKUP_DIR/,
        mend: async path => {
          await unlink(path)
          await mkdir(path)
        }
      }
    ]
    for (const { uploads, backups, path, msg, remedy, mend } of cases) {
      const folder = t.testdir({ file: 'a file', there: {} })
      const { log, lines } = keptLog()
      const { core, jobs, gate, app } = await buildTestApp(t, {
        databaseUrl: url,
        log,
        env: { UPLOAD_DIR: join(folder, uploads), BACKUP_DIR: join(folder, backups) }
      })
      const startup = createStartup(core, { queue: jobs, gate }, { retryMs })
      await startup.begin()
      await failures(gate, 3)
      const refusal = gate.reason()
      const ready = await app.inject({ url: '/health/ready' })
      t.match(ready.json(), { statusCode: 503, code: refusal?.code, message: refusal?.message, remedy })
      t.notMatch(ready.body, folder, 'the answer has no path of the host')
      const errors = lines.filter(({ level }) => level === 50)
      t.match(errors, [{ msg, remedy, path: new RegExp(`^${join(folder, path)}(/|$)`), causes: [/^E[A-Z]+: /] }])
      t.equal(errors.length, 1, 'three tries have one line')
      t.notMatch(JSON.stringify(lines), /\.:|    at /)
      const ended = readiness(gate)
      await mend(join(folder, path))
      await ended
      await startup.stop()
      await core.repository.close()
    }
  }
)

t.test('another reason is told when it comes, and so is the same one after it was gone', async t => {
  const { core, jobs, gate } = await buildTestApp(t)
  const { log, lines } = keptLog()
  const reasons = ['one', 'one', 'two', 'two', 'one'].map(
    name => new AppError('DATABASE_UNAVAILABLE', 'no-such-database', `The database ${name} is not there.`)
  )
  core.database.start = async () => {
    const reason = reasons.shift()
    if (reason !== undefined) throw reason
  }
  const startup = createStartup({ ...core, log }, { queue: jobs, gate }, { retryMs })
  const ready = readiness(gate)
  await startup.begin()
  await ready
  await startup.stop()
  t.same(
    lines.filter(({ level }) => level === 50).map(({ msg }) => /database (\w+)/.exec(String(msg))?.[1]),
    ['one', 'two', 'one']
  )
})

t.test('what is not known is logged with its stack', async t => {
  const { core, jobs, gate } = await buildTestApp(t)
  const { log, lines } = keptLog()
  core.database.start = async () => {
    throw new TypeError('a fault of ours')
  }
  const startup = createStartup({ ...core, log }, { queue: jobs, gate }, { retryMs })
  await startup.begin()
  await startup.stop()
  t.match(
    lines.find(({ level }) => level === 50),
    { code: 'INTERNAL_ERROR', err: { message: 'a fault of ours', stack: /    at / } }
  )
})

t.test(
  'a default upload folder is made; one that was set and is missing is an error, since it may be a mount',
  async t => {
    const { url } = await createTestDatabase(t)
    for (const makeUploadDir of [true, false]) {
      const uploadDir = `${t.testdir({})}/data/uploads`
      const { core, jobs, gate, app } = await buildTestApp(t, {
        databaseUrl: url,
        env: { UPLOAD_DIR: uploadDir, BACKUP_DIR: `${uploadDir}/backups` }
      })
      const startup = createStartup(core, { queue: jobs, gate }, { retryMs, makeUploadDir })
      await startup.begin()
      await startup.stop()
      const ready = await app.inject({ url: '/health/ready' })
      t.equal(ready.statusCode, makeUploadDir ? 200 : 503, ready.body)
      t.equal(
        await stat(uploadDir).then(
          () => true,
          () => false
        ),
        makeUploadDir
      )
    }
  }
)

t.test('a missing upload folder is told at the start, with the way out', async t => {
  const { url } = await createTestDatabase(t)
  const { log, lines } = keptLog()
  const { core, jobs, gate, uploadDir } = await buildTestApp(t, { databaseUrl: url, log })
  await rmdir(uploadDir)
  const startup = createStartup(core, { queue: jobs, gate }, { retryMs })
  await startup.begin()
  await startup.stop()
  t.equal(gate.reason(), null, 'the database can be backed up')
  t.match(
    lines.filter(({ msg }) => /ready/.test(String(msg))),
    [
      {
        level: 40,
        code: 'STORAGE_UNAVAILABLE',
        msg: 'ready for backups and restores of the database alone: The folder UPLOAD_DIR is not there.',
        remedy: /Make the folder, or mount it/
      }
    ]
  )
})
