import { pino } from 'pino'
import t from 'tap'
import { AppError, type ErrorCode } from '../../src/errors.js'
import type { Job } from '../../src/jobs/job.js'
import type { JobContext } from '../../src/jobs/progress.js'
import { createJobRunner, type JobRequest } from '../../src/jobs/runner.js'

const log = pino({ level: 'silent' })

/** Work that goes on until it is told how to end, or cancelled. */
function openWork () {
  let finish: (value: string) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  let begin: (job: JobContext) => void = () => {}
  const began = new Promise<JobContext>(resolve => { begin = resolve })
  const run = async (job: JobContext): Promise<string> => {
    begin(job)
    return await new Promise((resolve, reject) => {
      finish = resolve
      fail = reject
      job.signal.addEventListener('abort', () => { reject(job.signal.reason as Error) })
    })
  }
  return { run, began, finish: (value: string) => { finish(value) }, fail: (error: unknown) => { fail(error) } }
}

function request<Result> (run: JobRequest<Result>['run'], rest: Partial<JobRequest<Result>> = {}): JobRequest<Result> {
  return { kind: 'create', organizationId: 'acme', run, ...rest }
}

const code = (code: ErrorCode) => ({ name: 'AppError', code })

t.test('a job remembers its answer', async t => {
  const jobs = createJobRunner({ log })
  const { job, done } = jobs.start(request(async () => ({ id: 'made' })))
  t.match(job, { kind: 'create', organizationId: 'acme', state: 'running', bytesDone: 0, bytesTotal: null, cancellable: true })
  t.notOk('backupId' in job)
  t.same(await done, { id: 'made' })
  t.match(jobs.get('acme', job.id), { state: 'succeeded', result: { id: 'made' }, cancellable: false, finishedAt: String })
  t.throws(() => jobs.cancel('acme', job.id), code('JOB_CONFLICT'))
})

t.test('a failed job remembers why, and what is unexpected stays inside', async t => {
  const jobs = createJobRunner({ log })
  const known = jobs.start(request(async () => { throw new AppError('DISK_FULL', 'disk-full', 'The disk is full.') }))
  await t.rejects(known.done, code('DISK_FULL'))
  t.match(jobs.get('acme', known.job.id), { state: 'failed', error: { code: 'DISK_FULL', reason: 'disk-full', message: 'The disk is full.', remedy: /./ } })
  const unknown = jobs.start(request(async () => { throw new Error('password=hunter2') }))
  await t.rejects(unknown.done, { message: 'password=hunter2' })
  t.match(jobs.get('acme', unknown.job.id), { state: 'failed', error: { code: 'INTERNAL_ERROR' } })

  const errors = [{ field: 'public.users', reason: 'value-taken', message: 'one' }]
  const listing = jobs.start(request(async () => { throw new AppError('RESTORE_CONFLICT', 'conflicts-with-live', 'No.', { errors }) }))
  await t.rejects(listing.done)
  t.strictSame(jobs.get('acme', listing.job.id).error?.errors, errors, 'what the remedy calls listed is there')
  t.notMatch(JSON.stringify(jobs.list('acme')), /hunter2/)
})

t.test('as many as there are places work at the same time; the others begin in the order in which they came', async t => {
  const jobs = createJobRunner({ log, places: 2 })
  const began: string[] = []
  const works = Array.from({ length: 6 }, () => openWork())
  const started = works.map((work, index) => jobs.start(request(async job => {
    began.push(`org-${index}`)
    return await work.run(job)
  }, { organizationId: `org-${index}` })))
  t.same(started.map(({ job }) => job.state), ['running', 'running', 'queued', 'queued', 'queued', 'queued'])
  t.same(started[2]?.job.phase, 'waiting')
  t.throws(() => jobs.start(request(async () => '', { organizationId: 'org-3' })), { code: 'JOB_CONFLICT', reason: 'job-of-organization-runs' })
  await jobs.start(request(async () => '', { organizationId: 'light', light: true })).done
  await works[1]?.began
  t.same(began, ['org-0', 'org-1'])
  jobs.cancel('org-3', started[3]!.job.id)
  await t.rejects(started[3]!.done, code('JOB_CANCELLED'))
  t.match(jobs.get('org-3', started[3]!.job.id), { state: 'cancelled', finishedAt: String })
  for (const index of [0, 1, 2, 4]) {
    await works[index]?.began
    works[index]?.finish('done')
    await started[index]!.done
  }
  await works[5]?.began
  t.same(began, ['org-0', 'org-1', 'org-2', 'org-4', 'org-5'])
  works[5]?.finish('done')
  t.equal(await started[5]!.done, 'done')
})

t.test('a stop cancels at once what waits, and lets what runs end', async t => {
  const jobs = createJobRunner({ log, places: 1 })
  const work = openWork()
  const running = jobs.start(request(work.run))
  const queued = jobs.start(request(async () => 'never', { organizationId: 'globex' }))
  await work.began
  const stopped = jobs.stop()
  await t.rejects(queued.done, code('SERVICE_STOPPING'))
  work.finish('done')
  t.equal(await running.done, 'done')
  await stopped
})

t.test('nobody needs to wait for a job that fails', async t => {
  const jobs = createJobRunner({ log })
  const { job } = jobs.start(request(async () => { throw new Error('nobody listens') }))
  await new Promise<void>(resolve => { jobs.subscribe(job.id, ({ state }) => { if (state === 'failed') resolve() }) })
  t.equal(jobs.get('acme', job.id).state, 'failed')
})

t.test('one job an organization at a time', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  t.throws(() => jobs.start(request(work.run, { kind: 'restore' })), { ...code('JOB_CONFLICT'), message: new RegExp(`create job.*${job.id}`) })
  await jobs.start(request(async () => {}, { organizationId: 'other' })).done
  await work.began
  work.finish('done')
  t.equal(await done, 'done')
  await jobs.start(request(async () => {})).done
})

t.test('an exclusive job runs alone, and tells nothing about other organizations\' jobs', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  const refused = t.throws(() => jobs.start(request(work.run, { kind: 'restore', organizationId: 'other', exclusive: true })), code('JOB_CONFLICT'))
  t.notMatch(String(refused), new RegExp(`${job.id}|acme`))
  await work.began
  work.finish('')
  await done

  const exclusive = openWork()
  const restore = jobs.start(request(exclusive.run, { kind: 'restore', exclusive: true }))
  t.throws(() => jobs.start(request(work.run, { organizationId: 'other' })), { ...code('JOB_CONFLICT'), reason: 'database-in-use-by-job' })
  await exclusive.began
  exclusive.finish('')
  await restore.done
  await jobs.start(request(async () => {}, { organizationId: 'other' })).done
})

t.test('another organization\'s job is not found', async t => {
  const jobs = createJobRunner({ log })
  const { job, done } = jobs.start(request(async () => {}))
  await done
  t.throws(() => jobs.get('other', job.id), code('JOB_NOT_FOUND'))
  t.throws(() => jobs.cancel('other', job.id), code('JOB_NOT_FOUND'))
  t.same(jobs.list('other'), [])
})

t.test('cancel', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  await work.began
  t.equal(jobs.cancel('acme', job.id).state, 'running', 'it ends when the work has ended')
  await t.rejects(done, code('JOB_CANCELLED'))
  t.match(jobs.get('acme', job.id), { state: 'cancelled', error: { code: 'JOB_CANCELLED' } })
})

t.test('what a cancelled job dies of does not matter, unless it could not clean up', async t => {
  const jobs = createJobRunner({ log })
  async function cancelWith (error: Error): Promise<Job> {
    const { job, done } = jobs.start(request(async ({ signal }) => {
      await new Promise(resolve => { signal.addEventListener('abort', resolve) })
      throw error
    }))
    await Promise.resolve().then(() => {})
    jobs.cancel('acme', job.id)
    await t.rejects(done)
    return jobs.get('acme', job.id)
  }
  t.match(await cancelWith(new AppError('DUMP_FAILED', 'pg-dump-failed', 'pg_dump was killed.')), { state: 'cancelled', error: { code: 'JOB_CANCELLED' } })
  t.match(await cancelWith(new AppError('RESTORE_UNFINISHED', 'not-taken-back', 'The rollback failed.')), { state: 'failed', error: { code: 'RESTORE_UNFINISHED' } })
})

t.test('past its commit point a job is not cancelled', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  const { progress, signal } = await work.began
  progress.phase('commit')
  progress.uncancellable()
  t.throws(() => jobs.cancel('acme', job.id), { ...code('JOB_CONFLICT'), reason: 'job-not-cancellable' })
  t.equal(signal.aborted, false)
  work.finish('committed')
  t.equal(await done, 'committed')
})

t.test('subscribers see the changes, the end last, and then nothing', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  const seen: Job[] = []
  jobs.subscribe(job.id, job => { seen.push(job) })
  const unsubscribed: Job[] = []
  jobs.subscribe(job.id, job => { unsubscribed.push(job) })()
  const { progress } = await work.began
  progress.phase('dump')
  progress.total(2048)
  progress.advance(1024)
  progress.advance(1024)
  work.finish('made')
  await done
  progress.phase('late')
  t.match(seen[0], { phase: 'dump', state: 'running' })
  t.match(seen[1], { bytesTotal: 2048 })
  t.match(seen.at(-1), { state: 'succeeded', bytesDone: 2048, result: 'made' })
  t.same(unsubscribed, [])
})

t.test('the last hundred finished jobs are kept, newest first', async t => {
  const jobs = createJobRunner({ log })
  await jobs.start(request(async () => {}, { organizationId: 'other' })).done
  const ids: string[] = []
  for (let i = 0; i < 103; i++) {
    const { job, done } = jobs.start(request(async () => {}))
    ids.push(job.id)
    await done
  }
  t.same(jobs.list('acme').map(({ id }) => id), ids.slice(3).reverse())
  t.equal(jobs.list('other').length, 1)
})

t.test('upkeep runs beside no job, and a job that comes meanwhile waits for it', async t => {
  const jobs = createJobRunner({ log })
  const order: string[] = []
  let finish: () => void = () => {}
  const upkept = jobs.upkeep(async () => {
    order.push('upkeep begins')
    await new Promise<void>(resolve => { finish = resolve })
    order.push('upkeep ends')
  })
  await new Promise(resolve => { setImmediate(resolve) })
  const { done } = jobs.start(request(async () => { order.push('job') }))
  t.equal(await jobs.upkeep(async () => { order.push('never') }), false, 'a job is there')
  finish()
  t.equal(await upkept, true)
  await done
  t.same(order, ['upkeep begins', 'upkeep ends', 'job'])
  await t.rejects(jobs.upkeep(async () => { throw new Error('no luck') }), { message: 'no luck' })
  await jobs.start(request(async () => {})).done
  await jobs.stop()
  t.equal(await jobs.upkeep(async () => { order.push('never') }), false, 'stopped')
})

t.test('what a job leaves is done after its answer and before the next job, unless it failed', async t => {
  const jobs = createJobRunner({ log })
  const order: string[] = []
  let finish: () => void = () => {}
  const first = jobs.start(request(async context => {
    await context.afterwards(async () => {
      await new Promise<void>(resolve => { finish = resolve })
      order.push('left')
    })
    order.push('first')
  }))
  await first.done
  t.equal(jobs.get('acme', first.job.id).state, 'succeeded')
  const second = jobs.start(request(async context => {
    order.push('second')
    await context.afterwards(async () => { throw new Error('no luck') })
  }, { organizationId: 'other' }))
  const idle = jobs.idle().then(() => { order.push('idle') })
  t.same(order, ['first'])
  finish()
  await second.done
  await idle
  t.same(order, ['first', 'left', 'second', 'idle'])
  await t.rejects(jobs.start(request(async context => {
    await context.afterwards(async () => { order.push('never') })
    throw new Error('failed')
  })).done, { message: 'failed' })

  const last = jobs.start(request(async context => { await context.afterwards(async () => { order.push('before the stop') }) }))
  await jobs.stop()
  await last.done
  t.same(order.slice(4), ['before the stop'])
})

t.test('while it is told to refuse, nothing starts', async t => {
  const jobs = createJobRunner({ log })
  jobs.refuse(new AppError('DATABASE_UNAVAILABLE', 'unreachable', 'The database is down.'))
  t.throws(() => jobs.start(request(async () => {})), code('DATABASE_UNAVAILABLE'))
  jobs.refuse(null)
  await jobs.start(request(async () => {})).done
})

t.test('stop lets running jobs end', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { done } = jobs.start(request(work.run))
  await work.began
  const stopped = jobs.stop()
  t.throws(() => jobs.start(request(work.run, { organizationId: 'other' })), code('SERVICE_STOPPING'))
  jobs.refuse(null)
  t.match(jobs.refusal(), code('SERVICE_STOPPING'))
  work.finish('in time')
  await stopped
  t.equal(await done, 'in time')
})

t.test('stop cancels what does not end in time, but never what is past its commit point', async t => {
  const jobs = createJobRunner({ log })
  const slow = openWork()
  const committing = openWork()
  const cancelled = jobs.start(request(slow.run))
  const committed = jobs.start(request(committing.run, { organizationId: 'other' }))
  await slow.began
  const context = await committing.began
  context.progress.uncancellable()
  const stopped = jobs.stop(0)
  await t.rejects(cancelled.done, code('SERVICE_STOPPING'))
  t.equal(jobs.get('acme', cancelled.job.id).state, 'cancelled')
  t.equal(context.signal.aborted, false)
  committing.finish('safe')
  await stopped
  t.equal(await committed.done, 'safe')
})

t.test('stop can be asked to hurry, which cancels at once what else had time left', async t => {
  const jobs = createJobRunner({ log })
  const work = openWork()
  const { done } = jobs.start(request(work.run))
  await work.began
  const stopped = jobs.stop()
  const hurried = jobs.stop(0)
  await t.rejects(done, code('SERVICE_STOPPING'))
  await Promise.all([stopped, hurried])
})

t.test('a restore that could be moved neither way is told, so that jobs can be refused until it is finished', async t => {
  const told: AppError[] = []
  const runner = createJobRunner({ log, onUnfinished: reason => { told.push(reason) } })
  const unfinished = new AppError('RESTORE_UNFINISHED', 'not-finished', 'Half way.')
  await t.rejects(runner.start({ kind: 'restore', organizationId: 'acme', run: async () => { throw unfinished } }).done, unfinished)
  await t.rejects(runner.start({ kind: 'create', organizationId: 'acme', run: async () => { throw new AppError('DISK_FULL', 'disk-full', 'Full.') } }).done)
  t.strictSame(told, [unfinished])
})

t.test('idle() waits for the jobs that run', async t => {
  const runner = createJobRunner({ log })
  let finish: (() => void) | undefined
  const job = runner.start({ kind: 'create', organizationId: 'acme', run: async () => { await new Promise<void>(resolve => { finish = resolve }) } })
  let isIdle = false
  const idle = runner.idle().then(() => { isIdle = true })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(isIdle, false)
  finish?.()
  await job.done
  await idle
  t.equal(isIdle, true)
})
