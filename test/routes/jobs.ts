import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import type { JobContext } from '../../src/jobs/context.js'
import { openSql } from '../../src/database/connection/connection.js'
import { buildTestApp, type TestApp } from '../support/app.js'
import { createTestDatabase } from '../support/postgres.js'
import { startWork } from '../support/work.js'

/** A job that is open until it is told to end, or cancelled. */
async function startJob({ jobs }: TestApp, organizationId = 'acme') {
  let begin: (context: JobContext) => void = () => {}
  let finish: (value: unknown) => void = () => {}
  const began = new Promise<JobContext>(resolve => {
    begin = resolve
  })
  const { job, done } = startWork(jobs, {
    organizationId,
    run: async context =>
      await new Promise((resolve, reject) => {
        finish = resolve
        context.signal.addEventListener('abort', () => {
          reject(context.signal.reason as Error)
        })
        begin(context)
      })
  })
  const { progress } = await began
  return {
    job,
    done,
    progress,
    finish: (value: unknown) => {
      finish(value)
    }
  }
}

/** Reads server-sent events one after the other. */
async function* eventsOf(response: IncomingMessage): AsyncGenerator<{ event: string; job: Job }> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk as string
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
      text = text.slice(end + 2)
      if (event !== undefined && data !== undefined) yield { event, job: JSON.parse(data) as Job }
    }
  }
}

async function watch(service: TestApp, jobId: string) {
  const address = service.app.server.listening
    ? service.app.listeningOrigin
    : await service.app.listen({ host: '127.0.0.1', port: 0 })
  const request = get(`${address}/api/backup/jobs/${jobId}/events`, { headers: service.as(), agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { request, response, events: eventsOf(response) }
}

t.test('respond-async answers with the job at once', async t => {
  const service = await buildTestApp(t)
  const { app, as } = service
  const response = await app.inject({
    method: 'POST',
    url: '/api/backup/create',
    headers: { ...as(), prefer: 'handling=strict, Respond-Async; x=1, wait=10' },
    payload: { type: 'files' }
  })
  t.equal(response.statusCode, 202)
  const job = response.json<Job>()
  t.match(job, { kind: 'create', organizationId: 'acme', state: 'running' })
  t.equal(response.headers.location, `/api/backup/jobs/${job.id}`)
  t.equal(response.headers['preference-applied'], 'respond-async')

  await app.listen({ host: '127.0.0.1', port: 0 })
  const { events } = await watch(service, job.id)
  let last: { event: string; job: Job } | undefined
  for await (const event of events) last = event
  t.match(last, { event: 'result', job: { state: 'succeeded', result: { type: 'files' } } })
  t.same((await app.inject({ url: String(response.headers.location), headers: as() })).json(), last?.job)
  t.same(
    (await app.inject({ url: '/api/backup/jobs', headers: as() })).json<Job[]>().map(({ id }) => id),
    [job.id]
  )
  t.same((await app.inject({ url: '/api/backup/jobs', headers: as('OWNER', 'other') })).json(), [])
})

t.test('a second job of the organization is refused, by the name of the first', async t => {
  const service = await buildTestApp(t)
  const { app, as } = service
  const { job, done, finish } = await startJob(service)
  const create = async (organizationId: string) =>
    await app.inject({
      method: 'POST',
      url: '/api/backup/create',
      headers: as('OWNER', organizationId),
      payload: { type: 'files' }
    })
  t.match((await create('acme')).json(), {
    statusCode: 409,
    error: 'Conflict',
    code: 'JOB_CONFLICT',
    message: new RegExp(`create.*${job.id}`)
  })
  t.equal((await create('other')).statusCode, 201)
  finish(null)
  await done
  t.equal((await create('acme')).statusCode, 201)
})

t.test('events: progress, then the result, then the end', async t => {
  const service = await buildTestApp(t)
  const { job, progress, finish } = await startJob(service)
  const { response, events } = await watch(service, job.id)
  t.match(response.headers, { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store' })
  t.match((await events.next()).value, { event: 'progress', job: { id: job.id, state: 'running', phase: 'starting' } })
  progress.phase('files')
  t.match((await events.next()).value, { event: 'progress', job: { phase: 'files' } })
  finish({ id: 'made' })
  t.match((await events.next()).value, { event: 'result', job: { state: 'succeeded', result: { id: 'made' } } })
  t.equal((await events.next()).done, true)

  const late = await watch(service, job.id)
  t.match(
    (await late.events.next()).value,
    { event: 'result', job: { state: 'succeeded' } },
    'a finished job answers at once'
  )
  t.equal((await late.events.next()).done, true)
})

t.test('a watcher who leaves is forgotten, and the job goes on', async t => {
  const service = await buildTestApp(t)
  const { job, done, finish } = await startJob(service)
  const { watch: subscribe } = service.jobs
  let left: () => void = () => {}
  const unsubscribed = new Promise<void>(resolve => {
    left = resolve
  })
  service.jobs.watch = (...args) => {
    const unsubscribe = subscribe(...args)
    return () => {
      unsubscribe()
      left()
    }
  }
  const { request, response, events } = await watch(service, job.id)
  await events.next()
  response.on('error', () => {})
  request.on('error', () => {})
  request.destroy()
  await unsubscribed
  finish('made')
  t.equal(await done, 'made')
})

t.test('a client that leaves does not stop its job', async t => {
  const service = await buildTestApp(t)
  const { app, as, core, jobs } = service
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const list = core.storage.list.bind(core.storage)
  let reached: () => void = () => {}
  let goOn: () => void = () => {}
  const listing = new Promise<void>(resolve => {
    reached = resolve
  })
  const allowed = new Promise<void>(resolve => {
    goOn = resolve
  })
  core.storage.list = async id => {
    reached()
    await allowed
    return await list(id)
  }
  const leaving = new AbortController()
  const answer = fetch(`${address}/api/backup/create`, {
    method: 'POST',
    headers: { ...as(), 'content-type': 'application/json' },
    body: '{"type":"files"}',
    signal: leaving.signal
  })
  await listing
  leaving.abort()
  await t.rejects(answer)
  const [job] = await jobs.list('acme')
  const ended = new Promise<Job>(resolve => {
    jobs.watch(job?.id ?? '', job => {
      if (job.state !== 'running') resolve(job)
    })
  })
  goOn()
  t.match(await ended, { state: 'succeeded' })
})

t.test('cancel', async t => {
  const service = await buildTestApp(t)
  const { app, as } = service
  const { job, done, progress } = await startJob(service)
  const cancel = async (organizationId?: string) =>
    await app.inject({ method: 'DELETE', url: `/api/backup/jobs/${job.id}`, headers: as('OWNER', organizationId) })
  t.equal((await cancel('other')).statusCode, 404)
  progress.phase('dump')
  t.match((await cancel()).json(), { id: job.id, state: 'running', phase: 'dump' })
  await t.rejects(done, { code: 'JOB_CANCELLED' })
  t.match((await app.inject({ url: `/api/backup/jobs/${job.id}`, headers: as() })).json(), {
    state: 'cancelled',
    error: { code: 'JOB_CANCELLED' }
  })
  t.match((await cancel()).json(), { statusCode: 409, code: 'JOB_CONFLICT' })

  const committing = await startJob(service)
  committing.progress.uncancellable()
  t.match(
    (await app.inject({ method: 'DELETE', url: `/api/backup/jobs/${committing.job.id}`, headers: as() })).json(),
    { statusCode: 409, code: 'JOB_CONFLICT' }
  )
  committing.finish(null)
  await committing.done
})

t.test('a backup that waits for a locked table is cancelled while the lock is held', async t => {
  const { url, sql, connection } = await createTestDatabase(t)
  await sql`CREATE TABLE things (id int PRIMARY KEY)`
  const { app, as, jobs } = await buildTestApp(t, { databaseUrl: url, env: { DATABASE_SCOPE: 'instance' } })
  const migration = openSql(connection)
  t.teardown(async () => {
    await migration.end({ timeout: 0 })
  })
  await migration.unsafe('BEGIN; LOCK TABLE things IN ACCESS EXCLUSIVE MODE')
  const waiting = async (): Promise<number> =>
    (await sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'things'::regclass`).length

  const job = (
    await app.inject({
      method: 'POST',
      url: '/api/backup/create',
      headers: { ...as(), prefer: 'respond-async' },
      payload: { type: 'database' }
    })
  ).json<Job>()
  const ended = new Promise<Job>(resolve => {
    jobs.watch(job.id, seen => {
      if (seen.finishedAt !== undefined) resolve(seen)
    })
  })
  while ((await waiting()) === 0)
    if ((await jobs.get('acme', job.id)).finishedAt !== undefined) throw new Error('The backup has not waited.')
  await app.inject({ method: 'DELETE', url: `/api/backup/jobs/${job.id}`, headers: as() })
  const { finishedAt, ...cancelled } = await ended
  t.match(cancelled, { state: 'cancelled', phase: 'snapshot', error: { code: 'JOB_CANCELLED' } })
  t.ok(Date.parse(finishedAt!) - Date.parse(job.startedAt) < 60_000, "the wait's own limit has not ended it")
  t.equal(
    (
      await migration`SELECT FROM pg_locks WHERE granted AND relation = 'things'::regclass AND mode = 'AccessExclusiveLock'`
    ).length,
    1,
    'it is held'
  )
  // Without its session's end the wait would go on for as long as the lock is held.
  while ((await waiting()) > 0) await migration`SELECT`
  await migration.unsafe('ROLLBACK')
  t.equal(
    (await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'database' } }))
      .statusCode,
    201
  )
})

t.test('closing waits for the jobs, tells the watchers, and refuses new jobs', async t => {
  const service = await buildTestApp(t)
  const { app, as, jobs, gate } = service
  const { job, finish } = await startJob(service)
  const { events } = await watch(service, job.id)
  await events.next()
  const stopping = new Promise<void>(resolve => {
    const { stop } = jobs
    jobs.stop = async (...args) => {
      const stopped = stop(...args)
      resolve()
      await stopped
    }
  })
  const closed = app.close()
  await stopping
  t.match(gate.reason(), { code: 'SERVICE_STOPPING' })
  finish('made in time')
  t.match((await events.next()).value, { event: 'result', job: { state: 'succeeded', result: 'made in time' } })
  await closed
  t.ok(as())
})
