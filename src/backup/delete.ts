import type { Core } from '../core.js'
import { getBackup } from './get.js'

/**
 * Deletes a backup: the archive first, so that a crash in between leaves a record that says `missing`, never an archive
 * that the next start adopts again.
 * @throws AppError BACKUP_NOT_FOUND, REPOSITORY_UNAVAILABLE
 */
export async function deleteBackup(
  core: Core,
  { organizationId, backupId }: { organizationId: string; backupId: string }
): Promise<void> {
  await getBackup(core, { organizationId, backupId })
  await core.repository.deleteArchive(organizationId, backupId)
  await core.catalog.remove(organizationId, backupId)
  core.log.info({ organizationId, backupId }, 'Backup deleted')
}
