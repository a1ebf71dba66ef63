import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { contextOf, endOf, newEntry, newJob, type Entry } from './entry.js'
import type { Gate } from './gate.js'
import { isActive, type Job } from './job.js'
import { failureOf, isUnfinished } from './outcome.js'
import type { JobHistory, JobRequest, Queue, UpkeepRequest, Work } from './queue.js'
import { conflictOf, database, place, type Resource } from './resources.js'

export interface MemoryQueueOptions {
  log: Log
  gate: Gate
  /** Jobs that hold a place at the same time. */
  places?: number
  /** Where jobs are kept that have ended. */
  history: JobHistory
  /** Told when a restore could be moved neither way: jobs are to be refused until it is finished. */
  onUnfinished?: (reason: AppError) => void
}

/** A queue for one process. Jobs that have not ended are lost with it. */
export function createMemoryQueue({
  log,
  gate,
  places = Infinity,
  history,
  onUnfinished = () => {}
}: MemoryQueueOptions): Queue {
  /** Every job that has not ended. */
  const entries = new Map<string, Entry & { job: Job }>()
  const waiting: Entry[] = []
  const running = new Set<Entry>()
  let work: Work | null = null
  let endGrace = (): void => {}
  const graceOver = new Promise<void>(resolve => {
    endGrace = resolve
  })
  let stopping: Promise<void> | undefined

  /** In their order, but past those whose resources are held: none overtakes another that needs the same. */
  function startDue(): void {
    if (work === null) return
    const held = [...running].flatMap(({ resources }) => resources)
    for (const entry of [...waiting]) {
      if (fits(entry.resources, held)) begin(entry, work)
      held.push(...entry.resources)
    }
  }

  function fits(needed: readonly Resource[], held: readonly Resource[]): boolean {
    return (
      conflictOf(needed, held) === undefined &&
      (!needed.includes(place) || held.filter(({ name }) => name === place.name).length < places)
    )
  }

  function begin(entry: Entry, work: Work): void {
    waiting.splice(waiting.indexOf(entry), 1)
    running.add(entry)
    if (entry.job !== null) Object.assign(entry.job, { state: 'running', phase: 'starting' })
    void perform(entry, work)
  }

  async function perform(entry: Entry, work: Work): Promise<void> {
    const {
      kind,
      params,
      resources,
      controller: { signal }
    } = entry
    try {
      // The caller is to have the job before anything of it happens.
      await Promise.resolve()
      signal.throwIfAborted()
      const { result, followUps } = await work({ kind, params, resources, context: contextOf(entry) })
      await close(entry, { state: 'succeeded', result })
      // In one step, so that no other job comes between this one and what follows it.
      running.delete(entry)
      follow(entry, followUps)
      entry.resolve(result)
      startDue()
    } catch (error) {
      await fail(entry, error)
    }
  }

  async function fail(entry: Entry, error: unknown): Promise<void> {
    const { thrown, outcome } = failureOf(error, entry.controller.signal)
    if (entry.job !== null && (thrown !== error || !(error instanceof AppError)))
      log.error({ err: error, jobId: entry.job.id }, 'what ended the job')
    await close(entry, outcome)
    running.delete(entry)
    entry.reject(thrown)
    if (entry.job !== null && isUnfinished(thrown)) onUnfinished(thrown)
    startDue()
  }

  async function close(entry: Entry, outcome: Pick<Job, 'state' | 'error' | 'result'>): Promise<void> {
    const {
      job,
      listeners,
      controller: { signal }
    } = entry
    if (job === null) return
    if (!signal.aborted) job.cancellable = false
    const ended = { ...job, ...outcome, cancellable: false, finishedAt: endOf(job) }
    await keep(ended)
    Object.assign(job, ended)
    entries.delete(job.id)
    for (const listener of listeners) listener({ ...job })
    listeners.clear()
    const { id, kind, state, organizationId } = job
    log.info({ jobId: id, kind, organizationId }, `job ${state}`)
  }

  function follow({ job }: Entry, requests: UpkeepRequest[]): void {
    const followers = requests.map(request => newEntry(request, null))
    for (const { ended } of followers)
      ended.catch((error: unknown) => {
        log.error({ err: error, jobId: job?.id }, 'Follow-up work of a job failed')
      })
    waiting.unshift(...followers)
  }

  async function keep(job: Job): Promise<void> {
    try {
      await history.keep(job)
    } catch (error) {
      log.error({ err: error, jobId: job.id }, 'A finished job could not be kept, so a restart forgets it')
    }
  }

  const own = (organizationId: string): Job[] =>
    [...entries.values()].map(({ job }) => job).filter(job => job.organizationId === organizationId)

  async function finished(organizationId: string, jobId: string): Promise<Job> {
    const kept = await history.find(organizationId, jobId)
    if (kept === null) throw new AppError('JOB_NOT_FOUND', 'no-such-job', `There is no job ${jobId}.`)
    return kept
  }

  /** Work of the service's own is waited for. */
  function refuseConflict({ organizationId, resources }: JobRequest): void {
    const others = [...running, ...waiting].filter(
      (entry): entry is Entry & { job: Job } => entry.job !== null && isActive(entry.job)
    )
    const mine = others.find(({ job }) => job.organizationId === organizationId)?.job
    if (mine !== undefined) {
      throw new AppError(
        'JOB_CONFLICT',
        'job-of-organization-runs',
        `A ${mine.kind} job is ${mine.state} for this organization: ${mine.id}.`
      )
    }
    const other = others.find(entry => conflictOf(resources, entry.resources) !== undefined)
    if (other !== undefined) {
      throw new AppError(
        'JOB_CONFLICT',
        'database-in-use-by-job',
        conflictOf([database('shared')], other.resources) === undefined
          ? 'This needs the whole database, and a job of another organization is running.'
          : 'The whole database is being restored for another organization.',
        { remedy: 'Try again when that job has ended.' }
      )
    }
  }

  function cancel(entry: Entry & { job: Job }, reason: AppError): void {
    entry.controller.abort(reason)
    const place = waiting.indexOf(entry)
    if (place === -1) return
    waiting.splice(place, 1)
    running.add(entry)
    void fail(entry, reason)
  }

  async function endAll(): Promise<void> {
    for (const entry of [...waiting]) if (entry.job !== null) cancel(entry as Entry & { job: Job }, stopped())
    const settled = async (): Promise<void> => {
      while (running.size + waiting.length > 0) {
        await Promise.allSettled(
          [...running, ...waiting].map(async ({ ended }) => {
            await ended
          })
        )
        await Promise.resolve()
      }
    }
    const ended = settled()
    await Promise.race([ended, graceOver])
    for (const { job, controller } of running) if (job?.cancellable === true) controller.abort(stopped())
    await ended
  }

  return {
    enqueue(request) {
      const reason = gate.reason()
      if (reason !== null) throw reason
      refuseConflict(request)
      const job = newJob(request)
      const entry = { ...newEntry(request, job), job }
      entries.set(job.id, entry)
      waiting.push(entry)
      startDue()
      const { id, kind, organizationId, backupId } = job
      log.info({ jobId: id, kind, organizationId, backupId }, `job ${job.state === 'queued' ? 'queued' : 'started'}`)
      return { ...job }
    },

    async upkeep(request) {
      const entry = newEntry(request, null)
      waiting.push(entry)
      startDue()
      await entry.ended
    },

    isIdle: () => running.size + waiting.length === 0,

    async wait(jobId) {
      return await entries.get(jobId)?.ended
    },

    watch(jobId, listener) {
      const listeners = entries.get(jobId)?.listeners
      listeners?.add(listener)
      return () => {
        listeners?.delete(listener)
      }
    },

    async cancel(organizationId, jobId) {
      const entry = entries.get(jobId)
      if (entry?.job.organizationId !== organizationId) {
        const { state } = await finished(organizationId, jobId)
        throw new AppError(
          'JOB_CONFLICT',
          'job-ended',
          `The job has ended already: it ${state === 'failed' ? 'failed' : `is ${state}`}.`,
          { remedy: 'Nothing is left to cancel.' }
        )
      }
      if (!entry.job.cancellable) {
        throw new AppError(
          'JOB_CONFLICT',
          'job-not-cancellable',
          `The job can't be cancelled any more: it is at "${entry.job.phase}".`,
          { remedy: 'Wait for it to end.' }
        )
      }
      cancel(entry, new AppError('JOB_CANCELLED', 'job-cancelled', 'The job was cancelled.'))
      return { ...entry.job }
    },

    async get(organizationId, jobId) {
      const job = entries.get(jobId)?.job
      return job?.organizationId === organizationId ? { ...job } : await finished(organizationId, jobId)
    },

    async list(organizationId) {
      // Before the others, among which a job is that ends meanwhile.
      const active = own(organizationId)
        .map(job => ({ ...job }))
        .reverse()
      const ended = await history.list(organizationId)
      const known = new Set(ended.map(({ id }) => id))
      return [...active.filter(({ id }) => !known.has(id)), ...ended]
    },

    isBusy: organizationId => own(organizationId).length > 0,

    serve(next) {
      work = next
      startDue()
    },

    async stop(graceMs = 30_000) {
      gate.lock(new AppError('SERVICE_STOPPING', 'service-stopping', 'The service is stopping.'))
      const timer = setTimeout(endGrace, graceMs)
      stopping ??= endAll()
      await stopping.finally(() => {
        clearTimeout(timer)
      })
    }
  }
}

function stopped(): AppError {
  return new AppError('SERVICE_STOPPING', 'service-stopping', 'The service is stopping, so the job was cancelled.')
}
