import { randomUUID } from 'node:crypto'
import type { JobContext } from './context.js'
import type { Job } from './job.js'
import type { JobRequest, Turn, UpkeepRequest } from './queue.js'

const progressIntervalMs = 100

/** A job, or upkeep without one, as the queue in memory has it. */
export interface Entry extends Omit<Turn, 'context'> {
  /** As others see it; null for upkeep. */
  job: Job | null
  controller: AbortController
  listeners: Set<(job: Job) => void>
  /** How it ends. Handled already, so that it need not be waited for. */
  ended: Promise<unknown>
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
}

export function newJob({ kind, organizationId, backupId, startedBy }: JobRequest): Job {
  return {
    object: 'job',
    id: randomUUID(),
    kind,
    organizationId,
    ...(backupId === undefined ? {} : { backupId }),
    startedBy,
    state: 'queued',
    phase: 'waiting',
    bytesDone: 0,
    bytesTotal: null,
    cancellable: true,
    startedAt: new Date().toISOString()
  }
}

export function newEntry({ kind, params, resources }: JobRequest | UpkeepRequest, job: Job | null): Entry {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  promise.catch(() => {})
  return {
    job,
    kind,
    params,
    resources,
    controller: new AbortController(),
    listeners: new Set(),
    ended: promise,
    resolve,
    reject
  }
}

/** What the work of the entry is given: watchers see its progress, at most ten times a second while only bytes move. */
export function contextOf({ job, controller, listeners }: Entry): Omit<JobContext, 'followUp'> {
  let notifiedAt = -Infinity
  function notify(change: Partial<Job>): void {
    if (job === null) return
    Object.assign(job, change)
    notifiedAt = performance.now()
    for (const listener of listeners) listener({ ...job })
  }
  return {
    jobId: job?.id ?? randomUUID(),
    signal: controller.signal,
    progress: {
      phase(phase) {
        notify({ phase })
      },
      total(bytesTotal) {
        notify({ bytesTotal })
      },
      advance(bytes) {
        if (job === null) return
        job.bytesDone += bytes
        if (performance.now() - notifiedAt >= progressIntervalMs) notify({})
      },
      uncancellable() {
        notify({ cancellable: false })
      }
    }
  }
}

/** Never before its start, also when the clock has been set back meanwhile. */
export function endOf({ startedAt }: Job): string {
  const now = new Date().toISOString()
  return now < startedAt ? startedAt : now
}
