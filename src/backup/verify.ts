import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { readBlocks } from '../archive/encode-file.js'
import { AppError } from '../errors.js'
import type { JobContext } from '../jobs/progress.js'
import type { Backup } from '../repository/record.js'

/**
 * Reads an archive whole and compares it with the size and SHA-256 of its record.
 * @throws AppError CHECKSUM_MISMATCH
 */
export async function verifyChecksum ({ handle, size }: { handle: FileHandle, size: number }, backup: Backup, job: JobContext): Promise<void> {
  job.progress.phase('verify')
  const hash = createHash('sha256')
  for await (const block of readBlocks(handle, size)) {
    job.signal.throwIfAborted()
    hash.update(block)
  }
  if (size !== backup.size || hash.digest('hex') !== backup.checksum) {
    throw new AppError('CHECKSUM_MISMATCH', 'The archive is not the one that was written: its size or SHA-256 differs from the record.')
  }
}
