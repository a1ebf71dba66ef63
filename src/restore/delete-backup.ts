import { deleteBackup } from '../backup/delete.js'
import { getBackup } from '../backup/get.js'
import type { Core } from '../core.js'
import { release } from './coordinator.js'
import { listJournals, openJournal } from './journal.js'
import { hasCheckpoint } from './restore-state.js'
import { openTransaction } from './transaction.js'

/**
 * Deletes a backup. Where it is the checkpoint of a restore, the whole checkpoint goes, which the restore's journal
 * says first: what can't be undone any more must not look as if it could.
 * @throws AppError BACKUP_NOT_FOUND, REPOSITORY_UNAVAILABLE, DATABASE_UNAVAILABLE
 */
export async function deleteAnyBackup(
  core: Core,
  request: { organizationId: string; backupId: string }
): Promise<void> {
  const { checkpointOf } = await getBackup(core, request)
  if (checkpointOf === undefined || !(await releaseCheckpoint(core, request, checkpointOf)))
    await deleteBackup(core, request)
}

/** @returns false when the backup is no checkpoint (any more), such as one that was uploaded again */
async function releaseCheckpoint(
  core: Core,
  { organizationId, backupId }: { organizationId: string; backupId: string },
  restoreId: string
): Promise<boolean> {
  const folder = await core.repository.journalFolder(organizationId)
  if (!(await listJournals(folder)).includes(restoreId)) return false
  const journal = await openJournal(folder, restoreId)
  if (journal === null) return false
  try {
    if (journal.begin.checkpointBackupId !== backupId || !hasCheckpoint(journal.lines)) return false
    await release(openTransaction(core, journal))
    return true
  } finally {
    await journal.close()
  }
}
