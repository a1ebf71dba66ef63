import { createHash } from 'node:crypto'
import { fromRandomAccessReaderPromise, type Entry } from 'yauzl'
import { AppError } from '../errors.js'
import type { Turn } from '../io/turns.js'
import { createEntryTable, type Located } from './entry-table.js'
import { HandleReader, type BytesAt } from './handle-reader.js'
import { filesPrefix, isInLayout, isOfAnother, mostBytes, mostEntries } from './layout.js'
import { checkBytes, readRange } from './read-entry.js'
import { invalid, ofAnother, printable } from './refusal.js'
import { createHeaders, dataDescriptor, endRecords, largest32, type ZipHeader } from './zip.js'

export interface Directory {
  /** In the archive's order. */
  entries: Located[]
  byName: ReadonlyMap<string, Located>
}

const encryptedFlags = 0x2041
/** Of a data descriptor with 8-byte sizes. */
const widening = 8
const dataDescriptorFlag = 0x8
/** Bytes of an entry's two headers, without its name. */
const leastEntry = 30 + 46

/**
 * The entries that the central directory names, checked for everything that it alone can tell: layout, names, kinds,
 * that they stand one after the other with nothing between them, and that the directory has not a byte that our writer
 * would not have written.
 * @throws AppError ARCHIVE_INVALID
 */
export async function readDirectory(
  source: BytesAt,
  size: number,
  organizationId: string,
  turn: Turn
): Promise<Directory> {
  const entries = await refusing(async () => await locateEntries(source, size, organizationId, turn))
  const byName = new Map<string, Located>()
  for (const entry of entries) {
    if (turn.isOver()) await turn.next()
    byName.set(entry.name, entry)
  }
  await checkTree(entries, byName, organizationId, turn)
  return { entries, byName }
}

async function locateEntries(source: BytesAt, size: number, organizationId: string, turn: Turn): Promise<Located[]> {
  const zip = await fromRandomAccessReaderPromise(new HandleReader(source), size, {
    autoClose: false,
    decodeStrings: false
  })
  if (zip.entryCount > mostEntries) throw invalid('too-many-entries', `it has more than ${mostEntries} entries`)
  const entries: Located[] = []
  // What it says of their number need not be true.
  const table = createEntryTable(Math.min(zip.entryCount, Math.ceil(size / leastEntry)))
  let directoryBytes = 0
  let recordBytes = 0
  const found = createHash('sha256')
  let end = 0
  for await (const raw of zip.eachEntry()) {
    if (turn.isOver()) await turn.next()
    directoryBytes += 46 + raw.fileNameLength + raw.extraFieldLength + raw.fileCommentLength
    if (directoryBytes > mostBytes.directory) throw invalid('directory-too-large', 'its directory is too large')
    const name = decodeName(raw.fileNameRaw)
    if (!isInLayout(name, organizationId))
      throw isOfAnother(name, organizationId)
        ? ofAnother()
        : invalid('no-place-in-layout', `the entry ${printable(name)} has no place in the layout`)
    if ((raw.generalPurposeBitFlag & encryptedFlags) !== 0)
      throw invalid('encrypted-entry', `${printable(name)} is encrypted`)
    if (raw.compressionMethod !== 0 && raw.compressionMethod !== 8)
      throw invalid('unknown-compression', `${printable(name)} has an unknown compression`)
    const type = raw.externalFileAttributes >>> 16
    const mode = type & 0o7777
    const kind = name.endsWith('/') ? 'folder' : 'file'
    if ((type & 0o170000) !== (kind === 'folder' ? 0o040000 : 0o100000))
      throw invalid('not-a-file-or-folder', `${printable(name)} is no regular file or folder`)
    if (kind === 'folder' && (raw.uncompressedSize !== 0 || raw.compressedSize !== 0))
      throw invalid('folder-with-content', `the folder ${printable(name)} has content`)
    const mtime = raw.getLastModDate()
    if (mtime.getTime() < 0) throw invalid('time-before-1970', `${printable(name)} has a time before 1970`)

    // Of an archive from before 2026-11-27, see FORMAT.md; of the last entry it needs no telling, since that is small.
    const previous = entries.at(-1)
    if (previous !== undefined && raw.relativeOffsetOfLocalHeader === end + widening && mayBeWide(previous)) {
      previous.wide = true
      end += widening
    }
    if (raw.relativeOffsetOfLocalHeader < end) throw invalid('overlapping-entries', 'entries overlap')
    if (raw.relativeOffsetOfLocalHeader > end)
      throw invalid('bytes-between-entries', 'there are bytes between its entries')
    checkSizes(raw)
    const entry = table.add(name, {
      size: raw.uncompressedSize,
      mode,
      mtime,
      offset: end,
      compressedSize: raw.compressedSize,
      deflated: raw.compressionMethod === 8,
      crc32: raw.crc32,
      measuredFirst: (raw.generalPurposeBitFlag & dataDescriptorFlag) === 0,
      wide: Math.max(raw.uncompressedSize, raw.compressedSize) > largest32,
      dosTime: raw.lastModFileTime,
      dosDate: raw.lastModFileDate
    })
    const header = headerOf(entry)
    const record = header.getCentralDirectoryRecord()
    found.update(record)
    recordBytes += record.length
    end += 30 + raw.fileNameLength + raw.compressedSize + descriptorOf(entry, header).length
    if (end > size) throw invalid('ends-too-early', 'it ends too early')
    entries.push(entry)
  }
  for await (const block of endRecords({ count: entries.length, start: end, bytes: recordBytes })) found.update(block)
  if (found.digest('hex') !== (await hashOf(readRange(source, end, size - end)))) {
    throw invalid('directory-changed', 'its directory is not as it was written')
  }
  return entries
}

function checkSizes({ uncompressedSize, compressedSize, generalPurposeBitFlag }: Entry): void {
  const measuredFirst = (generalPurposeBitFlag & dataDescriptorFlag) === 0
  if (
    !Number.isSafeInteger(uncompressedSize) ||
    !Number.isSafeInteger(compressedSize) ||
    (measuredFirst && Math.max(uncompressedSize, compressedSize) > largest32)
  ) {
    throw invalid('impossible-size', 'an entry has an impossible size')
  }
  // Deflate adds 5 bytes for each 16 KiB at most, and as many to each block that is deflated or stored by itself: of a
  // dump's blocks none has less than a KiB.
  if (compressedSize > uncompressedSize + uncompressedSize / 128 + 1024)
    throw invalid('compressed-too-large', 'an entry takes far more room than it says that it holds')
}

/** What the writer would have written for such an entry. */
export function headerOf({
  name,
  mode,
  mtime,
  size,
  offset,
  compressedSize,
  deflated,
  crc32,
  measuredFirst,
  dosTime,
  dosDate
}: Located): ZipHeader {
  return Object.assign(maker.make(name, { mode, mtime }, deflated), {
    crcAndFileSizeKnown: measuredFirst || name.endsWith('/'),
    crc32,
    uncompressedSize: size,
    compressedSize,
    relativeOffsetOfLocalHeader: offset,
    // In the writer's time zone, which is unknown; the extended timestamp is the one that counts.
    lastModFileTime: dosTime,
    lastModFileDate: dosDate
  })
}

const maker = createHeaders()

/** What the writer would have written behind such an entry's data. */
export function descriptorOf({ wide }: Located, header: ZipHeader): Buffer {
  return dataDescriptor(header, wide)
}

/** Earlier archives have 8-byte sizes behind every entry that begins over 4 GiB. */
function mayBeWide({ measuredFirst, wide, kind, offset }: Located): boolean {
  return !measuredFirst && !wide && kind === 'file' && offset > largest32
}

/** Every entry once, and every folder before what is in it. */
async function checkTree(
  entries: Located[],
  names: ReadonlyMap<string, Located>,
  organizationId: string,
  turn: Turn
): Promise<void> {
  if (names.size !== entries.length) throw invalid('same-name-twice', 'two entries have the same name')
  const root = filesPrefix(organizationId)
  const folders = new Set<string>()
  for (const { name, kind } of entries) {
    if (turn.isOver()) await turn.next()
    if (kind === 'folder') {
      if (names.has(name.slice(0, -1))) throw invalid('file-and-folder', `${printable(name)} is a file and a folder`)
      folders.add(name)
    }
    if (!name.startsWith(root) || name === root) continue
    const parent = name.slice(0, name.lastIndexOf('/', name.length - 2) + 1)
    if (!folders.has(parent))
      throw invalid('folder-missing', `${printable(name)} stands before its folder, or has none`)
  }
}

/** Checks an entry's local header; returns where its data starts. @throws AppError ARCHIVE_INVALID */
export async function checkLocalHeader(source: BytesAt, entry: Located, header = headerOf(entry)): Promise<number> {
  return await checkBytes(source, entry.offset, header.getLocalFileHeader(), entry.name)
}

async function hashOf(blocks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const block of blocks) hash.update(block)
  return hash.digest('hex')
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeName(raw: Buffer): string {
  try {
    return decoder.decode(raw)
  } catch (error) {
    throw invalid('name-not-utf8', "an entry's name is not UTF-8", error)
  }
}

/** yauzl's own refusals are plain Errors without a code; those of the file system have one and pass. */
async function refusing<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (error instanceof AppError || (error as { code?: unknown }).code !== undefined) throw error
    throw invalid('zip-structure', (error as Error).message.replace(/\.$/, ''), error)
  }
}
