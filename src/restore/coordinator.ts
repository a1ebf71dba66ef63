import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { JobContext } from '../jobs/context.js'
import type { Journal, Line } from './journal.js'
import type { Participant } from './participant.js'
import type { RestoreReport } from './report.js'
import { stateOf } from './restore-state.js'

export interface Transaction {
  journal: Journal
  /** In the order of their commits. */
  participants: Participant[]
  /** Removes the ordinary backup that is the checkpoint, where there is one. Idempotent. */
  removeCheckpointBackup(): Promise<void>
  log: Log
}

/**
 * Prepares every participant at the same time and reports what came of it. Whatever fails, all of it is taken back.
 * @param first makes the checkpoint where that is a backup
 * @throws the first failure, AppError RESTORE_UNFINISHED when it could not be taken back now
 */
export async function prepare(
  transaction: Transaction,
  compare: boolean,
  job: JobContext,
  first: () => Promise<void> = async () => {}
): Promise<Partial<RestoreReport>> {
  const { participants } = transaction
  // One that fails stops the others.
  const failed = new AbortController()
  const signal = AbortSignal.any([job.signal, failed.signal])
  try {
    await first()
    job.progress.phase('prepare')
    await allSettled(
      participants.map(async participant => {
        try {
          await participant.prepare(signal)
        } catch (error) {
          failed.abort(error)
          throw error
        }
      })
    )
    for (const participant of participants) await participant.ready(signal)
    job.progress.phase(compare ? 'compare' : 'report')
    const reports = await allSettled(participants.map(async participant => await participant.report(compare)))
    job.signal.throwIfAborted()
    return Object.assign({}, ...reports, {
      warnings: reports.flatMap(({ warnings }) => warnings ?? [])
    }) as Partial<RestoreReport>
  } catch (error) {
    await takeBack(transaction, job.signal.aborted ? job.signal.reason : error)
    throw job.signal.aborted ? job.signal.reason : error
  }
}

/** Ends a rehearsal: nothing of what was prepared stays. */
export async function endRehearsal(transaction: Transaction, report: RestoreReport): Promise<void> {
  const { journal, removeCheckpointBackup } = transaction
  const left = await discardAll(transaction)
  await removeCheckpointBackup()
  await journal.append({ step: 'rehearsed', report, ...left })
}

/**
 * The commit: its journal line is the point of no return. A participant that can't commit makes all go back, which is
 * decided in the journal too.
 * @param report as it is at that moment: it is asked for once more when all is done
 * @param check what must hold just then, since things have gone on while all was prepared
 * @returns the report that the journal has from then on, with the milliseconds that users were shut out
 * @throws AppError with the participant's reason, RESTORE_UNFINISHED when things could be moved neither way now
 */
export async function commit(
  transaction: Transaction,
  report: () => RestoreReport,
  check: () => Promise<void> = async () => {}
): Promise<RestoreReport> {
  const { journal } = transaction
  try {
    await check()
    await journal.append({ step: 'prepared', report: report() })
    await journal.append({ step: 'commit' })
  } catch (error) {
    await takeBack(transaction, error)
    throw error
  }
  return await rollForward(transaction, report)
}

/** From the `commit` line on. Without a report, after a crash, the restore has the one that it was prepared with. */
export async function rollForward(
  transaction: Transaction,
  report: () => RestoreReport = () => preparedReport(transaction)
): Promise<RestoreReport> {
  const { journal, participants, log } = transaction
  let outageMs = 0
  try {
    for (const participant of participants) outageMs += await participant.commit()
  } catch (error) {
    // A line now that says that it goes back could be wrong.
    if (isUnfinished(error)) throw error
    await unfinishedOnFailure(undefined, async () => {
      await requireNoneFinal(participants, error)
    })
    log.warn({ err: error, restoreId: journal.begin.restoreId }, "The restore can't be committed and goes back")
    await unfinishedOnFailure(error, async () => {
      await journal.append({ step: 'rollback', reason: messageOf(error) })
    })
    await takeBack(transaction, error)
    throw error
  }
  const done = { ...report(), outageMs }
  // Committed all the same: the failure must not be taken for a rollback.
  await unfinishedOnFailure(undefined, async () => {
    await journal.append({ step: 'done', report: done })
  })
  await settle(transaction).catch((error: unknown) => {
    log.warn(
      { err: error, restoreId: journal.begin.restoreId },
      'A restore that is done could not be tidied up; trying again later'
    )
  })
  return done
}

function preparedReport({ journal }: Transaction): RestoreReport {
  return (journal.lines.find(line => line.step === 'prepared') as Extract<Line, { step: 'prepared' }>).report
}

/**
 * After a crash behind the `commit` line. While nothing of the live state has been touched, things have gone on since
 * on the former one, perhaps for days: then the restore goes back, else forward.
 */
export async function finishCommit(transaction: Transaction): Promise<void> {
  if (!(await isAllLive(transaction, 'former'))) {
    await rollForward(transaction)
    return
  }
  const reason = 'The service stopped before the restored state was put in place.'
  await transaction.journal.append({ step: 'rollback', reason })
  await rollBack(transaction, reason)
}

/** After a crash behind the `undo` line: in the same way, what has not begun is left. */
export async function resumeUndo(transaction: Transaction): Promise<void> {
  if (!(await isAllLive(transaction, 'restored'))) {
    await finishUndo(transaction)
    return
  }
  await transaction.journal.append({ step: 'commit' })
  await rollForward(transaction)
}

async function isAllLive({ participants }: Transaction, state: 'former' | 'restored'): Promise<boolean> {
  for (const participant of participants) if ((await participant.live()) !== state) return false
  return true
}

/**
 * @throws the failure when going back would end half one way and half the other: it goes forward at the next
 * opportunity
 */
async function requireNoneFinal(participants: Participant[], failure: unknown): Promise<void> {
  for (const participant of participants) if (await participant.isFinal()) throw failure
}

/** After `done`: removes what only told how the commit ended. After any other end: what could not be removed then. */
export async function settle({ journal, participants }: Transaction): Promise<void> {
  const isDone = stateOf(journal.lines) === 'done'
  for (const participant of participants) await (isDone ? participant.settle() : participant.discard())
  await journal.append({ step: 'settled' })
}

/** Back to the state before the restore: from anywhere before the `commit` line, or after a `rollback` line. */
export async function rollBack(transaction: Transaction, reason: string): Promise<void> {
  const { journal, participants, removeCheckpointBackup } = transaction
  for (const participant of participants) await participant.revert()
  const left = await discardAll(transaction)
  await removeCheckpointBackup()
  await journal.append({ step: 'rolled-back', reason, ...left })
}

/**
 * Undoes a restore that is done, as one transaction like the restore itself: `undo` is its point of no return, and if a
 * participant can't go back, all go forward again.
 */
export async function undo(transaction: Transaction): Promise<void> {
  const { journal, participants, log } = transaction
  for (const participant of participants) await participant.requireUndoable()
  await journal.append({ step: 'undo' })
  try {
    for (const participant of participants) await participant.revert()
  } catch (error) {
    log.warn({ err: error, restoreId: journal.begin.restoreId }, "The restore can't be undone and stays")
    await unfinishedOnFailure(error, async () => {
      await journal.append({ step: 'commit' })
      await rollForward(transaction)
    })
    throw error
  }
  await unfinishedOnFailure(undefined, async () => {
    await finishUndo(transaction)
  })
}

/** From when an undo has begun. */
export async function finishUndo(transaction: Transaction): Promise<void> {
  const { journal, participants } = transaction
  for (const participant of participants) await participant.revert()
  await journal.append({ step: 'undone', ...(await discardAll(transaction)) })
}

/**
 * Removes the new state. A database that can't be dropped now (a superuser's session is in it) must not keep the
 * restore from its end, nor the organization from its next one: the journal tells that it is left, for recovery and
 * upkeep.
 */
async function discardAll({ journal, participants, log }: Transaction): Promise<{ leftover?: true }> {
  let left = {}
  for (const participant of participants) {
    try {
      await participant.discard()
    } catch (error) {
      if (!(error instanceof AppError) || !['DATABASE_BUSY', 'DATABASE_ERROR', 'PREFLIGHT_FAILED'].includes(error.code))
        throw error
      log.warn(
        { err: error, restoreId: journal.begin.restoreId, remedy: error.remedy },
        "A leftover of a restore can't be removed now; trying again later"
      )
      left = { leftover: true }
    }
  }
  return left
}

/**
 * Drops the checkpoint. That is written down before anything of it goes, so that no restore is undone to half a
 * checkpoint; one that was cut off is gone on with by calling this again.
 */
export async function release({ journal, participants, removeCheckpointBackup }: Transaction): Promise<void> {
  if (!journal.lines.some(({ step }) => step === 'release')) await journal.append({ step: 'release' })
  await removeCheckpointBackup()
  for (const participant of participants) await participant.release()
  await journal.append({ step: 'released' })
}

async function takeBack(transaction: Transaction, cause: unknown): Promise<void> {
  if (isUnfinished(cause)) throw cause
  await unfinishedOnFailure(cause, async () => {
    await rollBack(transaction, messageOf(cause))
  })
}

/** @param cause why the restore goes back; undefined when what was asked for is only cut short */
async function unfinishedOnFailure(cause: unknown, step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    if (cause === undefined) {
      throw new AppError(
        'RESTORE_UNFINISHED',
        'not-finished',
        `It is decided and will be done, but could not be finished now (${messageOf(error)}).`,
        { cause: error }
      )
    }
    throw new AppError(
      'RESTORE_UNFINISHED',
      'not-taken-back',
      `The restore failed (${messageOf(cause)}) and could not be taken back now (${messageOf(error)}).`,
      {
        cause: new AggregateError([cause, error])
      }
    )
  }
}

/** Waits for all of them even when one fails, so that nothing goes on behind a rollback. @throws the first failure */
async function allSettled<T>(promises: Array<Promise<T>>): Promise<T[]> {
  let failure: { error: unknown } | undefined
  const results = await Promise.all(
    promises.map(
      async promise =>
        await promise.catch((error: unknown) => {
          failure ??= { error }
          return undefined as T
        })
    )
  )
  if (failure !== undefined) throw failure.error
  return results
}

function isUnfinished(error: unknown): boolean {
  return error instanceof AppError && error.code === 'RESTORE_UNFINISHED'
}

function messageOf(error: unknown): string {
  return error instanceof AppError ? error.message : 'internal error'
}
