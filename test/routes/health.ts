import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { buildTestApp } from '../support/app.js'
import { smallDisk } from '../support/disk.js'
import { keptLog } from '../support/kept-log.js'
import { createTestDatabase } from '../support/postgres.js'

t.test('alive is alive, whatever else is', async t => {
  const { app } = await buildTestApp(t)
  const response = await app.inject({ url: '/health/live' })
  t.equal(response.statusCode, 200)
  t.same(response.json(), { status: 'alive' })
})

t.test('probes are not logged', async t => {
  const { log, lines } = keptLog()
  const { app } = await buildTestApp(t, { log })
  for (const url of ['/health/live', '/health/ready', '/']) await app.inject({ url })
  const requests = () => lines.filter(({ msg }) => msg === 'incoming request').length
  t.equal(requests(), 0)
  await app.inject({ url: '/api/backup/list' })
  t.equal(requests(), 1, 'while other requests are')
})

t.test('ready', async t => {
  const { url } = await createTestDatabase(t)
  const { app, jobs, uploadDir, backupDir } = await buildTestApp(t, { databaseUrl: url })
  const ready = async () => await app.inject({ url: '/health/ready' })
  t.equal((await ready()).statusCode, 200)
  t.same((await ready()).json(), {
    status: 'ready',
    database: 'available',
    storage: 'available',
    repository: 'available'
  })

  await rm(uploadDir, { recursive: true })
  t.match((await ready()).json(), {
    statusCode: 503,
    code: 'STORAGE_UNAVAILABLE',
    reason: 'not-ready',
    errors: [{ field: 'storage' }]
  })
  await rm(backupDir, { recursive: true })
  await writeFile(backupDir, 'no folder')
  const { errors } = (await ready()).json<{ errors: Array<{ field: string }> }>()
  t.same(
    errors.map(({ field }) => field),
    ['storage', 'repository']
  )
  t.notMatch((await ready()).body, uploadDir)
  t.ok(jobs)
})

t.test('the log is told when readiness changes, not at each probe', async t => {
  const { url } = await createTestDatabase(t)
  const { log, lines } = keptLog()
  const { app, uploadDir } = await buildTestApp(t, { databaseUrl: url, log })
  const probe = async (status: number) => {
    for (let n = 0; n < 3; n += 1) t.equal((await app.inject({ url: '/health/ready' })).statusCode, status)
  }
  await probe(200)
  await rm(uploadDir, { recursive: true })
  await probe(503)
  await mkdir(uploadDir)
  await probe(200)
  t.match(lines, [
    {
      level: 50,
      code: 'STORAGE_UNAVAILABLE',
      msg: 'Not ready: storage.',
      remedy: /Make the folder, or mount it/,
      errors: [{ field: 'storage', reason: 'folder-missing' }]
    },
    { level: 30, msg: 'Ready again.' }
  ])
  t.equal(lines.length, 2)
})

t.test('not ready where BACKUP_DIR has no room', async t => {
  const disk = await smallDisk(t, '66m')
  if (disk === null) {
    t.comment('not tried: no file system can be mounted here')
    return
  }
  const { url } = await createTestDatabase(t)
  const { app } = await buildTestApp(t, { databaseUrl: url, env: { BACKUP_DIR: disk.folder } })
  t.equal((await app.inject({ url: '/health/ready' })).statusCode, 200)
  await writeFile(join(disk.folder, 'full'), Buffer.alloc(3 << 20))
  const response = await app.inject({ url: '/health/ready' })
  t.equal(response.statusCode, 507)
  t.match(response.json(), {
    code: 'DISK_FULL',
    reason: 'not-ready',
    remedy: /Free disk space/,
    errors: [{ field: 'repository', reason: 'repository-nearly-full' }]
  })
})

t.test('not ready without a database, nor while jobs are refused', async t => {
  const { app, gate } = await buildTestApp(t)
  const response = await app.inject({ url: '/health/ready' })
  t.match(response.json(), {
    statusCode: 503,
    error: 'Service Unavailable',
    code: 'DATABASE_UNAVAILABLE',
    remedy: String,
    errors: [{ field: 'database' }]
  })
  t.ok(response.headers['retry-after'])
  t.notMatch(response.body, /secret/)
  gate.set(
    new AppError('CONFIG_INVALID', 'another-service', 'Another service runs on EMBEDDED_DB_DIR.', {
      remedy: 'Stop it.'
    })
  )
  t.match(
    (await app.inject({ url: '/health/ready' })).json(),
    {
      code: 'CONFIG_INVALID',
      reason: 'another-service',
      remedy: 'Stop it.',
      errors: [{ field: 'database' }]
    },
    'the reason why the database is not started comes before its absence'
  )

  const { url } = await createTestDatabase(t)
  const starting = await buildTestApp(t, { databaseUrl: url })
  starting.gate.set(new AppError('SERVICE_STOPPING', 'service-starting', 'The service is starting.'))
  t.match((await starting.app.inject({ url: '/health/ready' })).json(), { statusCode: 503, code: 'SERVICE_STOPPING' })
})
