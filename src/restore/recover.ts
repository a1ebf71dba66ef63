import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Core } from '../core.js'
import { removeLeftProof } from '../database/load/schema-proof.js'
import { AppError, systemCode } from '../errors.js'
import type { Log } from '../log.js'
import { stagingFolder } from '../storage/staging-folder.js'
import { finishCommit, release, resumeUndo, rollBack, settle, type Transaction } from './coordinator.js'
import {
  byAge,
  listJournals,
  openJournal,
  readJournal,
  removeJournal,
  type Begin,
  type Journal,
  type Line
} from './journal.js'
import { putAside } from './ended-journals.js'
import { doneAt, hasCheckpoint, isClosed, isSettled, isUnfinished, keepsCheckpoint, stateOf } from './restore-state.js'
import { removeUnlessMounted } from './staging.js'
import { openTransaction } from './transaction.js'

/**
 * Start-up, before the first job: finishes every restore that a crash left unfinished (forward or back, PROTOCOL.md
 * tells which), and removes what belongs to none. Idempotent, also when it is cut off.
 * @throws AppError when a restore can't be finished now; the others have been tried all the same
 */
export async function recoverRestores(core: Core): Promise<void> {
  const failures: unknown[] = []
  for (const organizationId of await core.repository.organizations()) {
    // A damaged journal stops its own organization's restores until the operator has looked at it, and no other work.
    await finishRestores(core, [organizationId]).catch((error: unknown) => {
      if (!isDamage(error)) failures.push(error)
    })
  }
  const { uploadDir } = core.settings
  await removeCondemned(uploadDir)
  for (const organizationId of await core.repository.organizations())
    await removeCondemned(join(uploadDir, organizationId))
  await removeLeftProof(core.database.connection()).catch((error: unknown) => {
    core.log.warn({ err: error }, "What is left of a schema's proof can't be removed now; the next backup tries again")
  })
  if (failures.length > 0) throw failures[0]
}

/**
 * Finishes what stands unfinished of the organizations' restores, so that nothing new is built upon it. No restore of
 * theirs may be running. @throws AppError when one can't be finished now
 */
export async function finishRestores(core: Core, organizationIds: readonly string[]): Promise<void> {
  await eachJournal(core, organizationIds, isLeftOver, async journal => {
    await finish(core, journal)
  })
  for (const organizationId of organizationIds) {
    const latest = await latestCheckpoint(core, organizationId)
    if (latest !== null) await releaseCheckpoints(core, organizationId, latest)
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof AppError && error.code === 'JOURNAL_DAMAGED'
}

function isLeftOver(lines: readonly Line[]): boolean {
  return isUnfinished(lines) || !isSettled(lines) || (hasCheckpoint(lines) && !keepsCheckpoint(lines))
}

/** Id of the restore whose checkpoint is the organization's; a crash can leave an older one beside it. */
async function latestCheckpoint(core: Core, organizationId: string): Promise<string | null> {
  const folder = await core.repository.journalFolder(organizationId)
  let latest: Begin | null = null
  for (const restoreId of await listJournals(folder)) {
    const lines = await readJournal(folder, restoreId)
    if (lines.length === 0 || !keepsCheckpoint(lines)) continue
    const begin = lines[0] as Begin
    if (latest === null || byAge(latest, begin) < 0) latest = begin
  }
  return latest?.restoreId ?? null
}

async function finish(core: Core, journal: Journal): Promise<void> {
  const { restoreId } = journal.begin
  const state = stateOf(journal.lines)
  if (state === 'preparing' || state === 'rolling-back') {
    await rollBack(
      openTransaction(core, journal),
      state === 'preparing'
        ? 'The service stopped while the restore was prepared.'
        : 'The restore could not be committed.'
    )
  } else if (state === 'committing') {
    await finishCommit(openTransaction(core, journal))
  } else if (state === 'undoing') {
    await resumeUndo(openTransaction(core, journal))
  }
  if (!isSettled(journal.lines)) await tidyUp(core, journal, settle)
  core.log.info({ restoreId, was: state }, `A restore that had been cut off is now ${stateOf(journal.lines)}`)
  if (hasCheckpoint(journal.lines) && !keepsCheckpoint(journal.lines)) await tidyUp(core, journal, release)
}

/** A leftover that can't be removed now must not stop what people wait for: it is tried again. */
async function tidyUp(core: Core, journal: Journal, step: (transaction: Transaction) => Promise<void>): Promise<void> {
  const { organizationId, restoreId } = journal.begin
  try {
    await step(openTransaction(core, journal))
  } catch (error) {
    core.log.warn(
      { err: error, organizationId, restoreId },
      "What is left of an earlier restore can't be removed now; trying again later"
    )
  }
}

/**
 * The wall clock may jump ahead, and a checkpoint that was dropped too early is lost: the clock that can't be set
 * counts too.
 */
function earliestNow(): number {
  return Math.min(Date.now(), performance.timeOrigin + performance.now())
}

/**
 * Drops the checkpoints whose time is over, and what could not be removed when a restore ended. No restore may be
 * running.
 */
export async function expireCheckpoints(core: Core): Promise<void> {
  const before = earliestNow() - core.settings.checkpointRetentionMs
  const isOver = (lines: readonly Line[]): boolean =>
    hasCheckpoint(lines) && (doneAt(lines) as Date).getTime() <= before
  const isDue = (lines: readonly Line[]): boolean => !isUnfinished(lines) && (isLeftOver(lines) || isOver(lines))
  await eachJournal(core, await core.repository.organizations(), isDue, async journal => {
    if (!isSettled(journal.lines)) await tidyUp(core, journal, settle)
    if (isOver(journal.lines) || (hasCheckpoint(journal.lines) && !keepsCheckpoint(journal.lines)))
      await tidyUp(core, journal, release)
  })
}

/** Drops the organization's checkpoints but that of `keep`: there is at most one. */
export async function releaseCheckpoints(core: Core, organizationId: string, keep: string | null): Promise<void> {
  const isOther = (lines: readonly Line[]): boolean => hasCheckpoint(lines) && (lines[0] as Begin).restoreId !== keep
  await eachJournal(core, [organizationId], isOther, async journal => {
    await tidyUp(core, journal, release)
  })
}

/** After a restore, of which a journal that can't be read now must not look like a failure; it is tried again later. */
export async function dropEarlierCheckpoints(core: Core, organizationId: string, keep: string | null): Promise<void> {
  try {
    await releaseCheckpoints(core, organizationId, keep)
  } catch (error) {
    core.log.warn({ err: error, organizationId }, 'An old checkpoint could not be dropped now')
  }
}

/**
 * Visits the journals that `isMeant`, all of them even when some fail, and puts those aside that have ended.
 * @throws the first failure
 */
async function eachJournal(
  core: Core,
  organizationIds: readonly string[],
  isMeant: (lines: readonly Line[]) => boolean,
  visit: (journal: Journal) => Promise<void>
): Promise<void> {
  const failures: unknown[] = []
  for (const organizationId of organizationIds) {
    const folder = await core.repository.journalFolder(organizationId)
    for (const restoreId of await listJournals(folder)) {
      try {
        await visitJournal(core.log, folder, restoreId, isMeant, visit)
      } catch (error) {
        core.log.error(
          { err: error, organizationId, restoreId },
          'A restore could not be finished, or its checkpoint not be dropped'
        )
        failures.push(error)
      }
    }
  }
  if (failures.length > 0) throw failures[0]
}

async function visitJournal(
  log: Log,
  folder: string,
  restoreId: string,
  isMeant: (lines: readonly Line[]) => boolean,
  visit: (journal: Journal) => Promise<void>
): Promise<void> {
  const lines = await readJournal(folder, restoreId)
  // Not even its first line is whole, so nothing was begun; openJournal says so too, or that it is damaged.
  if (lines.length > 0 && !isMeant(lines)) {
    await setAside(folder, lines, log)
    return
  }
  const journal = await openJournal(folder, restoreId)
  if (journal === null) {
    await removeJournal(folder, restoreId)
    return
  }
  try {
    await visit(journal)
    await setAside(folder, journal.lines, log)
  } finally {
    await journal.close()
  }
}

/** Only keeps what is looked through short, so nothing has to wait when it can't be done. */
async function setAside(folder: string, lines: readonly Line[], log: Log): Promise<void> {
  if (!isClosed(lines)) return
  const { restoreId, number } = lines[0] as Begin
  try {
    await putAside(folder, { restoreId, number })
  } catch (error) {
    log.warn(
      { err: error, restoreId },
      'The journal of a restore that has ended could not be put aside; trying again later'
    )
  }
}

/** What a crash left of folders that were being removed. */
async function removeCondemned(parent: string): Promise<void> {
  const folder = join(parent, stagingFolder)
  try {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.removed')) await removeUnlessMounted(join(folder, name))
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
