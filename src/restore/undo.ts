import type { Core } from '../core.js'
import { AppError, systemCode } from '../errors.js'
import type { JobContext } from '../jobs/progress.js'
import { undo } from './coordinator.js'
import { openJournal, type Line } from './journal.js'
import type { RestoreResult } from './report.js'
import { hasCheckpoint, summaryOf } from './restore-state.js'
import { openTransaction } from './transaction.js'

export interface UndoRequest { organizationId: string, restoreId: string, startedBy: string }

/**
 * Puts the state before a restore back, as one transaction. What was written since the restore is lost with it.
 * @throws AppError RESTORE_NOT_FOUND, RESTORE_NOT_UNDOABLE, DATABASE_BUSY, RESTORE_UNFINISHED
 */
export async function undoRestore (core: Core, { organizationId, restoreId, startedBy }: UndoRequest, job: JobContext): Promise<RestoreResult> {
  const folder = await core.repository.journalFolder(organizationId)
  const journal = await openJournal(folder, restoreId).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  })
  if (journal === null) throw new AppError('RESTORE_NOT_FOUND', 'There is no such restore.')
  try {
    if (!summaryOf(journal.lines).undoable) {
      throw new AppError('RESTORE_NOT_UNDOABLE', 'There is no checkpoint of the state before this restore (any more).')
    }
    const started = performance.now()
    job.signal.throwIfAborted()
    job.progress.uncancellable()
    job.progress.phase('commit')
    await undo(openTransaction(core, journal, undefined))
    core.log.info({ organizationId, restoreId, startedBy }, 'Restore undone')
    const done = journal.lines.findLast(({ step }) => step === 'done') as Extract<Line, { step: 'done' }>
    return {
      message: 'Restore undone successfully',
      backupId: journal.begin.backupId,
      restoreId,
      restoredAt: new Date().toISOString(),
      dryRun: false,
      report: { ...done.report, durationMs: Math.round(performance.now() - started), checkpointUntil: undefined }
    }
  } finally {
    await journal.close()
  }
}
