import { randomUUID } from 'node:crypto'
import type { Log } from '../log.js'
import { AppError } from '../errors.js'
import { isActive, type Job, type JobKind } from './job.js'
import { createPlaces } from './places.js'
import type { JobContext } from './progress.js'

export interface JobRequest<Result> {
  kind: JobKind
  organizationId: string
  backupId?: string
  /** It changes what other organizations see, so it runs beside no other job. */
  exclusive?: boolean
  /** It waits for a client for most of its time, so it takes no place from jobs that work. */
  light?: boolean
  run: (job: JobContext) => Promise<Result>
}

export interface StartedJob<Result> {
  job: Job
  /** The operation's own answer or error. Need not be awaited: the job remembers both. */
  done: Promise<Result>
}

export interface JobRunner {
  /** @throws AppError JOB_CONFLICT, or the reason given to refuse() */
  start<Result> (request: JobRequest<Result>): StartedJob<Result>
  /** Asks the job to stop; it ends when it has cleaned up. @throws AppError JOB_NOT_FOUND, JOB_CONFLICT when it can't be stopped any more */
  cancel (organizationId: string, jobId: string): Job
  /** @throws AppError JOB_NOT_FOUND, also for another organization's job */
  get (organizationId: string, jobId: string): Job
  /** Newest first. */
  list (organizationId: string): Job[]
  /** Tells each change of a running job, its end last; at most ten a second while only bytes move. Returns the unsubscriber. */
  subscribe (jobId: string, listener: (job: Job) => void): () => void
  /**
   * Does short work of the service's own while no job runs: a job that starts meanwhile begins after it.
   * Answers false, without doing it, when a job is running or jobs are refused.
   */
  upkeep (work: () => Promise<void>): Promise<boolean>
  /** From now on start() throws `reason`; null allows jobs again. */
  refuse (reason: AppError | null): void
  /** Waits for every job that is running now, and for what it leaves. */
  idle (): Promise<void>
  /** Why start() would throw for every job, or null. */
  refusal (): AppError | null
  /** Refuses new jobs, cancels those that wait, gives running ones `graceMs` (30 s) to end, then cancels them and waits for their end. The shortest grace counts. */
  stop (graceMs?: number): Promise<void>
}

interface Entry {
  job: Job
  exclusive: boolean
  controller: AbortController
  listeners: Set<(job: Job) => void>
  ended: Promise<void>
}

const finishedKept = 100
const progressIntervalMs = 100

export interface JobRunnerOptions {
  log: Log
  /** Jobs that work at the same time; more wait in line. */
  places?: number
  /** Told when a restore could be moved neither way: nothing may be built upon that, so jobs are to be refused until it is finished. */
  onUnfinished?: (reason: AppError) => void
}

/**
 * Runs long work: one job an organization at a time, alone where it is exclusive, so that no organization stands in line twice.
 * Jobs live as long as the process.
 */
export function createJobRunner ({ log, places: count = Infinity, onUnfinished = () => {} }: JobRunnerOptions): JobRunner {
  const entries = new Map<string, Entry>()
  const places = createPlaces(count)
  let refused: AppError | null = null
  let stopping: Promise<void> | undefined
  let endGrace = (): void => {}
  const graceOver = new Promise<void>(resolve => { endGrace = resolve })
  let upkept: Promise<void> = Promise.resolve()

  const active = () => [...entries.values()].filter(({ job }) => isActive(job))

  function find (organizationId: string, jobId: string): Entry {
    const entry = entries.get(jobId)
    if (entry?.job.organizationId !== organizationId) throw new AppError('JOB_NOT_FOUND', 'no-such-job', `There is no job ${jobId}.`)
    return entry
  }

  function requireNoConflict (organizationId: string, exclusive: boolean): void {
    const own = active().find(({ job }) => job.organizationId === organizationId)
    if (own !== undefined) {
      throw new AppError('JOB_CONFLICT', 'job-of-organization-runs', `A ${own.job.kind} job is ${own.job.state} for this organization: ${own.job.id}.`)
    }
    const other = active().find(entry => exclusive || entry.exclusive)
    if (other !== undefined) {
      throw new AppError('JOB_CONFLICT', 'database-in-use-by-job', other.exclusive
        ? 'The whole database is being restored for another organization.'
        : 'This needs the whole database, and a job of another organization is running.', {
        remedy: 'Try again when that job has ended.'
      })
    }
  }

  function forgetOldest (organizationId: string): void {
    const finished = [...entries.values()].filter(({ job }) => job.organizationId === organizationId && !isActive(job))
    for (const { job } of finished.slice(0, Math.max(0, finished.length - finishedKept))) entries.delete(job.id)
  }

  function end (entry: Entry, outcome: Partial<Job>): void {
    Object.assign(entry.job, outcome, { cancellable: false, finishedAt: endOf(entry.job) })
    for (const listener of entry.listeners) listener({ ...entry.job })
    entry.listeners.clear()
    forgetOldest(entry.job.organizationId)
    const { id, kind, state, organizationId } = entry.job
    log.info({ jobId: id, kind, organizationId }, `job ${state}`)
  }

  /** One after the other. @throws its failure; the next job only needs its end */
  async function keepUp (work: () => Promise<void>): Promise<void> {
    const done = upkept.then(work)
    upkept = done.catch(() => {})
    await done
  }

  async function perform<Result> (entry: Entry, run: JobRequest<Result>['run'], place: Promise<() => void>): Promise<Result> {
    const left: Array<() => Promise<void>> = []
    const context = createContext(entry, left)
    let giveBack = (): void => {}
    try {
      // Also when it need not wait: the caller is to have the job before anything of it happens.
      giveBack = await place
      await upkept
      if (entry.job.state === 'queued') {
        entry.job.state = 'running'
        context.progress.phase('starting')
      }
      const result = await run(context)
      // Before the end is told, so that a job that starts then waits for it.
      for (const work of left) keepUp(work).catch((error: unknown) => { log.error({ err: error, jobId: entry.job.id }, 'what a job has left could not be done') })
      end(entry, { state: 'succeeded', result })
      return result
    } catch (error) {
      const reason = cancelReason(entry, error)
      const shown = reason ?? error
      if (shown !== error || !(error instanceof AppError)) log.error({ err: error, jobId: entry.job.id }, 'what ended the job')
      end(entry, { state: reason === null ? 'failed' : 'cancelled', error: describe(shown) })
      if (error instanceof AppError && error.code === 'RESTORE_UNFINISHED') onUnfinished(error)
      throw shown
    } finally {
      giveBack()
    }
  }

  return {
    start ({ kind, organizationId, backupId, exclusive = false, light = false, run }) {
      if (refused !== null) throw refused
      requireNoConflict(organizationId, exclusive)
      const waits = !light && !places.hasFree()
      const job: Job = {
        object: 'job',
        id: randomUUID(),
        kind,
        organizationId,
        ...(backupId === undefined ? {} : { backupId }),
        state: waits ? 'queued' : 'running',
        phase: waits ? 'waiting' : 'starting',
        bytesDone: 0,
        bytesTotal: null,
        cancellable: true,
        startedAt: new Date().toISOString()
      }
      const entry: Entry = { job, exclusive, controller: new AbortController(), listeners: new Set(), ended: Promise.resolve() }
      entries.set(job.id, entry)
      log.info({ jobId: job.id, kind, organizationId, backupId }, `job ${waits ? 'queued' : 'started'}`)
      const done = perform(entry, run, light ? Promise.resolve(() => {}) : places.take(entry.controller.signal))
      entry.ended = done.then(() => {}, () => {})
      return { job: { ...job }, done }
    },

    cancel (organizationId, jobId) {
      const { job, controller } = find(organizationId, jobId)
      if (!isActive(job)) {
        throw new AppError('JOB_CONFLICT', 'job-ended', `The job has ended already: it ${job.state === 'failed' ? 'failed' : `is ${job.state}`}.`, { remedy: 'Nothing is left to cancel.' })
      }
      if (!job.cancellable) {
        throw new AppError('JOB_CONFLICT', 'job-not-cancellable', `The job can't be cancelled any more: it is at "${job.phase}".`, { remedy: 'Wait for it to end.' })
      }
      controller.abort(new AppError('JOB_CANCELLED', 'job-cancelled', 'The job was cancelled.'))
      return { ...job }
    },

    get: (organizationId, jobId) => ({ ...find(organizationId, jobId).job }),

    list: organizationId => [...entries.values()]
      .filter(({ job }) => job.organizationId === organizationId)
      .map(({ job }) => ({ ...job }))
      .reverse(),

    subscribe (jobId, listener) {
      const listeners = entries.get(jobId)?.listeners
      listeners?.add(listener)
      return () => { listeners?.delete(listener) }
    },

    async upkeep (work) {
      if (refused !== null || active().length > 0) return false
      await keepUp(work)
      return true
    },

    refuse (reason) {
      if (stopping === undefined) refused = reason
    },

    async idle () {
      await Promise.all(active().map(async ({ ended }) => { await ended }))
      await upkept
    },

    refusal: () => refused,

    async stop (graceMs = 30_000) {
      refused = new AppError('SERVICE_STOPPING', 'service-stopping', 'The service is stopping.')
      const timer = setTimeout(endGrace, graceMs)
      stopping ??= endAll(active(), graceOver).then(async () => { await upkept })
      await stopping.finally(() => { clearTimeout(timer) })
    }
  }
}

function createContext ({ job, controller, listeners }: Entry, left: Array<() => Promise<void>>): JobContext {
  let notifiedAt = -Infinity
  function notify (): void {
    notifiedAt = performance.now()
    for (const listener of listeners) listener({ ...job })
  }
  return {
    jobId: job.id,
    signal: controller.signal,
    async afterwards (work) { left.push(work) },
    progress: {
      phase (name) {
        job.phase = name
        notify()
      },
      total (bytes) {
        job.bytesTotal = bytes
        notify()
      },
      advance (bytes) {
        job.bytesDone += bytes
        if (performance.now() - notifiedAt >= progressIntervalMs) notify()
      },
      uncancellable () {
        job.cancellable = false
        notify()
      }
    }
  }
}

/** Never before its start, also when the clock has been set back meanwhile. */
function endOf ({ startedAt }: Job): string {
  const now = new Date().toISOString()
  return now < startedAt ? startedAt : now
}

async function endAll (entries: Entry[], graceOver: Promise<void>): Promise<void> {
  for (const entry of entries) if (entry.job.state === 'queued') cancelForStop(entry)
  const ended = Promise.all(entries.map(async entry => { await entry.ended }))
  await Promise.race([ended, graceOver])
  for (const entry of entries) if (isActive(entry.job) && entry.job.cancellable) cancelForStop(entry)
  await ended
}

function cancelForStop ({ controller }: Entry): void {
  controller.abort(new AppError('SERVICE_STOPPING', 'service-stopping', 'The service is stopping, so the job was cancelled.'))
}

/** Why the job was cancelled, when that is what ended it. Work that could not clean up after itself has failed instead. */
function cancelReason ({ controller: { signal } }: Entry, error: unknown): AppError | null {
  if (!signal.aborted) return null
  if (error instanceof AppError && error.code === 'RESTORE_UNFINISHED') return null
  return signal.reason as AppError
}

function describe (error: unknown): Job['error'] {
  const { code, reason, message, remedy, errors } = error instanceof AppError
    ? error
    : new AppError('INTERNAL_ERROR', 'unexpected', 'Something unexpected happened.')
  return { code, reason, message, remedy, ...(errors === undefined ? {} : { errors: [...errors] }) }
}
