import { createHash } from 'node:crypto'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { blockBytes } from './encode-protocol.js'

export interface ArchiveOutput {
  /**
   * Takes the bytes and waits while too many are on their way. Their memory may be used again when `onWritten` is
   * called; without it, at once.
   */
  write(bytes: Buffer, onWritten?: () => void): Promise<void>
  /** Ends the stream and waits for it. `checksum` is the SHA-256 of all bytes, in hex. */
  end(): Promise<{ size: number; checksum: string }>
}

/**
 * Hashes what is written and gathers small pieces into blocks: an archive of small files is hundreds of thousands of
 * them.
 * @param stream must be done with a chunk's memory when it calls back for it
 * @param onBytes told the length of each block; what it throws fails the write
 */
export function createArchiveOutput(stream: Writable, onBytes: (bytes: number) => void): ArchiveOutput {
  const hash = createHash('sha256')
  const free: Buffer[] = []
  let block: Buffer = Buffer.allocUnsafeSlow(blockBytes)
  let filled = 0
  let size = 0
  let wake = (): void => {}
  const ended = finished(stream)
  // Awaited at the end; a write until then gets the error of the destroyed stream, which never drains.
  ended.catch(() => {
    wake()
  })
  stream.on('drain', () => {
    wake()
  })

  function requireOpen(): void {
    if (stream.destroyed || stream.errored !== null)
      throw stream.errored ?? new Error('The output was closed before the archive was complete.')
  }

  async function send(bytes: Buffer, onWritten: () => void): Promise<void> {
    requireOpen()
    try {
      onBytes(bytes.length)
    } catch (error) {
      stream.destroy(error as Error)
      throw error
    }
    hash.update(bytes)
    size += bytes.length
    if (stream.write(bytes, onWritten)) return
    await new Promise<void>(resolve => {
      wake = resolve
    })
    requireOpen()
  }

  async function flush(): Promise<void> {
    if (filled === 0) return
    const full = block
    const bytes = full.subarray(0, filled)
    block = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes)
    filled = 0
    await send(bytes, () => {
      free.push(full)
    })
  }

  return {
    async write(bytes, onWritten) {
      if (onWritten !== undefined) {
        await flush()
        await send(bytes, onWritten)
        return
      }
      for (let from = 0; from < bytes.length;) {
        const copied = bytes.copy(block, filled, from)
        from += copied
        filled += copied
        if (filled === blockBytes) await flush()
      }
    },

    async end() {
      await flush()
      requireOpen()
      stream.end()
      await ended
      return { size, checksum: hash.digest('hex') }
    }
  }
}
