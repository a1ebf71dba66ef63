import type { Core } from './core.js'
import type { AppError } from './errors.js'
import { createGate, type Gate } from './jobs/gate.js'
import { createMemoryQueue } from './jobs/memory-queue.js'
import type { Operation } from './jobs/operation.js'
import type { Queue } from './jobs/queue.js'
import { createWorker } from './jobs/worker.js'
import { operations } from './operations/all.js'
import { createActivity } from './repository/activity.js'

export interface Jobs {
  queue: Queue
  gate: Gate
}

export interface JobsOptions {
  /** Jobs that work at the same time. */
  places: number
  onUnfinished?: (reason: AppError) => void
  operations?: readonly Operation[]
}

/** The queue, with a worker in this process. */
export function createJobs(core: Core, { operations: known = operations, ...options }: JobsOptions): Jobs {
  const { log, repository } = core
  const gate = createGate()
  const queue = createMemoryQueue({ log, gate, history: createActivity(repository, log), ...options })
  queue.serve(createWorker(core, known))
  return { queue, gate }
}
