import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import type { Backup } from '../../src/repository/record.js'
import { buildTestApp } from '../support/app.js'
import { createTestDatabase } from '../support/postgres.js'

t.test('a restore of the whole database runs beside no job of any organization', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY)`
  const { app, as, jobs } = await buildTestApp(t, { databaseUrl: url, env: { DATABASE_SCOPE: 'instance' } })
  const create = async (type: string) => (await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type } })).json<Backup>()
  const whole = await create('database')
  t.equal(whole.databaseScope, 'instance')
  const files = await create('files')

  let finish: () => void = () => {}
  const other = jobs.start({ kind: 'create', organizationId: 'other', run: async () => { await new Promise<void>(resolve => { finish = resolve }) } })
  const restore = async (id: string) => await app.inject({ method: 'POST', url: `/api/backup/restore/${id}`, headers: as(), payload: { dryRun: true } })
  const refused = await restore(whole.id)
  t.match(refused.json(), { statusCode: 409, code: 'JOB_CONFLICT' })
  t.notMatch(refused.body, /other"|acme|[0-9a-f]{8}-/, 'nothing is told about the other organization')
  t.not((await restore(files.id)).statusCode, 409, 'files are the organization\'s own')
  finish()
  await other.done
  t.equal((await restore(whole.id)).statusCode, 200)
})

t.test('delete and restore wait for no job of the organization', async t => {
  const { app, as, jobs } = await buildTestApp(t)
  const { id } = (await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })).json<Backup>()
  let finish: () => void = () => {}
  const { job, done } = jobs.start({ kind: 'restore', organizationId: 'acme', backupId: id, run: async () => { await new Promise<void>(resolve => { finish = resolve }) } })
  for (const [method, path] of [['DELETE', id], ['POST', `restore/${id}`]] as const) {
    const response = await app.inject({ method, url: `/api/backup/${path}`, headers: as() })
    t.match(response.json(), { statusCode: 409, code: 'JOB_CONFLICT', message: new RegExp(job.id) })
  }
  finish()
  await done
  t.equal((await app.inject({ method: 'DELETE', url: `/api/backup/${id}`, headers: as() })).statusCode, 200)
})

t.test('restore, list and undo', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY)`
  await sql`INSERT INTO things VALUES (1), (2)`
  const { app, as } = await buildTestApp(t, { databaseUrl: url, env: { DATABASE_SCOPE: 'instance' } })
  const post = async (path: string, payload?: object) => await app.inject({ method: 'POST', url: `/api/backup/${path}`, headers: as(), payload })
  const { id } = (await post('create')).json<Backup>()
  await sql`DELETE FROM things WHERE id = 2`

  const rehearsed = await post(`restore/${id}`, { dryRun: true })
  t.match(rehearsed.json(), { message: 'Dry run completed successfully', backupId: id, dryRun: true, report: { database: { tables: [{}] } } }, rehearsed.body)
  t.same(rehearsed.statusCode, 200)
  const list = async (organizationId?: string) => (await app.inject({ url: '/api/backup/restores', headers: as('OWNER', organizationId) })).json<Array<{ report: object }>>()
  t.strictSame((await list())[0]?.report, rehearsed.json<{ report: object }>().report, 'the list has the report that was answered')
  const restored = await post(`restore/${id}`)
  t.match(restored.json(), { message: 'Restore completed successfully', backupId: id, dryRun: false }, restored.body)

  const { restoreId, report } = restored.json<{ restoreId: string, report: object }>()
  t.strictSame((await list())[0]?.report, report, 'the list has the report that was answered')
  t.match((await list())[0], { restoreId, backupId: id, startedBy: 'olivia@example.com', state: 'done', undoable: true })
  t.same(await list('other'), [])
  t.equal((await app.inject({ method: 'POST', url: `/api/backup/restores/${restoreId}/undo`, headers: as('OWNER', 'other') })).statusCode, 404)
  const undone = await post(`restores/${restoreId}/undo`)
  t.equal(undone.statusCode, 200, undone.body)
})

t.test('to ask for restores makes no folder', async t => {
  const { app, as, backupDir } = await buildTestApp(t)
  t.same((await app.inject({ url: '/api/backup/restores', headers: as('OWNER', 'newcomer') })).json(), [])
  t.same(await readdir(backupDir), [])
})

t.test('what a job made or restored has its id, so that it is found when a restart has forgotten the job', async t => {
  const { app, as, jobs, uploadDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  const run = async (url: string) => {
    const { id } = (await app.inject({ method: 'POST', url: `/api/backup/${url}`, headers: { ...as(), prefer: 'respond-async' }, payload: url === 'create' ? { type: 'files' } : {} })).json<Job>()
    await jobs.idle()
    return id
  }
  const backupId = await run('create')
  const restoreId = await run(`restore/${backupId}`)
  const undoId = await run(`restores/${restoreId}/undo`)
  const archive = (await app.inject({ url: `/api/backup/${backupId}/download`, headers: as() })).rawPayload
  await app.inject({ method: 'DELETE', url: `/api/backup/${backupId}`, headers: as() })
  await app.inject({ method: 'POST', url: '/api/backup/upload', headers: { ...as(), 'content-type': 'application/zip' }, payload: archive })
  const [upload, removal] = jobs.list('acme')
  t.match([upload, removal], [{ kind: 'upload', state: 'succeeded' }, { kind: 'delete', state: 'succeeded' }])
  // As after a restart.
  const { app: again } = await buildTestApp(t, { env: { UPLOAD_DIR: uploadDir, BACKUP_DIR: join(uploadDir, '..', 'backups') } })
  for (const id of [backupId, restoreId, undoId, upload!.id, removal!.id]) {
    const forgotten = await again.inject({ url: `/api/backup/jobs/${id}`, headers: as() })
    t.match(forgotten.json(), { statusCode: 404, code: 'JOB_NOT_FOUND', remedy: /restart .*GET \/api\/backup\/restores and GET \/api\/backup\/list.* uploaded .*its own id.*deleted is gone.*undone .*state of its restore/ })
  }
  t.match((await again.inject({ url: `/api/backup/${backupId}`, headers: as() })).json(), { id: backupId, state: 'available' })
  t.match((await again.inject({ url: '/api/backup/restores', headers: as() })).json(), [{ restoreId, backupId, state: 'undone' }])
})
