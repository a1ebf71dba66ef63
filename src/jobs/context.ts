/** What long work tells about itself while it runs, and how it is told to stop. */
export interface JobContext {
  readonly jobId: string
  /**
   * Aborted when the job is cancelled; its reason is an AppError. Long work checks it between steps and hands it to
   * streams.
   */
  readonly signal: AbortSignal
  readonly progress: Progress
  /**
   * Queues work for when the job has succeeded, which its caller need not wait for. It keeps the job's resources: no
   * job that needs them begins before it has ended, nor does the service.
   */
  followUp(next: FollowUp): Promise<void>
}

/** The kind of an operation without a caller, with its parameters. */
export interface FollowUp {
  kind: 'release-checkpoints'
  params: { organizationId: string; keep: string | null }
}

export interface Progress {
  /** Names what is being done now (`dump`, `files`, `verify`, `load`, `commit`, …). */
  phase(name: string): void
  /** The expected total in bytes, once it can be told. */
  total(bytes: number): void
  /** Bytes done since the last call. */
  advance(bytes: number): void
  /** From here on the job can no longer be cancelled (the commit point is passed). */
  uncancellable(): void
}
