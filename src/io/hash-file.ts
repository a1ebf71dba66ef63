import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

const blockBytes = 1 << 20

/**
 * SHA-256 of the first `size` bytes of a file, in hex; of fewer when it has become shorter. Of two blocks one is hashed
 * while the other is read, and no memory is asked for in between.
 * @throws the reason of the signal
 */
export async function sha256Of(handle: FileHandle, size: number, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const blocks = [0, 1].map(() => Buffer.allocUnsafe(Math.min(blockBytes, size)))
  const readAt = async (position: number): Promise<Buffer> => {
    const block = blocks.reverse()[0] as Buffer
    return block.subarray(0, (await handle.read(block, 0, Math.min(block.length, size - position), position)).bytesRead)
  }
  let next = readAt(0)
  for (let position = 0; position < size;) {
    const block = await next
    signal?.throwIfAborted()
    if (block.length === 0) break
    position += block.length
    next = readAt(position)
    hash.update(block)
  }
  await next
  return hash.digest('hex')
}
