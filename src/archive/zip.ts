import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { ZipFile } from 'yazl'

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
  addFolder (name: string, attributes: Attributes): Promise<void>
  addReady (name: string, attributes: Attributes, ready: ReadyData): Promise<void>
  /** Takes what `source` yields as the entry's bytes; its return value says what they were before compression. */
  addStream (name: string, attributes: Attributes, deflated: boolean,
    source: AsyncGenerator<Buffer, { crc32: number, size: number }>): Promise<void>
  /** Writes the central directory. The output is not ended. */
  end (): Promise<void>
}

/** The part of yazl's entry that the adapter relies on; test/archive/zip.ts pins it, and package.json the version. */
interface YazlEntry {
  state: number
  crcAndFileSizeKnown: boolean
  crc32: number
  uncompressedSize: number
  compressedSize: number
  relativeOffsetOfLocalHeader: number
  getLocalFileHeader (): Buffer
  getDataDescriptor (): Buffer
}
interface YazlInternals { entries: YazlEntry[], outputStreamCursor: number }

const fileDataInProgress = 2
const fileDataDone = 3
const regularFile = 0o100000
const folder = 0o040000

/**
 * Writes a zip file through yazl's headers, with bytes that were compressed and CRC'd elsewhere. yazl's public interface
 * takes only plain bytes, which it CRCs in JavaScript (about 340 MB/s, zlib.crc32: 4 GB/s), and walks all entries at
 * every entry, so that 200,000 of them take minutes. Here yazl makes every header and the central directory, and an
 * entry in progress that never ends keeps it from writing any data itself.
 */
export function createZip (output: Writable): Zip {
  const yazl = new ZipFile()
  const internals = yazl as unknown as YazlInternals
  const blocker = { state: fileDataInProgress } as YazlEntry
  const done: YazlEntry[] = []

  function nextEntry (name: string, attributes: Attributes, deflated: boolean): YazlEntry {
    internals.entries = [blocker]
    const options = { mtime: atOrAfterEpoch(attributes.mtime) }
    if (name.endsWith('/')) yazl.addEmptyDirectory(name, { ...options, mode: folder | attributes.mode })
    else yazl.addReadStreamLazy(name, { ...options, mode: regularFile | attributes.mode, compress: deflated }, () => {})
    const entry = internals.entries[1] as YazlEntry
    entry.relativeOffsetOfLocalHeader = internals.outputStreamCursor
    done.push(entry)
    return entry
  }

  async function write (bytes: Buffer): Promise<void> {
    internals.outputStreamCursor += bytes.length
    await writeTo(output, bytes)
  }

  return {
    async addFolder (name, attributes) {
      const entry = nextEntry(name, attributes, false)
      entry.state = fileDataDone
      await write(entry.getLocalFileHeader())
    },

    async addReady (name, attributes, { data, deflated, crc32, size }) {
      const entry = nextEntry(name, attributes, deflated)
      Object.assign(entry, { state: fileDataDone, crcAndFileSizeKnown: true, crc32, uncompressedSize: size, compressedSize: data.length })
      await write(entry.getLocalFileHeader())
      if (data.length > 0) await write(data)
    },

    async addStream (name, attributes, deflated, source) {
      const entry = nextEntry(name, attributes, deflated)
      await write(entry.getLocalFileHeader())
      const start = internals.outputStreamCursor
      let next = await source.next()
      while (next.done !== true) {
        await write(next.value)
        next = await source.next()
      }
      const { crc32, size } = next.value
      Object.assign(entry, { state: fileDataDone, crc32, uncompressedSize: size, compressedSize: internals.outputStreamCursor - start })
      await write(entry.getDataDescriptor())
    },

    async end () {
      internals.entries = done
      yazl.end()
      for await (const chunk of yazl.outputStream) {
        await writeTo(output, chunk as Buffer)
      }
    }
  }
}

/** A destroyed stream never drains, so waiting for it would be for ever. */
async function writeTo (output: Writable, bytes: Buffer): Promise<void> {
  if (output.destroyed) throw output.errored ?? new Error('The output was closed before the archive was complete.')
  if (!output.write(bytes)) await once(output, 'drain')
}

/** yazl writes the time as an unsigned number of seconds and throws on one before 1970. */
function atOrAfterEpoch (time: Date): Date {
  return time.getTime() < 0 ? new Date(0) : time
}
