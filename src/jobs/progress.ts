/** What long work tells about itself while it runs, and how it is told to stop. */
export interface JobContext {
  readonly jobId: string
  /** Aborted when the job is cancelled; its reason is an AppError. Long work checks it between steps and hands it to streams. */
  readonly signal: AbortSignal
  readonly progress: Progress
  /**
   * Leaves short work that the caller need not wait for until the job has succeeded: no job begins before it has ended, nor
   * does the service. It is to cope with its own failures.
   */
  afterwards (work: () => Promise<void>): Promise<void>
}

export interface Progress {
  /** Names what is being done now (`dump`, `files`, `verify`, `load`, `commit`, …). */
  phase (name: string): void
  /** The expected total in bytes, once it can be told. */
  total (bytes: number): void
  /** Bytes done since the last call. */
  advance (bytes: number): void
  /** From here on the job can no longer be cancelled (the commit point is passed). */
  uncancellable (): void
}
