import type { FileHandle } from 'node:fs/promises'
import { AppError } from '../errors.js'
import { beginTurn, type Turn } from '../io/turns.js'
import { archivedSeconds, createAttributesDigest } from './attributes-digest.js'
import { readChecksums } from './checksums.js'
import { checkLocalHeader, descriptorOf, headerOf, readDirectory } from './directory.js'
import type { ArchiveEntry, Located } from './entry-table.js'
import {
  checksumsEntry,
  databaseEntry,
  filesPrefix,
  metadataEntry,
  mostBytes,
  ownEntries,
  signatureEntry,
  smbInfoEntry
} from './layout.js'
import { readAhead } from './handle-reader.js'
import { parseMetadata, type Metadata } from './metadata.js'
import { readEntry, type EntryToRead } from './read-entry.js'
import { invalid, mismatch, ofAnother, printable } from './refusal.js'
import { signerOf, type SigningKeys } from './signature.js'
import { refuseStrange } from './strange.js'

export interface Archive {
  metadata: Metadata
  /** One of the keys has signed it, and with it all that a restore goes by. */
  trusted: boolean
  /** Id of that key. */
  signedBy: string | null
  database: ArchiveEntry | null
  /** Everything at and below the organization's folder, in the archive's order: a folder before what is in it. */
  files: ArchiveEntry[]
  /** Says where the files are, in the place of files. */
  smbInfo: ArchiveEntry | null
  /**
   * An entry's bytes. What was read is only to be trusted when the last block has come without an error.
   * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID
   */
  read(entry: ArchiveEntry): AsyncIterable<Buffer>
  /** Where the entry is in the file `descriptor`, for those who read it themselves. */
  locate(entry: ArchiveEntry): EntryToRead
  readonly descriptor: number
}

const signatureLimit = 1024

/**
 * Opens an archive in format 1 and checks everything that can be checked without reading the files: layout, names,
 * sizes, that SHA256SUMS names exactly the entries that are there, and that their attributes are unchanged. Every byte
 * that is no entry's data must be the one that our writer puts there, so that nothing can hide between the entries and
 * other tools can't see another archive than we do.
 * The caller closes `handle` after its last read.
 * @param keys that it may be signed with; null when that does not matter
 * @throws AppError ARCHIVE_INVALID, ARCHIVE_VERSION_UNSUPPORTED, CHECKSUM_MISMATCH
 */
export async function openArchive(
  handle: FileHandle,
  size: number,
  organizationId: string,
  keys: SigningKeys | null = null
): Promise<Archive> {
  const source = readAhead(handle)
  const turn = beginTurn()
  const { entries, byName } = await readDirectory(source, size, organizationId, turn)
  const sums = await readWhole(own(byName, checksumsEntry), mostBytes.checksums)
  await giveChecksums(entries, byName, sums, turn)
  const signedBy = await findSigner(sums, byName.get(signatureEntry))
  if (keys !== null && signedBy === null) await refuseStrange(entries, byName, size, turn)

  const metadataFound = own(byName, metadataEntry)
  const metadata = parseMetadata((await readWhole(metadataFound, mostBytes.metadata)).toString())
  await checkAttributes(entries, metadata, turn)
  if (metadata.organizationId !== organizationId) throw ofAnother()
  const database = byName.get(databaseEntry) ?? null
  if ((database !== null) !== metadata.includesDatabase)
    throw invalid('database-disagrees', 'metadata.json and the entries disagree on the database')
  const prefix = filesPrefix(organizationId)
  const files = entries.filter(entry => entry.name.startsWith(prefix))
  if (files.length > 0 && !metadata.includesFiles)
    throw invalid('files-disagree', 'metadata.json and the entries disagree on the files')
  // Files' own headers are checked when they are read.
  for (const entry of files) {
    if (turn.isOver()) await turn.next()
    if (entry.kind === 'folder') await checkLocalHeader(source, entry)
  }

  // None of these functions may use what is only needed to open the archive: what one uses, all keep.
  async function findSigner(checksums: Buffer, entry: Located | undefined): Promise<string | null> {
    if (entry === undefined) return null
    const text = (await readWhole(entry, signatureLimit)).toString('latin1')
    if (!/^[0-9a-f]{64}\n$/.test(text)) throw invalid('not-a-signature', `${signatureEntry} is no signature`)
    return keys === null ? null : signerOf(keys, checksums, text.slice(0, -1))
  }

  async function readWhole(entry: Located, limit: number): Promise<Buffer> {
    if (entry.size > limit) throw invalid('own-entry-too-large', `${entry.name} is too large`)
    const whole = Buffer.allocUnsafe(entry.size)
    let filled = 0
    for await (const block of read(entry)) filled += block.copy(whole, filled)
    return whole
  }

  function read(entry: ArchiveEntry): AsyncIterable<Buffer> {
    return readEntry(source, locate(entry))
  }

  function locate(entry: ArchiveEntry): EntryToRead {
    const located = entry as Located
    const header = headerOf(located)
    const { name, size, sha256, offset, compressedSize, deflated, crc32 } = located
    return {
      name,
      size,
      sha256,
      start: offset,
      header: header.getLocalFileHeader(),
      trailer: descriptorOf(located, header),
      compressedSize,
      deflated,
      crc32
    }
  }

  return {
    metadata,
    trusted: signedBy !== null,
    signedBy,
    database,
    files,
    smbInfo: byName.get(smbInfoEntry) ?? null,
    read,
    locate,
    descriptor: handle.fd
  }
}

/** SHA256SUMS can't name itself, nor what is made of it. */
const unlisted: ReadonlySet<string> = new Set([checksumsEntry, signatureEntry])

async function giveChecksums(
  entries: readonly Located[],
  byName: ReadonlyMap<string, Located>,
  text: Buffer,
  turn: Turn
): Promise<void> {
  const lines = readChecksums(text)
  let line = lines.next()
  for (; line.done !== true; line = lines.next()) {
    if (turn.isOver()) await turn.next()
    const { name, sha256 } = line.value
    const entry = byName.get(name)
    if (entry === undefined || entry.kind === 'folder' || unlisted.has(name))
      throw invalid('checksums-name-unknown-entry', `${checksumsEntry} names an entry that is not there`)
    if (entry.sha256 !== null) throw invalid('checksums-format', `${checksumsEntry} is not in sha256sum's format`)
    entry.sha256 = sha256
  }
  if (!line.value) throw invalid('checksums-format', `${checksumsEntry} is not in sha256sum's format`)
  const unnamed = entries.find(({ name, kind, sha256 }) => sha256 === null && kind === 'file' && !unlisted.has(name))
  if (unnamed !== undefined)
    throw invalid('entry-without-checksum', `${checksumsEntry} does not name ${printable(unnamed.name)}`)
}

async function checkAttributes(entries: Located[], metadata: Metadata, turn: Turn): Promise<void> {
  const digest = createAttributesDigest()
  const timestamp = archivedSeconds(new Date(metadata.timestamp))
  for (const entry of entries) {
    if (turn.isOver()) await turn.next()
    if (entry.name !== metadataEntry && !unlisted.has(entry.name)) digest.add(entry.name, entry, entry.size)
    if (ownEntries.has(entry.name) && (entry.mode !== 0o644 || archivedSeconds(entry.mtime) !== timestamp)) {
      throw mismatch(entry.name)
    }
  }
  if (digest.value() !== metadata.attributesDigest) {
    throw new AppError(
      'CHECKSUM_MISMATCH',
      'attributes-differ',
      'The names, times or modes in the archive are not those it was made with.'
    )
  }
}

function own(byName: ReadonlyMap<string, Located>, name: string): Located {
  const entry = byName.get(name)
  if (entry === undefined) throw invalid('own-entry-missing', `${name} is missing`)
  return entry
}
