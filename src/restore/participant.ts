import type { RestoreReport } from './report.js'

/**
 * Something that a restore changes. Every step is idempotent, and all but prepare and report also work after a crash,
 * from what the journal and the world itself say: they may be called again, by another process, at any point.
 */
export interface Participant {
  readonly name: 'database' | 'files'
  /** Makes the new state beside the live one, which stays as it is. */
  prepare(signal: AbortSignal): Promise<void>
  /** The last of the preparation, once all are prepared: what keeps others waiting until the commit. */
  ready(signal: AbortSignal): Promise<void>
  /** What has been prepared, for the report; with `compare`, against the live state. */
  report(compare: boolean): Promise<Partial<RestoreReport>>
  /**
   * Makes the new state the live one; the former becomes the checkpoint.
   * @returns milliseconds that users were shut out
   * @throws AppError RESTORE_UNFINISHED when it can't be told now whether it is the live one
   */
  commit(): Promise<number>
  /** Which state is live: the one from before the restore, the restored one, or something of both. */
  live(): Promise<'former' | 'restored' | 'both'>
  /** Whether it has committed and can't go back any more. */
  isFinal(): Promise<boolean>
  /**
   * Before an undo is decided: that the live state is what this restore put there, and that the former one is whole.
   * @throws AppError RESTORE_NOT_UNDOABLE
   */
  requireUndoable(): Promise<void>
  /** Makes the former state the live one again, if it is not. */
  revert(): Promise<void>
  /** Removes the new state, which is not live. */
  discard(): Promise<void>
  /** After the journal says `done`: removes what was only there to tell how the commit ended. */
  settle(): Promise<void>
  /** Removes the checkpoint. */
  release(): Promise<void>
}
