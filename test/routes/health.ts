import { rm, writeFile } from 'node:fs/promises'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { buildTestApp } from '../support/app.js'
import { createTestDatabase } from '../support/postgres.js'

t.test('alive is alive, whatever else is', async t => {
  const { app } = await buildTestApp(t)
  const response = await app.inject({ url: '/health/live' })
  t.equal(response.statusCode, 200)
  t.same(response.json(), { status: 'alive' })
})

t.test('ready', async t => {
  const { url } = await createTestDatabase(t)
  const { app, jobs, uploadDir, backupDir } = await buildTestApp(t, { databaseUrl: url })
  const ready = async () => await app.inject({ url: '/health/ready' })
  t.equal((await ready()).statusCode, 200)
  t.same((await ready()).json(), { status: 'ready', database: 'available', storage: 'available', repository: 'available' })

  await rm(uploadDir, { recursive: true })
  t.match((await ready()).json(), { statusCode: 503, code: 'STORAGE_UNAVAILABLE', message: 'Not ready: storage.', errors: [{ field: 'storage' }] })
  await rm(backupDir, { recursive: true })
  await writeFile(backupDir, 'no folder')
  const { errors } = (await ready()).json<{ errors: Array<{ field: string }> }>()
  t.same(errors.map(({ field }) => field), ['storage', 'repository'])
  t.notMatch((await ready()).body, uploadDir)
  t.ok(jobs)
})

t.test('not ready without a database, nor while jobs are refused', async t => {
  const { app } = await buildTestApp(t)
  const response = await app.inject({ url: '/health/ready' })
  t.match(response.json(), { statusCode: 503, error: 'Service Unavailable', code: 'DATABASE_UNAVAILABLE', remedy: String, errors: [{ field: 'database' }] })
  t.ok(response.headers['retry-after'])
  t.notMatch(response.body, /secret/)

  const { url } = await createTestDatabase(t)
  const starting = await buildTestApp(t, { databaseUrl: url })
  starting.jobs.refuse(new AppError('SERVICE_STOPPING', 'The service is starting.'))
  t.match((await starting.app.inject({ url: '/health/ready' })).json(), { statusCode: 503, code: 'SERVICE_STOPPING' })
})
