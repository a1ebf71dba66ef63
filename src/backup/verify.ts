import type { FileHandle } from 'node:fs/promises'
import { AppError } from '../errors.js'
import { sha256Of } from '../io/hash-file.js'
import type { JobContext } from '../jobs/context.js'
import type { Backup } from '../repository/record.js'

/**
 * Reads an archive whole and compares it with the size and SHA-256 of its record.
 * @throws AppError CHECKSUM_MISMATCH
 */
export async function verifyChecksum(
  { handle, size }: { handle: FileHandle; size: number },
  backup: Backup,
  job: JobContext
): Promise<void> {
  job.progress.phase('verify')
  const found = await sha256Of(handle, size, job.signal)
  if (size !== backup.size || found !== backup.checksum) {
    throw new AppError(
      'CHECKSUM_MISMATCH',
      'archive-digest-differs',
      'The archive is not the one that was written: its size or SHA-256 differs from the record.'
    )
  }
}
