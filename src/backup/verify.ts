import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { AppError } from '../errors.js'
import type { JobContext } from '../jobs/progress.js'
import type { Backup } from '../repository/record.js'

const blockBytes = 1 << 20

/**
 * Reads an archive whole and compares it with the size and SHA-256 of its record.
 * @throws AppError CHECKSUM_MISMATCH
 */
export async function verifyChecksum ({ handle, size }: { handle: FileHandle, size: number }, backup: Backup, job: JobContext): Promise<void> {
  job.progress.phase('verify')
  const found = await sha256Of(handle, size, job.signal)
  if (size !== backup.size || found !== backup.checksum) {
    throw new AppError('CHECKSUM_MISMATCH', 'The archive is not the one that was written: its size or SHA-256 differs from the record.')
  }
}

/** Of two blocks one is hashed while the other is read, and no memory is asked for in between. */
async function sha256Of (handle: FileHandle, size: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const blocks = [Buffer.allocUnsafe(blockBytes), Buffer.allocUnsafe(blockBytes)]
  const readAt = async (position: number): Promise<Buffer> => {
    const block = blocks.reverse()[0] as Buffer
    return block.subarray(0, (await handle.read(block, 0, Math.min(block.length, size - position), position)).bytesRead)
  }
  let next = readAt(0)
  for (let position = 0; position < size;) {
    const block = await next
    signal.throwIfAborted()
    if (block.length === 0) break
    position += block.length
    next = readAt(position)
    hash.update(block)
  }
  await next
  return hash.digest('hex')
}
