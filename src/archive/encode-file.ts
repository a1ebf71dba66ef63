import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { constants, crc32, deflateRaw } from 'node:zlib'
import { isWorthDeflating } from './compression.js'
import type { Measures } from './encode-protocol.js'
import type { ReadyData } from './zip.js'

const deflate = promisify(deflateRaw)

export interface Encoded extends ReadyData {
  /** SHA-256 of the bytes before compression, in hex. */
  sha256: string
}

/** Compresses one block of bytes that is a whole entry. `level` 0 stores it. */
export async function encodeBuffer(name: string, content: Buffer, level: number): Promise<Encoded> {
  const known = {
    crc32: crc32(content),
    size: content.length,
    sha256: createHash('sha256').update(content).digest('hex')
  }
  if (level > 0 && isWorthDeflating(name, content)) {
    const data = await deflate(content, { level })
    if (data.length < content.length) return { ...known, data, deflated: true }
  }
  return { ...known, data: content, deflated: false }
}

/**
 * Measures blocks and deflates each for itself; together they are one deflate stream (RFC 1951 lets blocks be joined
 * after a flush).
 */
export async function* deflateBlocks(
  blocks: AsyncIterable<Buffer> | Iterable<Buffer>,
  level: number
): AsyncGenerator<Buffer, Measures> {
  const measured = measureBlocks(blocks)
  let next = await measured.next()
  for (; next.done !== true; next = await measured.next())
    yield await deflate(next.value, { level, finishFlush: constants.Z_FULL_FLUSH })
  yield await deflate(Buffer.alloc(0))
  return next.value
}

/** Hands blocks on and measures them. */
export async function* measureBlocks(
  blocks: AsyncIterable<Buffer> | Iterable<Buffer>
): AsyncGenerator<Buffer, Measures> {
  const hash = createHash('sha256')
  let checksum = 0
  let size = 0
  for await (const block of blocks) {
    hash.update(block)
    checksum = crc32(block, checksum)
    size += block.length
    yield block
  }
  return { crc32: checksum, size, sha256: hash.digest('hex') }
}
