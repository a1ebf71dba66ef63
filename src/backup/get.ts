import type { Core } from '../core.js'
import { AppError } from '../errors.js'
import type { Backup } from '../repository/record.js'

/** @throws AppError BACKUP_NOT_FOUND, also for another organization's backup: its existence is not told */
export async function getBackup(
  core: Core,
  { organizationId, backupId }: { organizationId: string; backupId: string }
): Promise<Backup> {
  const backup = await core.catalog.get(organizationId, backupId)
  if (backup === null) throw new AppError('BACKUP_NOT_FOUND', 'no-such-backup', 'There is no such backup.')
  return backup
}
