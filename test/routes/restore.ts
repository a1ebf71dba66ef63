import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import type { Backup } from '../../src/repository/record.js'
import { buildTestApp } from '../support/app.js'
import { createTestDatabase } from '../support/postgres.js'
import { startWork, untilIdle } from '../support/work.js'

t.test('a restore of the whole database runs beside no job of any organization', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY)`
  const { app, as, jobs } = await buildTestApp(t, { databaseUrl: url, env: { DATABASE_SCOPE: 'instance' } })
  const create = async (type: string) =>
    (await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type } })).json<Backup>()
  const whole = await create('database')
  t.equal(whole.databaseScope, 'instance')
  const files = await create('files')

  let finish: () => void = () => {}
  const other = startWork(jobs, {
    organizationId: 'other',
    run: async () => {
      await new Promise<void>(resolve => {
        finish = resolve
      })
    }
  })
  const restore = async (id: string) =>
    await app.inject({ method: 'POST', url: `/api/backup/restore/${id}`, headers: as(), payload: { dryRun: true } })
  const refused = await restore(whole.id)
  t.match(refused.json(), { statusCode: 409, code: 'JOB_CONFLICT' })
  t.notMatch(refused.body, /other"|acme|[0-9a-f]{8}-/, 'nothing is told about the other organization')
  t.not((await restore(files.id)).statusCode, 409, "files are the organization's own")
  finish()
  await other.done
  t.equal((await restore(whole.id)).statusCode, 200)
})

t.test('delete and restore wait for no job of the organization', async t => {
  const { app, as, jobs } = await buildTestApp(t)
  const { id } = (
    await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })
  ).json<Backup>()
  let finish: () => void = () => {}
  const { job, done } = startWork(jobs, {
    kind: 'restore',
    backupId: id,
    run: async () => {
      await new Promise<void>(resolve => {
        finish = resolve
      })
    }
  })
  for (const [method, path] of [
    ['DELETE', id],
    ['POST', `restore/${id}`]
  ] as const) {
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
  const post = async (path: string, payload?: object) =>
    await app.inject({ method: 'POST', url: `/api/backup/${path}`, headers: as(), payload })
  const { id } = (await post('create')).json<Backup>()
  await sql`DELETE FROM things WHERE id = 2`

  const rehearsed = await post(`restore/${id}`, { dryRun: true })
  t.match(
    rehearsed.json(),
    { message: 'Dry run completed successfully', backupId: id, dryRun: true, report: { database: { tables: [{}] } } },
    rehearsed.body
  )
  t.same(rehearsed.statusCode, 200)
  const list = async (organizationId?: string) =>
    (await app.inject({ url: '/api/backup/restores', headers: as('OWNER', organizationId) })).json<
      Array<{ report: object }>
    >()
  t.strictSame(
    (await list())[0]?.report,
    rehearsed.json<{ report: object }>().report,
    'the list has the report that was answered'
  )
  const restored = await post(`restore/${id}`)
  t.match(restored.json(), { message: 'Restore completed successfully', backupId: id, dryRun: false }, restored.body)

  const { restoreId, report } = restored.json<{ restoreId: string; report: object }>()
  t.strictSame((await list())[0]?.report, report, 'the list has the report that was answered')
  t.match((await list())[0], {
    restoreId,
    backupId: id,
    startedBy: 'olivia@example.com',
    state: 'done',
    undoable: true
  })
  t.same(await list('other'), [])
  t.equal(
    (await app.inject({ method: 'POST', url: `/api/backup/restores/${restoreId}/undo`, headers: as('OWNER', 'other') }))
      .statusCode,
    404
  )
  const undone = await post(`restores/${restoreId}/undo`)
  t.equal(undone.statusCode, 200, undone.body)
})

t.test('to ask for restores makes no folder', async t => {
  const { app, as, backupDir } = await buildTestApp(t)
  t.same((await app.inject({ url: '/api/backup/restores', headers: as('OWNER', 'newcomer') })).json(), [])
  t.same(await readdir(backupDir), [])
})

t.test('finished jobs are found after a restart, with their results; what one made or restored has its id', async t => {
  const { app, as, jobs, uploadDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  const run = async (url: string) => {
    const { id } = (
      await app.inject({
        method: 'POST',
        url: `/api/backup/${url}`,
        headers: { ...as(), prefer: 'respond-async' },
        payload: url === 'create' ? { type: 'files' } : {}
      })
    ).json<Job>()
    await untilIdle(jobs)
    return id
  }
  const backupId = await run('create')
  const restoreId = await run(`restore/${backupId}`)
  const undoId = await run(`restores/${restoreId}/undo`)
  const archive = (await app.inject({ url: `/api/backup/${backupId}/download`, headers: as() })).rawPayload
  await app.inject({ method: 'DELETE', url: `/api/backup/${backupId}`, headers: as() })
  await app.inject({
    method: 'POST',
    url: '/api/backup/upload',
    headers: { ...as(), 'content-type': 'application/zip' },
    payload: archive
  })
  const [upload, removal] = await jobs.list('acme')
  t.match(
    [upload, removal],
    [
      { kind: 'import', state: 'succeeded' },
      { kind: 'delete', state: 'succeeded' }
    ]
  )
  // As after a restart.
  const { app: again } = await buildTestApp(t, {
    env: { UPLOAD_DIR: uploadDir, BACKUP_DIR: join(uploadDir, '..', 'backups') }
  })
  const before = await jobs.list('acme')
  t.same((await again.inject({ url: '/api/backup/jobs', headers: as() })).json(), before)
  t.same(
    before.map(({ id }) => id),
    [upload!.id, removal!.id, undoId, restoreId, backupId]
  )
  for (const job of before)
    t.same((await again.inject({ url: `/api/backup/jobs/${job.id}`, headers: as() })).json(), job)
  t.match(before[3], { kind: 'restore', startedBy: 'olivia@example.com', result: { object: 'restore', restoreId } })
  t.match((await again.inject({ url: `/api/backup/jobs/${upload!.id}`, headers: as('OWNER', 'other') })).json(), {
    code: 'JOB_NOT_FOUND'
  })
  t.match((await again.inject({ method: 'DELETE', url: `/api/backup/jobs/${restoreId}`, headers: as() })).json(), {
    code: 'JOB_CONFLICT',
    reason: 'job-ended'
  })
  t.match((await again.inject({ url: `/api/backup/${backupId}`, headers: as() })).json(), {
    id: backupId,
    state: 'available'
  })
  t.match((await again.inject({ url: '/api/backup/restores', headers: as() })).json(), [
    { restoreId, backupId, state: 'undone' }
  ])
})

t.test('restores are listed page by page', async t => {
  const { app, as, uploadDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  const post = async (path: string, payload: object) =>
    (await app.inject({ method: 'POST', url: `/api/backup/${path}`, headers: as(), payload })).json<{
      id: string
      restoreId: string
    }>()
  const { id } = await post('create', { type: 'files' })
  const ids: string[] = []
  for (let count = 0; count < 3; count += 1) ids.unshift((await post(`restore/${id}`, { dryRun: true })).restoreId)
  const list = async (url: string) => await app.inject({ url, headers: as() })
  const first = await list('/api/backup/restores?limit=2')
  t.same(
    first.json<Array<{ restoreId: string }>>().map(({ restoreId }) => restoreId),
    ids.slice(0, 2)
  )
  const [, next = ''] =
    /^<(\/api\/backup\/restores\?limit=2&cursor=[^>]+)>; rel="next"$/.exec(String(first.headers.link)) ?? []
  const second = await list(next)
  t.same(
    second.json<Array<{ restoreId: string }>>().map(({ restoreId }) => restoreId),
    ids.slice(2)
  )
  t.equal(second.headers.link, undefined)
  t.match((await list('/api/backup/restores?cursor=x')).json(), {
    statusCode: 400,
    code: 'BAD_REQUEST',
    reason: 'cursor-unknown'
  })
  t.match((await list('/api/backup/restores?limit=0')).json(), { statusCode: 400, code: 'VALIDATION_FAILED' })
})
