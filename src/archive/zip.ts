import { ZipFile } from 'yazl'
import { createByteList } from '../io/byte-list.js'
import type { ArchiveOutput } from './output.js'
import { lastStoredBlock, storedBlocks } from './stored-blocks.js'

export interface Attributes {
  /** Permission bits only (07777). */
  mode: number
  mtime: Date
}

/** An entry's bytes as they are to stand in the archive, with what its headers say of them. */
export interface ReadyData {
  data: Buffer
  deflated: boolean
  /** CRC-32 and bytes before compression. */
  crc32: number
  size: number
}

export interface Zip {
  addFolder(name: string, attributes: Attributes): Promise<void>
  addReady(name: string, attributes: Attributes, ready: ReadyData): Promise<void>
  /**
   * Takes what `source` yields as the entry's bytes; its return value says what they were before compression. Those
   * that are not deflated become stored blocks of a deflate stream.
   * @param onWritten called in their order as their memory may be used again; when it is left out they are copied
   */
  addStream(
    name: string,
    attributes: Attributes,
    deflated: boolean,
    source: AsyncGenerator<Buffer, { crc32: number; size: number }>,
    onWritten?: () => void
  ): Promise<void>
  /** Of the central directory so far. */
  directoryBytes(): number
  /** Writes the central directory. The output is not ended. */
  end(): Promise<void>
}

/** The part of yazl's entry that is relied on here; test/archive/zip.ts pins it, and package.json the version. */
export interface ZipHeader {
  state: number
  crcAndFileSizeKnown: boolean
  crc32: number
  uncompressedSize: number
  compressedSize: number
  relativeOffsetOfLocalHeader: number
  lastModFileTime: number
  lastModFileDate: number
  utf8FileName: Buffer
  getLocalFileHeader(): Buffer
  getCentralDirectoryRecord(): Buffer
}
interface YazlInternals {
  entries: unknown[]
  outputStreamCursor: number
}

export interface ZipHeaders {
  /** An entry's header; the caller sets offset, CRC-32 and sizes. */
  make(name: string, attributes: Attributes, deflated: boolean): ZipHeader
  /** The header is complete: its record comes next in the central directory. */
  add(header: ZipHeader): void
  /** Of the records so far. */
  bytes(): number
  /** The central directory of all that was added, and the records that end the file. `start` is its offset. */
  directory(start: number): AsyncIterable<Buffer>
}

/** The largest size that yazl, and with it the central directory, does not write in zip64 form. */
export const largest32 = 0xfffffffe
const fileDataInProgress = 2
const fileDataDone = 3
const regularFile = 0o100000
const folder = 0o040000

/**
 * yazl's headers without its data. yazl's public interface takes only plain bytes, which it CRCs in JavaScript (about
 * 340 MB/s, zlib.crc32: 4 GB/s), and walks all entries at every entry, so that 200,000 of them take minutes. Here an
 * entry in progress that never ends keeps it from writing anything before the central directory.
 */
export function createHeaders(): ZipHeaders {
  const yazl = new ZipFile()
  const internals = yazl as unknown as YazlInternals
  const blocker = { state: fileDataInProgress }
  const records = createByteList()
  let added = 0

  return {
    make(name, attributes, deflated) {
      internals.entries = [blocker]
      const options = { mtime: atOrAfterEpoch(attributes.mtime) }
      // yazl takes a backslash for a slash.
      const plain = name.replaceAll('\\', '_')
      if (plain.endsWith('/')) yazl.addEmptyDirectory(plain, { ...options, mode: folder | attributes.mode })
      else
        yazl.addReadStreamLazy(plain, { ...options, mode: regularFile | attributes.mode, compress: deflated }, () => {})
      const header = internals.entries[1] as ZipHeader
      if (plain !== name) header.utf8FileName = Buffer.from(name)
      return header
    },

    add(header) {
      records.append(header.getCentralDirectoryRecord())
      added += 1
    },

    bytes: () => records.length(),

    async *directory(start) {
      yield* records.blocks()
      yield* endRecords({ count: added, start, bytes: records.length() })
    }
  }
}

/**
 * What stands behind an entry whose CRC-32 and sizes were not known before its data; nothing behind any other. yazl has
 * 8-byte sizes also where only the entry's offset is over 4 GiB, but a reader that goes forward knows no offset.
 * @param wide 8-byte sizes (4.3.9.2 of APPNOTE.TXT); by default where a size needs them
 */
export function dataDescriptor(
  { crcAndFileSizeKnown, crc32, compressedSize, uncompressedSize }: ZipHeader,
  wide = Math.max(compressedSize, uncompressedSize) > largest32
): Buffer {
  if (crcAndFileSizeKnown) return Buffer.alloc(0)
  const descriptor = Buffer.alloc(wide ? 24 : 16)
  descriptor.writeUInt32LE(0x08074b50, 0)
  descriptor.writeUInt32LE(crc32, 4)
  if (wide) {
    descriptor.writeBigUInt64LE(BigInt(compressedSize), 8)
    descriptor.writeBigUInt64LE(BigInt(uncompressedSize), 16)
  } else {
    descriptor.writeUInt32LE(compressedSize, 8)
    descriptor.writeUInt32LE(uncompressedSize, 12)
  }
  return descriptor
}

/**
 * What stands behind the central directory's records and ends the file: `start` is where they begin, `bytes` their
 * length.
 */
export async function* endRecords({
  count,
  start,
  bytes
}: {
  count: number
  start: number
  bytes: number
}): AsyncGenerator<Buffer> {
  const yazl = new ZipFile()
  const internals = yazl as unknown as YazlInternals
  // yazl only counts them, and asks each for its record.
  const entries: unknown[] = new Array(count).fill({ state: fileDataDone })
  entries.forEach = () => {
    internals.outputStreamCursor += bytes
  }
  internals.entries = entries
  internals.outputStreamCursor = start
  yazl.end()
  yield* yazl.outputStream as AsyncIterable<Buffer>
}

/** Writes a zip file, with bytes that were compressed and CRC'd elsewhere. */
export function createZip(output: Pick<ArchiveOutput, 'write'>): Zip {
  const headers = createHeaders()
  let cursor = 0

  function nextHeader(name: string, attributes: Attributes, deflated: boolean): ZipHeader {
    return Object.assign(headers.make(name, attributes, deflated), { relativeOffsetOfLocalHeader: cursor })
  }

  async function write(bytes: Buffer, onWritten?: () => void): Promise<void> {
    cursor += bytes.length
    await output.write(bytes, onWritten)
  }

  async function writeStored(bytes: Buffer, onWritten?: () => void): Promise<void> {
    for (const piece of storedBlocks(bytes)) await write(piece)
    onWritten?.()
  }

  return {
    async addFolder(name, attributes) {
      const header = nextHeader(name, attributes, false)
      await write(header.getLocalFileHeader())
      headers.add(header)
    },

    async addReady(name, attributes, { data, deflated, crc32, size }) {
      const header = nextHeader(name, attributes, deflated)
      Object.assign(header, { crcAndFileSizeKnown: true, crc32, uncompressedSize: size, compressedSize: data.length })
      await write(header.getLocalFileHeader())
      await write(data)
      headers.add(header)
    },

    async addStream(name, attributes, deflated, source, onWritten) {
      const header = nextHeader(name, attributes, true)
      try {
        await write(header.getLocalFileHeader())
        const start = cursor
        let next = await source.next()
        while (next.done !== true) {
          if (deflated) await write(next.value, onWritten)
          else await writeStored(next.value, onWritten)
          next = await source.next()
        }
        if (!deflated) await write(lastStoredBlock)
        const { crc32, size } = next.value
        Object.assign(header, { crc32, uncompressedSize: size, compressedSize: cursor - start })
      } finally {
        // A source that is left in the middle has a file or a program behind it.
        await source.return(undefined as never)
      }
      await write(dataDescriptor(header))
      headers.add(header)
    },

    directoryBytes: () => headers.bytes(),

    async end() {
      for await (const chunk of headers.directory(cursor)) await write(chunk)
    }
  }
}

/** yazl writes the time as an unsigned number of seconds and throws on one before 1970. */
function atOrAfterEpoch(time: Date): Date {
  return time.getTime() < 0 ? new Date(0) : time
}
