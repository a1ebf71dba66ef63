import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Core } from '../core.js'
import type { JobContext } from './context.js'
import type { Job, JobKind } from './job.js'
import type { Queue, UpkeepKind } from './queue.js'
import type { Resource } from './resources.js'

/** One kind of work. Its parameters are data, so that a job can be queued, listed and repeated. */
export interface Operation<Params extends TSchema = TSchema, Result = unknown> {
  kind: JobKind | UpkeepKind
  params: Params
  /** What it has to itself while it runs. */
  resources(params: Static<Params>): Resource[]
  /** @returns what the job answers, as data */
  run(core: Core, params: Static<Params>, context: JobContext): Promise<Result>
}

/** Keeps the types of the parameters and the result. */
export function defineOperation<Params extends TSchema, Result>(
  operation: Operation<Params, Result>
): Operation<Params, Result> {
  return operation
}

export interface Submission<Params> {
  backupId?: string
  /** Id or e-mail of the user who asked for it. */
  startedBy: string
  params: Params
}

/**
 * Queues a job.
 * @returns the job, and `done`, its result or error, which need not be awaited: the job remembers both
 * @throws AppError JOB_CONFLICT, or why the gate is closed
 */
export function submit<Params extends TSchema, Result>(
  queue: Queue,
  operation: Operation<Params, Result>,
  { params, ...request }: Submission<Static<Params> & { organizationId: string }>
): { job: Job; done: Promise<Result> } {
  const { organizationId } = params
  const job = queue.enqueue({
    ...request,
    organizationId,
    kind: operation.kind as JobKind,
    params: dataOf(operation, params),
    resources: operation.resources(params)
  })
  const done = queue.wait(job.id) as Promise<Result>
  done.catch(() => {})
  return { job, done }
}

/** Queues work of the service's own. */
export async function upkeep<Params extends TSchema>(
  queue: Queue,
  operation: Operation<Params>,
  params: Static<Params>
): Promise<void> {
  await queue.upkeep({
    kind: operation.kind as UpkeepKind,
    params: dataOf(operation, params),
    resources: operation.resources(params)
  })
}

/** @throws TypeError for parameters that are not the operation's: a fault of ours */
export function dataOf<Params extends TSchema>(
  { kind, params: schema }: Operation<Params>,
  params: unknown
): Static<Params> {
  const wrong = Value.Errors(schema, params).First()
  if (wrong !== undefined) throw new TypeError(`Parameters of ${kind}: ${wrong.path || 'the whole'} ${wrong.message}`)
  return structuredClone(params)
}
