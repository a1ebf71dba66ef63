import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { deleteBackup } from '../backup/delete.js'
import type { Core } from '../core.js'
import { systemCode } from '../errors.js'
import { finishUndo, release, rollBack, rollForward } from './coordinator.js'
import { stagingFolder } from './files-participant.js'
import { listJournals, openJournal, removeJournal, type Journal } from './journal.js'
import { doneAt, hasCheckpoint, stateOf } from './restore-state.js'
import { openTransaction } from './transaction.js'

/**
 * Start-up, before the first job: finishes every restore that a crash left unfinished, forward when its commit was
 * decided and back when it was not (presumed abort), and removes what belongs to none. Idempotent, also when it is cut off.
 * @throws AppError when a restore can't be finished now; the others have been tried all the same
 */
export async function recoverRestores (core: Core): Promise<void> {
  const failures: unknown[] = []
  await eachJournal(core, async journal => {
    try {
      await finish(core, journal)
    } catch (error) {
      core.log.error({ err: error, restoreId: journal.begin.restoreId }, 'An unfinished restore could not be finished')
      failures.push(error)
    }
  })
  if (failures.length > 0) throw failures[0]
  await removeCondemned(core.settings.uploadDir)
}

async function finish (core: Core, journal: Journal): Promise<void> {
  const { restoreId, keepCheckpoint } = journal.begin
  const state = stateOf(journal.lines)
  if (state === 'preparing' || state === 'rolling-back') {
    await rollBack(openTransaction(core, journal), state === 'preparing' ? 'The service stopped while the restore was prepared.' : 'The restore could not be committed.')
  } else if (state === 'committing') {
    await rollForward(openTransaction(core, journal))
  } else if (state === 'undoing') {
    await finishUndo(openTransaction(core, journal))
  } else {
    if (hasCheckpoint(journal.lines) && !keepCheckpoint) await releaseCheckpoint(core, journal)
    return
  }
  core.log.info({ restoreId, was: state, is: stateOf(journal.lines) }, 'Finished a restore that had been cut off')
  if (stateOf(journal.lines) === 'done' && !keepCheckpoint) await releaseCheckpoint(core, journal)
}

/** Drops the checkpoints whose time is over. No restore may be running. */
export async function expireCheckpoints (core: Core): Promise<void> {
  const before = Date.now() - core.settings.checkpointRetentionMs
  await eachJournal(core, async journal => {
    const done = doneAt(journal.lines)
    if (done !== undefined && hasCheckpoint(journal.lines) && done.getTime() <= before) {
      await releaseCheckpoint(core, journal)
      core.log.info({ restoreId: journal.begin.restoreId }, 'Dropped a checkpoint whose time is over')
    }
  })
}

/** Drops the organization's checkpoints but that of `keep`: there is at most one. */
export async function releaseCheckpoints (core: Core, organizationId: string, keep: string | null): Promise<void> {
  await eachJournalOf(core, organizationId, async journal => {
    if (journal.begin.restoreId !== keep && hasCheckpoint(journal.lines)) await releaseCheckpoint(core, journal)
  })
}

/** Drops one checkpoint, the backup that is one included. */
export async function releaseCheckpoint (core: Core, journal: Journal): Promise<void> {
  const { organizationId, checkpointBackupId } = journal.begin
  if (checkpointBackupId !== null && await core.catalog.get(organizationId, checkpointBackupId) !== null) {
    await deleteBackup(core, { organizationId, backupId: checkpointBackupId })
  }
  await release(openTransaction(core, journal))
}

async function eachJournal (core: Core, visit: (journal: Journal) => Promise<void>): Promise<void> {
  for (const organizationId of await core.repository.organizations()) await eachJournalOf(core, organizationId, visit)
}

async function eachJournalOf (core: Core, organizationId: string, visit: (journal: Journal) => Promise<void>): Promise<void> {
  const folder = await core.repository.journalFolder(organizationId)
  for (const restoreId of await listJournals(folder)) {
    const journal = await openJournal(folder, restoreId)
    if (journal === null) {
      // Not even its first line is whole, so nothing was begun.
      await removeJournal(folder, restoreId)
      continue
    }
    try {
      await visit(journal)
    } finally {
      await journal.close()
    }
  }
}

/** What a crash left of folders that were being removed. */
async function removeCondemned (uploadDir: string): Promise<void> {
  const folder = join(uploadDir, stagingFolder)
  try {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.removed')) await rm(join(folder, name), { recursive: true, force: true })
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
