import type { FileHandle } from 'node:fs/promises'
import { RandomAccessReader } from 'yauzl'

type ReadCallback = (error: Error | null, bytesRead?: number) => void

const windowBytes = 1 << 18

/**
 * What yauzl reads the directory through. Its own reader of file descriptors hands any offset that an archive names to
 * fs.read, which throws on one over 2^53 where nobody can catch it; and it reads every record with two calls of its own.
 */
export class HandleReader extends RandomAccessReader {
  private window = Buffer.alloc(0)
  private windowStart = 0

  constructor (private readonly handle: FileHandle) {
    super()
  }

  override read (buffer: Buffer, offset: number, length: number, position: number, callback: ReadCallback): void {
    this.readBytes(buffer.subarray(offset, offset + length), position)
      .then(bytesRead => { callback(null, bytesRead) }, callback)
  }

  private async readBytes (target: Buffer, position: number): Promise<number> {
    if (!Number.isSafeInteger(position)) throw new Error('an offset points outside of it')
    const isInWindow = position >= this.windowStart && position + target.length <= this.windowStart + this.window.length
    if (!isInWindow) await this.fillWindow(position, target.length)
    return this.window.copy(target, 0, position - this.windowStart)
  }

  private async fillWindow (position: number, atLeast: number): Promise<void> {
    const block = Buffer.allocUnsafe(Math.max(windowBytes, atLeast))
    const { bytesRead } = await this.handle.read(block, 0, block.length, position)
    this.window = block.subarray(0, bytesRead)
    this.windowStart = position
  }
}
