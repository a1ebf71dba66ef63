import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { promisify } from 'node:util'
import { crc32, createDeflateRaw, deflateRaw } from 'node:zlib'
import { isWorthDeflating } from './compression.js'
import type { ReadyData } from './zip.js'

/** Files up to this many bytes are read whole and ahead of their turn; larger ones flow through in blocks of this size. */
export const blockBytes = 1 << 20

const deflate = promisify(deflateRaw)

export interface Encoded extends ReadyData {
  /** SHA-256 of the bytes before compression, in hex. */
  sha256: string
}

/** Compresses one block of bytes that is a whole entry. `level` 0 stores it. */
export async function encodeBuffer (name: string, content: Buffer, level: number): Promise<Encoded> {
  const known = { crc32: crc32(content), size: content.length, sha256: createHash('sha256').update(content).digest('hex') }
  if (level > 0 && isWorthDeflating(name, content)) {
    const data = await deflate(content, { level })
    if (data.length < content.length) return { ...known, data, deflated: true }
  }
  return { ...known, data: content, deflated: false }
}

/** Reads at most `size` bytes from the start of the file; fewer when it has become shorter. */
export async function readUpTo (handle: FileHandle, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await handle.read(buffer, filled, size - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

export type StreamedResult = { crc32: number, size: number, sha256: string }

/** The first `size` bytes of a file in blocks, fewer when it has become shorter. */
export async function * readBlocks (handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  let position = 0
  while (position < size) {
    const block = Buffer.allocUnsafe(Math.min(blockBytes, size - position))
    const { bytesRead } = await handle.read(block, 0, block.length, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield block.subarray(0, bytesRead)
  }
}

/** Measures and, at a `level` above 0, deflates a stream of blocks. */
export async function * encodeBlocks (blocks: AsyncIterable<Buffer>, level: number): AsyncGenerator<Buffer, StreamedResult> {
  const hash = createHash('sha256')
  let checksum = 0
  let size = 0
  async function * measured (): AsyncGenerator<Buffer> {
    for await (const block of blocks) {
      hash.update(block)
      checksum = crc32(block, checksum)
      size += block.length
      yield block
    }
  }
  if (level === 0) yield * measured()
  else yield * deflated(measured(), level)
  return { crc32: checksum, size, sha256: hash.digest('hex') }
}

function deflated (blocks: AsyncIterable<Buffer>, level: number): AsyncIterable<Buffer> {
  // Whoever reads the result gets the source's error from it; the callback is only there because pipeline wants one.
  return pipeline(blocks, createDeflateRaw({ level, chunkSize: 1 << 18 }), () => {})
}
