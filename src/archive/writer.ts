import type { KeyObject } from 'node:crypto'
import type { Writable } from 'node:stream'
import { AppError } from '../errors.js'
import { createByteList } from '../io/byte-list.js'
import { createAttributesDigest } from './attributes-digest.js'
import { formatChecksumLine } from './checksums.js'
import { deflateBlocks, encodeBuffer, measureBlocks, type Encoded } from './encode-file.js'
import { blockBytes, type Measures } from './encode-protocol.js'
import type { Gzip } from './gzip.js'
import { checksumsEntry, databaseEntry, metadataEntry, mostBytes, signatureEntry, smbInfoEntry } from './layout.js'
import type { Metadata } from './metadata.js'
import { createArchiveOutput } from './output.js'
import { signatureOf } from './signature.js'
import { createZip, type Attributes } from './zip.js'

/** What is measured while the archive is written and goes into its metadata. */
export type MetadataWithoutDigest = Omit<Metadata, 'attributesDigest'>

export interface ArchiveWriter {
  /** What is compressed already; it is stored as it is. */
  addDatabase(gzip: Gzip): Promise<void>
  addFolder(name: string, attributes: Attributes): Promise<void>
  addFile(name: string, attributes: Attributes, encoded: Encoded): Promise<void>
  /**
   * `blocks` as they are to stand in the archive, deflated or not; they return what they were before.
   * @param onWritten called for each block as its memory may be used again; when it is left out the blocks are copied
   */
  addLargeFile<Result extends Measures>(
    name: string,
    attributes: Attributes,
    deflated: boolean,
    blocks: AsyncGenerator<Buffer, Result>,
    onWritten?: () => void
  ): Promise<Result>
  addSmbInfo(text: string): Promise<void>
  /**
   * Writes metadata, checksums and their signature, ends the output and waits for it.
   * @throws AppError PAYLOAD_TOO_LARGE where a reader would refuse the archive
   */
  finish(metadata: MetadataWithoutDigest): Promise<{ size: number; checksum: string }>
}

const ownEntryMode = 0o644
const ownEntryLevel = 6

/**
 * Writes an archive in format 1 (FORMAT.md), each byte once and forward.
 * @param stream must be done with a chunk's memory when it calls back for it
 * @param timestamp the backup's, which the archive's own entries carry as their time
 * @param onBytes told the bytes of the archive as they are written
 * @param key that signs it; null leaves it unsigned
 */
export function createArchiveWriter(
  stream: Writable,
  timestamp: Date,
  onBytes: (bytes: number) => void,
  key: KeyObject | null = null
): ArchiveWriter {
  const output = createArchiveOutput(stream, onBytes)
  const zip = createZip(output)
  const digest = createAttributesDigest()
  const sums = createByteList()
  const own: Attributes = { mode: ownEntryMode, mtime: timestamp }

  async function addStream<Result extends Measures>(
    name: string,
    attributes: Attributes,
    deflated: boolean,
    blocks: AsyncGenerator<Buffer, Result>,
    onWritten?: () => void
  ): Promise<Result> {
    let result: Result | undefined
    async function* source(): AsyncGenerator<Buffer, Result> {
      result = yield* blocks
      return result
    }
    await zip.addStream(name, attributes, deflated, source(), onWritten)
    const { sha256, size } = result as Result
    sums.append(formatChecksumLine(name, sha256))
    digest.add(name, attributes, size)
    return result as Result
  }

  async function addFile(name: string, attributes: Attributes, encoded: Encoded): Promise<void> {
    await zip.addReady(name, attributes, encoded)
    sums.append(formatChecksumLine(name, encoded.sha256))
    digest.add(name, attributes, encoded.size)
  }

  async function addOwn(name: string, content: Buffer): Promise<void> {
    await addFile(name, own, await encodeBuffer(name, content, ownEntryLevel))
  }

  return {
    async addDatabase({ blocks, release }) {
      await addStream(databaseEntry, own, false, measureBlocks(blocks), release)
    },
    async addFolder(name, attributes) {
      await zip.addFolder(name, attributes)
      digest.add(name, attributes, 0)
    },
    addFile,
    addLargeFile: addStream,
    async addSmbInfo(text) {
      await addOwn(smbInfoEntry, Buffer.from(text))
    },
    async finish(metadata) {
      const complete: Metadata = { ...metadata, attributesDigest: digest.value() }
      const text = Buffer.from(JSON.stringify(complete, null, 2) + '\n')
      requireReadable('the description of the database and the warnings', text.length, mostBytes.metadata)
      await addOwn(metadataEntry, text)
      requireReadable('the list of the files and their checksums', sums.length(), mostBytes.checksums)
      const lines = sums.blocks()
      if (sums.length() <= blockBytes) await addOwn(checksumsEntry, Buffer.concat(lines))
      else await addStream(checksumsEntry, own, true, deflateBlocks(lines, ownEntryLevel))
      if (key !== null) await addOwn(signatureEntry, Buffer.from(`${signatureOf(lines, key)}\n`))
      requireReadable('the list of the files and folders', zip.directoryBytes(), mostBytes.directory)
      await zip.end()
      return await output.end()
    }
  }
}

/** A reader keeps it whole in memory, and so refuses more. */
function requireReadable(what: string, bytes: number, most: number): void {
  if (bytes <= most) return
  throw new AppError(
    'PAYLOAD_TOO_LARGE',
    'archive-not-readable',
    `The backup can't be made: ${what} takes ${bytes} bytes, and no restore reads more than ${most} of them.`,
    {
      remedy:
        'Remove files, folders or tables that are not needed, pack many small files into one, or shorten long paths.'
    }
  )
}
