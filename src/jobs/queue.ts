import type { FollowUp, JobContext } from './context.js'
import type { Job, JobKind } from './job.js'
import type { Resource } from './resources.js'

/** Work of the service's own, which no list shows. */
export type UpkeepKind = FollowUp['kind'] | 'expire-checkpoints' | 'recover'

export interface JobRequest {
  kind: JobKind
  organizationId: string
  backupId?: string
  startedBy: string
  params: unknown
  resources: readonly Resource[]
}

export interface UpkeepRequest {
  kind: UpkeepKind
  params: unknown
  resources: readonly Resource[]
}

/** A job whose turn has come. */
export interface Turn {
  kind: JobKind | UpkeepKind
  params: unknown
  context: Omit<JobContext, 'followUp'>
  resources: readonly Resource[]
}

/** Does the work of a job, and tells what is to be done after it. */
export type Work = (turn: Turn) => Promise<{ result: unknown; followUps: UpkeepRequest[] }>

/** Where jobs wait for their resources, and are found by those who ask for them. */
export interface Queue {
  /** @throws AppError JOB_CONFLICT when another job holds or waits for what it needs, or why the gate is closed */
  enqueue(request: JobRequest): Job
  /**
   * Queues work of the service's own, also while the gate is closed. It waits for its resources, and jobs that need
   * them for it.
   */
  upkeep(request: UpkeepRequest): Promise<void>
  /** Whether nothing runs or waits. */
  isIdle(): boolean
  /** The result of a job that has not ended when this is called. @throws its error */
  wait(jobId: string): Promise<unknown>
  /**
   * Tells each change of a job that has not ended, its end last; at most ten a second while only bytes move. Returns
   * the unsubscriber.
   */
  watch(jobId: string, listener: (job: Job) => void): () => void
  /**
   * Asks the job to stop; it ends when it has cleaned up.
   * @throws AppError JOB_NOT_FOUND, JOB_CONFLICT when it can't be stopped any more
   */
  cancel(organizationId: string, jobId: string): Promise<Job>
  /** @throws AppError JOB_NOT_FOUND, also for another organization's job; REPOSITORY_UNAVAILABLE */
  get(organizationId: string, jobId: string): Promise<Job>
  /**
   * The jobs that have not ended, then the last hundred that have; newest first.
   * @throws AppError REPOSITORY_UNAVAILABLE
   */
  list(organizationId: string): Promise<Job[]>
  /** Whether a job of the organization runs or waits. */
  isBusy(organizationId: string): boolean
  /** Hands over what does the work; jobs wait until then. */
  serve(work: Work): void
  /**
   * Closes the gate, cancels jobs that wait, gives running ones `graceMs` (30 s) to end, then cancels them and waits
   * for their end. The shortest grace counts.
   */
  stop(graceMs?: number): Promise<void>
}

/** Where finished jobs are kept. */
export interface JobHistory {
  /** Finds it from now on, also when it throws; it is durable when it returns. */
  keep(job: Job): Promise<void>
  find(organizationId: string, jobId: string): Promise<Job | null>
  /** The last hundred, newest first. */
  list(organizationId: string): Promise<Job[]>
}
