import type { Core } from '../core.js'
import { AppError } from '../errors.js'
import type { Backup } from '../repository/record.js'

/**
 * Looks whether a backup's archive is there in its full length, before any of it is promised to a client.
 * @throws AppError ARCHIVE_MISSING, CHECKSUM_MISMATCH
 */
export async function requireWhole({ repository }: Core, { organizationId, id, size }: Backup): Promise<void> {
  const opened = await repository.openArchive(organizationId, id)
  if (opened === null) throw new AppError('ARCHIVE_MISSING', 'archive-gone', `The archive of backup ${id} is gone.`)
  await opened.handle.close()
  if (opened.size !== size) {
    throw new AppError(
      'CHECKSUM_MISMATCH',
      'archive-size-differs',
      `The archive has ${opened.size} bytes in place of the ${size} that were written.`
    )
  }
}
