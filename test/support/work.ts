import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { JobContext } from '../../src/jobs/context.js'
import type { Job, JobKind } from '../../src/jobs/job.js'
import type { Operation } from '../../src/jobs/operation.js'
import type { Queue } from '../../src/jobs/queue.js'
import { database, organization, place } from '../../src/jobs/resources.js'

type Run = (job: JobContext) => Promise<unknown>

/** A job is data, so it names the work that a test gives it. */
const works = new Map<string, Run>()

/** The operations, each of which does the work that a job's parameters name, and else its own. */
export function withWork(operations: readonly Operation[]): Operation[] {
  return operations.map(operation => ({
    ...operation,
    params: Type.Any(),
    async run(core, params: { work?: string }, context) {
      const work = params.work === undefined ? undefined : works.get(params.work)
      return work === undefined ? await operation.run(core, params, context) : await work(context)
    }
  }))
}

export interface WorkRequest {
  kind?: JobKind
  organizationId?: string
  backupId?: string
  /** It replaces the whole database. */
  exclusive?: boolean
  /** It takes no place. */
  light?: boolean
  run: Run
}

/** Queues a job that does what `run` does. */
export function startWork(
  queue: Queue,
  { kind = 'create', organizationId = 'acme', exclusive = false, light = false, run, ...request }: WorkRequest
): { job: Job; done: Promise<unknown> } {
  const work = randomUUID()
  works.set(work, run)
  const job = queue.enqueue({
    ...request,
    kind,
    organizationId,
    startedBy: 't',
    params: { work },
    resources: [organization(organizationId), database(exclusive ? 'exclusive' : 'shared'), ...(light ? [] : [place])]
  })
  const done = queue.wait(job.id)
  done.catch(() => {})
  return { job, done }
}

/** Waits until nothing runs or waits, not even what jobs have left to do. */
export async function untilIdle(queue: Queue): Promise<void> {
  const work = randomUUID()
  works.set(work, async () => {})
  await queue.upkeep({ kind: 'expire-checkpoints', params: { work }, resources: [database('exclusive')] })
}
