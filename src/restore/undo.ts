import type { Core } from '../core.js'
import { AppError } from '../errors.js'
import { absentIsNull } from '../io/absent.js'
import type { JobContext } from '../jobs/context.js'
import { release, undo } from './coordinator.js'
import { findRestore } from './history.js'
import { openJournal, type Journal } from './journal.js'
import type { RestoreResult, RestoreSummary } from './report.js'
import { requireNoOthers } from './database-mode.js'
import { requireWritable } from './preflight.js'
import { finishRestores } from './recover.js'
import { restoreBackup } from './restore.js'
import { summaryOf } from './restore-state.js'
import { openTransaction } from './transaction.js'

export interface UndoRequest {
  organizationId: string
  restoreId: string
  startedBy: string
}

/**
 * Puts the state before a restore back, as one transaction. What was written since the restore is lost with it.
 * @throws AppError RESTORE_NOT_FOUND, RESTORE_NOT_UNDOABLE, DATABASE_BUSY, RESTORE_UNFINISHED
 */
export async function undoRestore(core: Core, request: UndoRequest, job: JobContext): Promise<RestoreResult> {
  const { checkpointBackupId } = await withJournal(core, request, async ({ begin, lines }) => {
    // An archive that was taken out of the folder is gone without a word in the journal.
    const isGone =
      begin.checkpointBackupId !== null &&
      (await core.catalog.get(request.organizationId, begin.checkpointBackupId)) === null
    if (!summaryOf(lines).undoable || isGone) throw notUndoable(summaryOf(lines))
    return begin
  })
  const result =
    checkpointBackupId === null
      ? await exchangeBack(core, request, job)
      : await restoreCheckpoint(core, request, checkpointBackupId, job)
  core.log.info(request, 'Restore undone')
  return { ...result, message: 'Restore undone successfully', restoreId: request.restoreId }
}

function notUndoable({ state, dryRun }: RestoreSummary): AppError {
  if (dryRun)
    return new AppError('RESTORE_NOT_UNDOABLE', 'dry-run', 'A dry run changes nothing.', {
      remedy: 'There is nothing to undo.'
    })
  if (state === 'undone' || state === 'rolled-back') {
    return new AppError(
      'RESTORE_NOT_UNDOABLE',
      'already-undone',
      `The state before this restore is back already (${state}).`,
      { remedy: 'There is nothing to undo.' }
    )
  }
  return new AppError(
    'RESTORE_NOT_UNDOABLE',
    'no-checkpoint',
    'There is no checkpoint of the state before this restore (any more): only the newest restore has one, for as long as CHECKPOINT_RETENTION says.'
  )
}

/** The checkpoint is what the restore moved aside. */
async function exchangeBack(core: Core, request: UndoRequest, job: JobContext): Promise<RestoreResult> {
  return await withJournal(core, request, async journal => {
    const started = performance.now()
    job.signal.throwIfAborted()
    if (journal.begin.database?.mode === 'swap') {
      await requireWritable(core)
      await requireNoOthers(core, request.organizationId)
    }
    job.progress.uncancellable()
    job.progress.phase('commit')
    await undo(openTransaction(core, journal))
    return {
      object: 'restore',
      message: '',
      backupId: journal.begin.backupId,
      restoreId: request.restoreId,
      restoredAt: new Date().toISOString(),
      dryRun: false,
      // What was moved back was never counted; its rows and files are those of before the restore.
      report: {
        database: null,
        files: null,
        disk: [],
        durationMs: Math.round(performance.now() - started),
        warnings: []
      }
    }
  })
}

/** The checkpoint is an ordinary backup, so undoing is restoring it. */
async function restoreCheckpoint(
  core: Core,
  { organizationId, restoreId, startedBy }: UndoRequest,
  backupId: string,
  job: JobContext
): Promise<RestoreResult> {
  const result = await restoreBackup(
    core,
    {
      organizationId,
      backupId,
      startedBy,
      validateChecksum: true,
      rollbackOnFailure: false,
      dryRun: false,
      undoOf: restoreId
    },
    job
  )
  await withJournal(core, { organizationId, restoreId, startedBy }, async journal => {
    await journal.append({ step: 'undone' })
    await release(openTransaction(core, journal))
  })
  return result
}

async function withJournal<T>(
  core: Core,
  { organizationId, restoreId }: UndoRequest,
  use: (journal: Journal) => Promise<T>
): Promise<T> {
  const folder = await core.repository.journalFolder(organizationId)
  const known = await findRestore(core, organizationId, restoreId)
  const isAlone = known?.report === undefined || known.report.database?.scope === 'instance'
  // What replaces the whole database concerns every organization, so none of them may be half way through such a thing.
  await finishRestores(core, isAlone ? await core.repository.organizations() : [organizationId])
  const journal = await absentIsNull(openJournal(folder, restoreId))
  if (journal === null) {
    // What is put aside has no checkpoint any more.
    const ended = await findRestore(core, organizationId, restoreId)
    throw ended === null
      ? new AppError('RESTORE_NOT_FOUND', 'no-such-restore', 'There is no such restore.')
      : notUndoable(ended)
  }
  try {
    return await use(journal)
  } finally {
    await journal.close()
  }
}
