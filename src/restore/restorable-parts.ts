import type { Archive } from '../archive/reader.js'
import type { Core } from '../core.js'
import { AppError } from '../errors.js'

/**
 * What a restore of the archive puts back here.
 * @throws AppError BACKUP_INCOMPATIBLE where that would be less than the archive holds, or nothing: files have no
 * folder to go to when the installation keeps its uploads on an SMB share, and an archive of such an installation has
 * none
 */
export function restorableParts(
  { storage }: Core,
  { database, files, metadata }: Archive
): { database: boolean; files: boolean } {
  const { transferable } = storage.capabilities
  if (!transferable && files.length > 0) {
    throw new AppError(
      'BACKUP_INCOMPATIBLE',
      'files-on-smb',
      `The backup holds ${files.length} files and folders, and this installation keeps its uploads on an SMB share, where a restore can't put them.`,
      {
        remedy:
          'Have the operator mount the share and set FILE_STORAGE_TYPE=local with UPLOAD_DIR on it, then restore again. Or take the files out of the archive by hand.'
      }
    )
  }
  const parts = { database: database !== null, files: metadata.includesFiles && transferable }
  if (parts.database || parts.files) return parts
  throw new AppError(
    'BACKUP_INCOMPATIBLE',
    'nothing-restorable',
    'The backup holds nothing that can be restored: the uploaded files were on an SMB share when it was made.',
    {
      remedy: "Put the files back with the share's own backup, as files/SMB_BACKUP_INFO.txt in the archive says."
    }
  )
}
