import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream'
import { crc32, createInflateRaw } from 'node:zlib'
import { systemCode } from '../errors.js'
import { blockBytes } from './encode-protocol.js'
import type { FileToExtract } from './extract-protocol.js'
import type { BytesAt } from './handle-reader.js'
import { invalid, mismatch, printable } from './refusal.js'

/** Where an entry's bytes are, and what they must be. Can be sent to a thread. */
export type EntryToRead = Pick<
  FileToExtract,
  'name' | 'start' | 'header' | 'trailer' | 'compressedSize' | 'deflated' | 'crc32' | 'size'
> & {
  /** Null when nothing but its CRC-32 is known. */
  sha256: string | null
}

/**
 * An entry's bytes. What was read is only to be trusted when the last block has come without an error.
 * @param block read into again and again where the data are not deflated, so that each block is gone when the next is
 * asked for
 * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID
 */
export async function* readEntry(source: BytesAt, entry: EntryToRead, block?: Buffer): AsyncGenerator<Buffer> {
  const { name, size, compressedSize } = entry
  const start = await checkBytes(source, entry.start, entry.header, name)
  const compressed = readRange(source, start, compressedSize, entry.deflated ? undefined : block)
  const hash = createHash('sha256')
  let checksum = 0
  let bytes = 0
  const inflate = !entry.deflated ? null : createInflateRaw({ chunkSize: Math.max(64, Math.min(size, 1 << 18)) })
  // The reader of a pipeline's last stream gets its error; the callback is only there because pipeline wants one.
  const plain = inflate === null ? compressed : pipeline(compressed, inflate, () => {})
  try {
    for await (const block of plain as AsyncIterable<Buffer>) {
      bytes += block.length
      if (bytes > size) throw invalid('larger-than-told', `${printable(name)} is larger than it says`)
      hash.update(block)
      checksum = crc32(block, checksum)
      yield block
    }
  } catch (error) {
    throw systemCode(error)?.startsWith('Z_') === true ? mismatch(name, error) : error
  }
  if (bytes !== size || checksum !== entry.crc32) throw mismatch(name)
  if (inflate !== null && inflate.bytesWritten !== compressedSize) throw mismatch(name)
  if (entry.sha256 !== null && hash.digest('hex') !== entry.sha256) throw mismatch(name)
  await checkBytes(source, start + compressedSize, entry.trailer, name)
}

/** Checks bytes around an entry's data; returns where they end. @throws AppError ARCHIVE_INVALID */
export async function checkBytes(
  source: BytesAt,
  position: number,
  expected: Uint8Array,
  name: string
): Promise<number> {
  const found = Buffer.allocUnsafe(expected.length)
  const { bytesRead } = await source.read(found, 0, found.length, position)
  if (bytesRead !== expected.length || !found.equals(expected))
    throw invalid('headers-disagree', `the headers of ${printable(name)} disagree`)
  return position + expected.length
}

/** @throws AppError ARCHIVE_INVALID when the file is shorter */
export async function* readRange(
  source: BytesAt,
  start: number,
  length: number,
  again?: Buffer
): AsyncGenerator<Buffer> {
  let done = 0
  while (done < length) {
    const block = again ?? Buffer.allocUnsafe(Math.min(blockBytes, length - done))
    const { bytesRead } = await source.read(block, 0, Math.min(block.length, length - done), start + done)
    if (bytesRead === 0) throw invalid('ends-too-early', 'it ends too early')
    done += bytesRead
    yield block.subarray(0, bytesRead)
  }
}
