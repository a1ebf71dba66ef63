import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { crc32, createInflateRaw } from 'node:zlib'
import { fromFdPromise, type Entry, type ZipFile } from 'yauzl'
import { AppError } from '../errors.js'
import { createAttributesDigest } from './attributes-digest.js'
import { parseChecksums } from './checksums.js'
import { blockBytes } from './encode-file.js'
import { checksumsEntry, databaseEntry, filesPrefix, isInLayout, metadataEntry, smbInfoEntry } from './layout.js'
import { parseMetadata, type Metadata } from './metadata.js'

export interface ArchiveEntry {
  /** As it stands in the archive; a folder's ends with `/`. */
  name: string
  kind: 'file' | 'folder'
  /** Bytes before compression. */
  size: number
  /** Permission bits only. */
  mode: number
  /** To the second. */
  mtime: Date
  /** Null for a folder. */
  sha256: string | null
}

export interface Archive {
  metadata: Metadata
  database: ArchiveEntry | null
  /** Everything at and below the organization's folder, in the archive's order: a folder before what is in it. */
  files: ArchiveEntry[]
  /**
   * An entry's bytes. What was read is only to be trusted when the last block has come without an error.
   * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID
   */
  read (entry: ArchiveEntry): AsyncIterable<Buffer>
}

const metadataLimit = 16 << 20
const checksumsLimit = 256 << 20
const encryptedFlags = 0x2041
const dataDescriptorFlag = 0x8

interface Located extends ArchiveEntry { raw: Entry }

/**
 * Opens an archive in format 1 and checks everything that can be checked without reading the files: layout, names,
 * sizes, that SHA256SUMS names exactly the entries that are there, and that nobody changed their attributes.
 * The caller closes `handle` after its last read.
 * @throws AppError ARCHIVE_INVALID, ARCHIVE_VERSION_UNSUPPORTED, CHECKSUM_MISMATCH
 */
export async function openArchive (handle: FileHandle, size: number, organizationId: string): Promise<Archive> {
  const zip = await refusing(() => fromFdPromise(handle.fd, { lazyEntries: true, autoClose: false, decodeStrings: false }))
  const entries = await refusing(() => readDirectory(zip, organizationId))
  const byName = new Map(entries.map(entry => [entry.name, entry]))
  if (byName.size !== entries.length) throw invalid('two entries have the same name')

  const sumsEntry = own(byName, checksumsEntry)
  const sums = parseChecksums((await readWhole(sumsEntry, checksumsLimit)).toString())
  if (sums === null) throw invalid(`${checksumsEntry} is not in sha256sum's format`)
  giveChecksums(entries, sums)

  const metadataFound = own(byName, metadataEntry)
  const metadata = parseMetadata((await readWhole(metadataFound, metadataLimit)).toString())
  checkAttributes(entries, metadata)
  if (metadata.organizationId !== organizationId) throw invalid('it belongs to another organization')
  const database = byName.get(databaseEntry) ?? null
  if ((database !== null) !== metadata.includesDatabase) throw invalid('metadata.json and the entries disagree on the database')

  async function readWhole (entry: Located, limit: number): Promise<Buffer> {
    if (entry.size > limit) throw invalid(`${entry.name} is too large`)
    const blocks: Buffer[] = []
    for await (const block of read(entry)) blocks.push(block)
    return Buffer.concat(blocks)
  }

  async function * read (entry: ArchiveEntry): AsyncGenerator<Buffer> {
    const { raw } = entry as Located
    const start = await refusing(() => checkLocalHeader(zip, raw))
    const compressed = readRange(handle, start, raw.compressedSize)
    const hash = createHash('sha256')
    let checksum = 0
    let bytes = 0
    // The reader of a pipeline's last stream gets its error; the callback is only there because pipeline wants one.
    const plain = raw.compressionMethod === 0 ? compressed : pipeline(compressed, createInflateRaw({ chunkSize: 1 << 18 }), () => {})
    try {
      for await (const block of plain as AsyncIterable<Buffer>) {
        bytes += block.length
        if (bytes > entry.size) throw invalid(`${printable(entry.name)} is larger than it says`)
        hash.update(block)
        checksum = crc32(block, checksum)
        yield block
      }
    } catch (error) {
      throw String((error as { code?: unknown }).code).startsWith('Z_') ? mismatch(entry.name, error) : error
    }
    if (bytes !== entry.size || checksum !== raw.crc32) throw mismatch(entry.name)
    if (entry.sha256 !== null && hash.digest('hex') !== entry.sha256) throw mismatch(entry.name)
  }

  const prefix = filesPrefix(organizationId)
  return { metadata, database, files: entries.filter(entry => entry.name.startsWith(prefix)), read }
}

async function readDirectory (zip: ZipFile, organizationId: string): Promise<Located[]> {
  const entries: Located[] = []
  let end = 0
  for await (const raw of zip.eachEntry()) {
    const name = decodeName(raw.fileNameRaw)
    if (!isInLayout(name, organizationId)) throw invalid(`the entry ${printable(name)} has no place in the layout`)
    if ((raw.generalPurposeBitFlag & encryptedFlags) !== 0) throw invalid(`${printable(name)} is encrypted`)
    if (raw.compressionMethod !== 0 && raw.compressionMethod !== 8) throw invalid(`${printable(name)} has an unknown compression`)
    if (raw.relativeOffsetOfLocalHeader < end) throw invalid('entries overlap')
    end = raw.relativeOffsetOfLocalHeader + 30 + raw.fileNameLength + raw.compressedSize
    const mode = raw.externalFileAttributes >>> 16
    const kind = name.endsWith('/') ? 'folder' : 'file'
    if ((mode & 0o170000) !== (kind === 'folder' ? 0o040000 : 0o100000)) throw invalid(`${printable(name)} is no regular file or folder`)
    if (kind === 'folder' && raw.uncompressedSize !== 0) throw invalid(`the folder ${printable(name)} has content`)
    entries.push({ name, kind, size: raw.uncompressedSize, mode: mode & 0o7777, mtime: raw.getLastModDate(), sha256: null, raw })
  }
  return entries
}

/** Where the entry's data starts. What stands before it must agree with the central directory, which we go by. */
async function checkLocalHeader (zip: ZipFile, raw: Entry): Promise<number> {
  const local = await zip.readLocalFileHeaderPromise(raw)
  const agrees = local.fileName.equals(raw.fileNameRaw) && local.compressionMethod === raw.compressionMethod &&
    local.generalPurposeBitFlag === raw.generalPurposeBitFlag && local.extraFieldLength === 0 &&
    local.lastModFileDate === raw.lastModFileDate && local.lastModFileTime === raw.lastModFileTime &&
    ((local.generalPurposeBitFlag & dataDescriptorFlag) !== 0 || (local.crc32 === raw.crc32 &&
      local.compressedSize === raw.compressedSize && local.uncompressedSize === raw.uncompressedSize))
  if (!agrees) throw invalid(`the two headers of ${printable(decodeName(raw.fileNameRaw))} disagree`)
  return local.fileDataStart
}

function giveChecksums (entries: Located[], sums: Map<string, string>): void {
  let given = 0
  for (const entry of entries) {
    if (entry.kind === 'folder' || entry.name === checksumsEntry) continue
    const sum = sums.get(entry.name)
    if (sum === undefined) throw invalid(`${checksumsEntry} does not name ${printable(entry.name)}`)
    entry.sha256 = sum
    given += 1
  }
  if (given !== sums.size) throw invalid(`${checksumsEntry} names an entry that is not there`)
}

function checkAttributes (entries: Located[], metadata: Metadata): void {
  const digest = createAttributesDigest()
  const ownNames = new Set([databaseEntry, smbInfoEntry, metadataEntry, checksumsEntry])
  const timestamp = Math.floor(Date.parse(metadata.timestamp) / 1000)
  for (const entry of entries) {
    if (entry.name !== metadataEntry && entry.name !== checksumsEntry) digest.add(entry.name, entry, entry.size)
    if (ownNames.has(entry.name) && (entry.mode !== 0o644 || Math.floor(entry.mtime.getTime() / 1000) !== timestamp)) {
      throw mismatch(entry.name)
    }
  }
  if (digest.value() !== metadata.attributesDigest) {
    throw new AppError('CHECKSUM_MISMATCH', 'The names, times or modes in the archive are not those it was made with.')
  }
}

function own (byName: Map<string, Located>, name: string): Located {
  const entry = byName.get(name)
  if (entry === undefined) throw invalid(`${name} is missing`)
  return entry
}

async function * readRange (handle: FileHandle, start: number, length: number): AsyncGenerator<Buffer> {
  let done = 0
  while (done < length) {
    const block = Buffer.allocUnsafe(Math.min(blockBytes, length - done))
    const { bytesRead } = await handle.read(block, 0, block.length, start + done)
    if (bytesRead === 0) throw invalid('it ends too early')
    done += bytesRead
    yield block.subarray(0, bytesRead)
  }
}

function decodeName (raw: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw)
  } catch (error) {
    throw invalid('an entry\'s name is not UTF-8', error)
  }
}

/** A name for a message: no control characters, not over 200 characters. */
function printable (name: string): string {
  return JSON.stringify(name.length > 200 ? name.slice(0, 200) + '…' : name)
}

function invalid (reason: string, cause?: unknown): AppError {
  return new AppError('ARCHIVE_INVALID', `The archive can't be used: ${reason}.`, { cause })
}

function mismatch (name: string, cause?: unknown): AppError {
  return new AppError('CHECKSUM_MISMATCH', `The archive is damaged: ${printable(name)} is not what it was when the backup was made.`, { cause })
}

/** yauzl's own refusals are plain Errors without a code; those of the file system have one and pass. */
async function refusing<T> (step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (error instanceof AppError || (error as { code?: unknown }).code !== undefined) throw error
    throw invalid((error as Error).message.replace(/\.$/, ''), error)
  }
}
