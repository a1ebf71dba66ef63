import type { FileHandle } from 'node:fs/promises'
import { RandomAccessReader } from 'yauzl'

type ReadCallback = (error: Error | null, bytesRead?: number) => void

/** What is used of a FileHandle to read an archive. */
export interface BytesAt {
  read(target: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
}

/** Others of this thread have their turn at each new one, so it is some hundred entries, no more. */
const windowBytes = 1 << 16

/**
 * Reads ahead: an archive has a few small pieces for each of its entries, one after the other, and each call of the
 * system costs memory too.
 */
export function readAhead(handle: FileHandle): BytesAt {
  let window = { bytes: Buffer.alloc(0), start: 0 }
  return {
    async read(target, offset, length, position) {
      if (length >= windowBytes) return await handle.read(target, offset, length, position)
      let found = window
      if (position < found.start || position + length > found.start + found.bytes.length) {
        const block = Buffer.allocUnsafe(windowBytes)
        const { bytesRead } = await handle.read(block, 0, block.length, position)
        found = window = { bytes: block.subarray(0, bytesRead), start: position }
      }
      return { bytesRead: found.bytes.copy(target, offset, position - found.start, position - found.start + length) }
    }
  }
}

/**
 * What yauzl reads the directory through. Its own reader of file descriptors hands any offset that an archive names to
 * fs.read, which throws on one over 2^53 where it can't be caught; and it reads every record with two calls of its own.
 */
export class HandleReader extends RandomAccessReader {
  readonly #source: BytesAt

  constructor(source: BytesAt) {
    super()
    this.#source = source
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: ReadCallback): void {
    if (!Number.isSafeInteger(position)) callback(new Error('an offset points outside of it'))
    else
      this.#source.read(buffer, offset, length, position).then(({ bytesRead }) => {
        callback(null, bytesRead)
      }, callback)
  }
}
