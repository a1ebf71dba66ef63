import { pino } from 'pino'
import t from 'tap'
import { AppError, type ErrorCode } from '../../src/errors.js'
import type { Job } from '../../src/jobs/job.js'
import type { JobContext } from '../../src/jobs/context.js'
import { createGate, type Gate } from '../../src/jobs/gate.js'
import { createMemoryQueue, type MemoryQueueOptions } from '../../src/jobs/memory-queue.js'
import type { Queue } from '../../src/jobs/queue.js'
import { createRecentJobs } from '../../src/jobs/recent-jobs.js'
import { database } from '../../src/jobs/resources.js'
import { createWorker } from '../../src/jobs/worker.js'
import { operations } from '../../src/operations/all.js'
import { startWork, untilIdle, withWork, type WorkRequest } from '../support/work.js'
import { testCore } from '../support/core.js'
import { keptLog } from '../support/kept-log.js'

const { core } = await testCore(t)
const log = pino({ level: 'silent' })

interface TestQueue extends Queue {
  gate: Gate
  start: (request: WorkRequest) => ReturnType<typeof startWork>
}

function createQueue(options: Partial<MemoryQueueOptions> = {}): TestQueue {
  const gate = createGate()
  const queue = createMemoryQueue({ log, gate, history: createRecentJobs(), ...options })
  queue.serve(createWorker(core, withWork(operations)))
  return { ...queue, gate, start: request => startWork(queue, request) }
}

/** Work that goes on until it is told how to end, or cancelled. */
function openWork() {
  let finish: (value: string) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  let begin: (job: JobContext) => void = () => {}
  const began = new Promise<JobContext>(resolve => {
    begin = resolve
  })
  const run = async (job: JobContext): Promise<string> => {
    begin(job)
    return await new Promise((resolve, reject) => {
      finish = resolve
      fail = reject
      job.signal.addEventListener('abort', () => {
        reject(job.signal.reason as Error)
      })
    })
  }
  return {
    run,
    began,
    finish: (value: string) => {
      finish(value)
    },
    fail: (error: unknown) => {
      fail(error)
    }
  }
}

const request = (run: WorkRequest['run'], rest: Partial<WorkRequest> = {}): WorkRequest => ({ run, ...rest })

const code = (code: ErrorCode) => ({ name: 'AppError', code })

t.test('a job remembers its answer', async t => {
  const jobs = createQueue()
  const { job, done } = jobs.start(request(async () => ({ id: 'made' })))
  t.match(job, {
    kind: 'create',
    organizationId: 'acme',
    state: 'running',
    bytesDone: 0,
    bytesTotal: null,
    cancellable: true
  })
  t.notOk('backupId' in job)
  t.same(await done, { id: 'made' })
  t.match(await jobs.get('acme', job.id), {
    state: 'succeeded',
    result: { id: 'made' },
    cancellable: false,
    finishedAt: String
  })
  await t.rejects(jobs.cancel('acme', job.id), code('JOB_CONFLICT'))
})

t.test('a failed job remembers why, and what is unexpected stays inside', async t => {
  const jobs = createQueue()
  const known = jobs.start(
    request(async () => {
      throw new AppError('DISK_FULL', 'disk-full', 'The disk is full.')
    })
  )
  await t.rejects(known.done, code('DISK_FULL'))
  t.match(await jobs.get('acme', known.job.id), {
    state: 'failed',
    error: { code: 'DISK_FULL', reason: 'disk-full', message: 'The disk is full.', remedy: /./ }
  })
  const unknown = jobs.start(
    request(async () => {
      throw new Error('password=hunter2')
    })
  )
  await t.rejects(unknown.done, { message: 'password=hunter2' })
  t.match(await jobs.get('acme', unknown.job.id), { state: 'failed', error: { code: 'INTERNAL_ERROR' } })

  const errors = [{ field: 'public.users', reason: 'value-taken', message: 'one' }]
  const listing = jobs.start(
    request(async () => {
      throw new AppError('RESTORE_CONFLICT', 'conflicts-with-live', 'No.', { errors })
    })
  )
  await t.rejects(listing.done)
  t.strictSame((await jobs.get('acme', listing.job.id)).error?.errors, errors, 'what the remedy calls listed is there')
  t.notMatch(JSON.stringify(await jobs.list('acme')), /hunter2/)
})

t.test(
  'as many as there are places work at the same time; the others begin in the order in which they came',
  async t => {
    const jobs = createQueue({ places: 2 })
    const began: string[] = []
    const works = Array.from({ length: 6 }, () => openWork())
    const started = works.map((work, index) =>
      jobs.start(
        request(
          async job => {
            began.push(`org-${index}`)
            return await work.run(job)
          },
          { organizationId: `org-${index}` }
        )
      )
    )
    t.same(
      started.map(({ job }) => job.state),
      ['running', 'running', 'queued', 'queued', 'queued', 'queued']
    )
    t.same(started[2]?.job.phase, 'waiting')
    t.throws(() => jobs.start(request(async () => '', { organizationId: 'org-3' })), {
      code: 'JOB_CONFLICT',
      reason: 'job-of-organization-runs'
    })
    await jobs.start(request(async () => '', { organizationId: 'light', light: true })).done
    await works[1]?.began
    t.same(began, ['org-0', 'org-1'])
    await jobs.cancel('org-3', started[3]!.job.id)
    await t.rejects(started[3]!.done, code('JOB_CANCELLED'))
    t.match(await jobs.get('org-3', started[3]!.job.id), { state: 'cancelled', finishedAt: String })
    for (const index of [0, 1, 2, 4]) {
      await works[index]?.began
      works[index]?.finish('done')
      await started[index]!.done
    }
    await works[5]?.began
    t.same(began, ['org-0', 'org-1', 'org-2', 'org-4', 'org-5'])
    works[5]?.finish('done')
    t.equal(await started[5]!.done, 'done')
  }
)

t.test('a stop cancels at once what waits, and lets what runs end', async t => {
  const jobs = createQueue({ places: 1 })
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
  const jobs = createQueue()
  const { job } = jobs.start(
    request(async () => {
      throw new Error('nobody listens')
    })
  )
  await new Promise<void>(resolve => {
    jobs.watch(job.id, ({ state }) => {
      if (state === 'failed') resolve()
    })
  })
  t.equal((await jobs.get('acme', job.id)).state, 'failed')
})

t.test('one job an organization at a time', async t => {
  const jobs = createQueue()
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  t.throws(() => jobs.start(request(work.run, { kind: 'restore' })), {
    ...code('JOB_CONFLICT'),
    message: new RegExp(`create job.*${job.id}`)
  })
  await jobs.start(request(async () => {}, { organizationId: 'other' })).done
  await work.began
  work.finish('done')
  t.equal(await done, 'done')
  await jobs.start(request(async () => {})).done
})

t.test("an exclusive job runs alone, and tells nothing about other organizations' jobs", async t => {
  const jobs = createQueue()
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  const refused = t.throws(
    () => jobs.start(request(work.run, { kind: 'restore', organizationId: 'other', exclusive: true })),
    code('JOB_CONFLICT')
  )
  t.notMatch(String(refused), new RegExp(`${job.id}|acme`))
  await work.began
  work.finish('')
  await done

  const exclusive = openWork()
  const restore = jobs.start(request(exclusive.run, { kind: 'restore', exclusive: true }))
  t.throws(() => jobs.start(request(work.run, { organizationId: 'other' })), {
    ...code('JOB_CONFLICT'),
    reason: 'database-in-use-by-job'
  })
  await exclusive.began
  exclusive.finish('')
  await restore.done
  await jobs.start(request(async () => {}, { organizationId: 'other' })).done
})

t.test("another organization's job is not found", async t => {
  const jobs = createQueue()
  const { job, done } = jobs.start(request(async () => {}))
  await done
  await t.rejects(jobs.get('other', job.id), code('JOB_NOT_FOUND'))
  await t.rejects(jobs.cancel('other', job.id), code('JOB_NOT_FOUND'))
  t.same(await jobs.list('other'), [])
})

t.test('cancel', async t => {
  const jobs = createQueue()
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  await work.began
  t.equal((await jobs.cancel('acme', job.id)).state, 'running', 'it ends when the work has ended')
  await t.rejects(done, code('JOB_CANCELLED'))
  t.match(await jobs.get('acme', job.id), { state: 'cancelled', error: { code: 'JOB_CANCELLED' } })
})

t.test('what a cancelled job dies of does not matter, unless it could not clean up', async t => {
  const jobs = createQueue()
  async function cancelWith(error: Error): Promise<Job> {
    const { job, done } = jobs.start(
      request(async ({ signal }) => {
        await new Promise(resolve => {
          signal.addEventListener('abort', resolve)
        })
        throw error
      })
    )
    await Promise.resolve().then(() => {})
    await jobs.cancel('acme', job.id)
    await t.rejects(done)
    return await jobs.get('acme', job.id)
  }
  t.match(await cancelWith(new AppError('DUMP_FAILED', 'pg-dump-failed', 'pg_dump was killed.')), {
    state: 'cancelled',
    error: { code: 'JOB_CANCELLED' }
  })
  t.match(await cancelWith(new AppError('RESTORE_UNFINISHED', 'not-taken-back', 'The rollback failed.')), {
    state: 'failed',
    error: { code: 'RESTORE_UNFINISHED' }
  })
})

t.test('past its commit point a job is not cancelled', async t => {
  const jobs = createQueue()
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  const { progress, signal } = await work.began
  progress.phase('commit')
  progress.uncancellable()
  await t.rejects(jobs.cancel('acme', job.id), { ...code('JOB_CONFLICT'), reason: 'job-not-cancellable' })
  t.equal(signal.aborted, false)
  work.finish('committed')
  t.equal(await done, 'committed')
})

t.test('subscribers see the changes, the end last, and then nothing', async t => {
  const jobs = createQueue()
  const work = openWork()
  const { job, done } = jobs.start(request(work.run))
  const seen: Job[] = []
  jobs.watch(job.id, job => {
    seen.push(job)
  })
  const unsubscribed: Job[] = []
  jobs.watch(job.id, job => {
    unsubscribed.push(job)
  })()
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
  const jobs = createQueue()
  await jobs.start(request(async () => {}, { organizationId: 'other' })).done
  const ids: string[] = []
  for (let i = 0; i < 103; i++) {
    const { job, done } = jobs.start(request(async () => {}))
    ids.push(job.id)
    await done
  }
  t.same(
    (await jobs.list('acme')).map(({ id }) => id),
    ids.slice(3).reverse()
  )
  t.equal((await jobs.list('other')).length, 1)
})

t.test('upkeep waits for the jobs that hold what it needs, and a job that comes meanwhile waits for it', async t => {
  const jobs = createQueue()
  const order: string[] = []
  const upkeep = (begun: string): Promise<void> =>
    jobs.upkeep({ kind: 'expire-checkpoints', params: { begun }, resources: [database('exclusive')] })
  const works = { first: openWork(), upkeep: openWork() }
  jobs.serve(
    createWorker(
      core,
      withWork(
        operations.map(operation =>
          operation.kind !== 'expire-checkpoints'
            ? operation
            : {
                ...operation,
                async run(_core, { begun }: { begun: string }, context) {
                  order.push(begun)
                  if (begun === 'no luck') throw new Error('no luck')
                  await works.upkeep.run(context)
                }
              }
        )
      )
    )
  )
  t.equal(jobs.isIdle(), true)
  const first = jobs.start(request(works.first.run))
  await works.first.began
  const kept = upkeep('upkeep')
  t.equal(jobs.isIdle(), false)
  const second = jobs.start(
    request(
      async () => {
        order.push('second')
      },
      { organizationId: 'other' }
    )
  )
  t.match(second.job, { state: 'queued', phase: 'waiting' }, 'it does not overtake')
  t.same(order, [])
  works.first.finish('')
  await first.done
  await works.upkeep.began
  const third = jobs.start(
    request(async () => {
      order.push('third')
    })
  )
  t.equal(third.job.state, 'queued', 'upkeep refuses no job')
  works.upkeep.finish('')
  await kept
  await Promise.all([second.done, third.done])
  t.same(order, ['upkeep', 'second', 'third'])
  await t.rejects(upkeep('no luck'), { message: 'no luck' })
  t.same(
    (await jobs.list('acme')).map(({ kind }) => kind),
    ['create', 'create'],
    'no list shows it'
  )
  await jobs.start(request(async () => {})).done
})

t.test('what follows a job is done after its answer, with its resources, unless it failed', async t => {
  const jobs = createQueue()
  const order: string[] = []
  const follower = openWork()
  let fails = false
  jobs.serve(
    createWorker(
      core,
      withWork(
        operations.map(operation =>
          operation.kind !== 'release-checkpoints'
            ? operation
            : {
                ...operation,
                async run(_core, { keep }: { keep: string }, context) {
                  if (fails) throw new Error('no luck')
                  if (keep === 'first') await follower.run(context)
                  order.push(`after ${keep}`)
                }
              }
        )
      )
    )
  )
  const work =
    (name: string) =>
    async (context: JobContext): Promise<void> => {
      await context.followUp({ kind: 'release-checkpoints', params: { organizationId: 'acme', keep: name } })
      order.push(name)
    }
  const first = jobs.start(request(work('first')))
  await first.done
  t.equal((await jobs.get('acme', first.job.id)).state, 'succeeded')
  const second = jobs.start(request(work('second')))
  t.equal(second.job.state, 'queued', 'the next of the organization waits')
  await jobs.start(
    request(
      async () => {
        order.push('other')
      },
      { organizationId: 'other' }
    )
  ).done
  await jobs.start(
    request(
      async () => {
        order.push('third')
      },
      { organizationId: 'third' }
    )
  ).done
  await follower.began
  t.same(order, ['first', 'other', 'third'])
  follower.finish('')
  await second.done
  await untilIdle(jobs)
  t.same(order, ['first', 'other', 'third', 'after first', 'second', 'after second'])
  await t.rejects(
    jobs.start(
      request(async context => {
        await work('failed')(context)
        throw new Error('failed')
      })
    ).done,
    { message: 'failed' }
  )
  await untilIdle(jobs)
  t.notOk(order.includes('after failed'))
  fails = true
  await jobs.start(request(work('unlucky'))).done
  await untilIdle(jobs)
  fails = false

  const last = jobs.start(request(work('last')))
  await jobs.stop()
  await last.done
  t.same(order.slice(-2), ['last', 'after last'], 'a stop waits for it')
})

t.test('while it is told to refuse, nothing starts', async t => {
  const jobs = createQueue()
  jobs.gate.set(new AppError('DATABASE_UNAVAILABLE', 'unreachable', 'The database is down.'))
  t.throws(() => jobs.start(request(async () => {})), code('DATABASE_UNAVAILABLE'))
  jobs.gate.set(null)
  await jobs.start(request(async () => {})).done
})

t.test('stop lets running jobs end', async t => {
  const jobs = createQueue()
  const work = openWork()
  const { done } = jobs.start(request(work.run))
  await work.began
  const stopped = jobs.stop()
  t.throws(() => jobs.start(request(work.run, { organizationId: 'other' })), code('SERVICE_STOPPING'))
  jobs.gate.set(null)
  t.match(jobs.gate.reason(), code('SERVICE_STOPPING'))
  work.finish('in time')
  await stopped
  t.equal(await done, 'in time')
})

t.test('stop cancels what does not end in time, but never what is past its commit point', async t => {
  const jobs = createQueue()
  const slow = openWork()
  const committing = openWork()
  const cancelled = jobs.start(request(slow.run))
  const committed = jobs.start(request(committing.run, { organizationId: 'other' }))
  await slow.began
  const context = await committing.began
  context.progress.uncancellable()
  const stopped = jobs.stop(0)
  await t.rejects(cancelled.done, code('SERVICE_STOPPING'))
  t.equal((await jobs.get('acme', cancelled.job.id)).state, 'cancelled')
  t.equal(context.signal.aborted, false)
  committing.finish('safe')
  await stopped
  t.equal(await committed.done, 'safe')
})

t.test('stop can be asked to hurry, which cancels at once what else had time left', async t => {
  const jobs = createQueue()
  const work = openWork()
  const { done } = jobs.start(request(work.run))
  await work.began
  const stopped = jobs.stop()
  const hurried = jobs.stop(0)
  await t.rejects(done, code('SERVICE_STOPPING'))
  await Promise.all([stopped, hurried])
})

t.test(
  'a restore that could be moved neither way is told, so that jobs can be refused until it is finished',
  async t => {
    const told: AppError[] = []
    const jobs = createQueue({
      onUnfinished: reason => {
        told.push(reason)
      }
    })
    const unfinished = new AppError('RESTORE_UNFINISHED', 'not-finished', 'Half way.')
    await t.rejects(
      jobs.start({
        kind: 'restore',
        run: async () => {
          throw unfinished
        }
      }).done,
      unfinished
    )
    await t.rejects(
      jobs.start({
        run: async () => {
          throw new AppError('DISK_FULL', 'disk-full', 'Full.')
        }
      }).done
    )
    t.strictSame(told, [unfinished])
  }
)

t.test("a finished job that can't be kept is told in the log, and its answer stays", async t => {
  const recent = createRecentJobs()
  const { log, lines } = keptLog()
  const jobs = createQueue({
    log,
    history: {
      ...recent,
      async keep(job) {
        await recent.keep(job)
        throw new AppError('REPOSITORY_UNAVAILABLE', 'file-eio', 'The disk is away.')
      }
    }
  })
  const { job, done } = jobs.start(request(async () => 'made'))
  t.equal(await done, 'made')
  t.match(await jobs.get('acme', job.id), { state: 'succeeded', result: 'made' })
  t.match(
    lines.filter(({ level }) => level === 50),
    [{ jobId: job.id, err: { message: 'The disk is away.' } }]
  )
})

t.test("parameters that are not the operation's end the job, and are no data of a caller", async t => {
  const jobs = createQueue()
  jobs.serve(createWorker(core, operations))
  const { done } = jobs.start(request(async () => {}))
  await t.rejects(done, { name: 'TypeError', message: /^Parameters of create: .*organizationId/ })
})
