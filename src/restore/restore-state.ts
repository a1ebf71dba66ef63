import type { Begin, Line } from './journal.js'
import type { RestoreState, RestoreSummary } from './report.js'

/** Where a restore stands, by its journal: the last line that decides or ends something. */
export function stateOf(lines: readonly Line[]): RestoreState {
  const last = lines.findLast(({ step }) => !['fact', 'settled', 'release', 'released'].includes(step))
  switch (last?.step) {
    case undefined:
    case 'begin':
    case 'fact':
    case 'prepared':
      return 'preparing'
    case 'commit':
      return 'committing'
    case 'rollback':
      return 'rolling-back'
    case 'rolled-back':
      return 'rolled-back'
    case 'rehearsed':
      return 'rehearsed'
    case 'undo':
      return 'undoing'
    case 'undone':
      return 'undone'
    case 'done':
    case 'settled':
    case 'release':
    case 'released':
      return 'done'
  }
}

/** Whether a restore goes on at the next opportunity, forward or back. */
export function isUnfinished(lines: readonly Line[]): boolean {
  return ['preparing', 'committing', 'rolling-back', 'undoing'].includes(stateOf(lines))
}

/** Whether a checkpoint of it, or a part of one, is still there. One that is a backup outlives the undoing. */
export function hasCheckpoint(lines: readonly Line[]): boolean {
  const state = stateOf(lines)
  const there = state === 'done' || (state === 'undone' && (lines[0] as Begin).checkpointBackupId !== null)
  return there && !lines.some(({ step }) => step === 'released')
}

/** Whether its checkpoint is whole and shall be kept: its removal has not begun. */
export function keepsCheckpoint(lines: readonly Line[]): boolean {
  return (
    (lines[0] as Begin).keepCheckpoint &&
    stateOf(lines) === 'done' &&
    !lines.some(({ step }) => step === 'release' || step === 'released')
  )
}

/** Whether a restore that has ended has been tidied up after: one that is done, or that left something over. */
export function isSettled(lines: readonly Line[]): boolean {
  const end = lines.findLastIndex(
    ({ step }) => step === 'done' || step === 'rolled-back' || step === 'rehearsed' || step === 'undone'
  )
  const line = lines[end]
  if (line === undefined || (line.step !== 'done' && !('leftover' in line))) return true
  return lines.slice(end).some(({ step }) => step === 'settled')
}

/** Whether nothing is ever added to the journal again. */
export function isClosed(lines: readonly Line[]): boolean {
  return lines.length > 0 && !isUnfinished(lines) && isSettled(lines) && !hasCheckpoint(lines)
}

/** When the restore was committed for good; undefined before. */
export function doneAt(lines: readonly Line[]): Date | undefined {
  const done = lines.findLast(({ step }) => step === 'done')
  return done === undefined ? undefined : new Date(done.at)
}

export function summaryOf(lines: readonly Line[]): RestoreSummary {
  const begin = lines[0] as Begin
  const reported = lines.findLast(line => line.step === 'done' || line.step === 'rehearsed')
  const failed = lines.findLast(line => line.step === 'rolled-back')
  return {
    restoreId: begin.restoreId,
    backupId: begin.backupId,
    organizationId: begin.organizationId,
    startedBy: begin.startedBy,
    startedAt: begin.at,
    state: stateOf(lines),
    dryRun: begin.dryRun,
    undoable: keepsCheckpoint(lines),
    ...(reported !== undefined && 'report' in reported
      ? { report: { ...reported.report, ...(keepsCheckpoint(lines) ? {} : { checkpointUntil: undefined }) } }
      : {}),
    ...(failed !== undefined && 'reason' in failed && failed.reason !== undefined ? { error: failed.reason } : {})
  }
}
