import { chmod, lchown, lstat, mkdir, open, utimes, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { archivedSeconds } from '../archive/attributes-digest.js'
import { blockBytes } from '../archive/encode-protocol.js'
import { inTheWay, type FileOwner, type FileToExtract } from '../archive/extract-protocol.js'
import { extractSmall } from '../archive/extract-small.js'
import { filesPrefix } from '../archive/layout.js'
import type { Archive, ArchiveEntry } from '../archive/reader.js'
import { AppError, systemCode } from '../errors.js'

const fileModeBits = 0o777

export interface Extraction {
  archive: Archive
  organizationId: string
  /** Does not exist yet. */
  target: string
  owner: FileOwner | null
  signal: AbortSignal
  /** Told the bytes as they are written. */
  onBytes: (bytes: number) => void
}

/**
 * Writes the archive's files below `target`, every one checked against its SHA-256, with their modes and times. Long runs of
 * zeros become holes.
 * Set-user-id and set-group-id bits of files are dropped: an archive must not make programs run as the service.
 * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID
 */
export async function extractFiles (extraction: Extraction): Promise<void> {
  const { target } = extraction
  await mkdir(target, { mode: 0o700 })
  const handle = await open(target, 'r')
  try {
    // The staging folder's path is longer than the live one's, and a path that has its place there must have it here.
    const root = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : target
    await extractBelow(root, extraction)
  } finally {
    await handle.close()
  }
}

async function extractBelow (root: string, { archive, organizationId, owner, signal, onBytes }: Extraction): Promise<void> {
  const prefix = filesPrefix(organizationId)
  const pathOf = ({ name }: ArchiveEntry) => join(root, name.slice(prefix.length))
  const folders = archive.files.filter(({ kind }) => kind === 'folder')
  const files = archive.files.filter(({ kind }) => kind === 'file')

  for (const folder of folders) await mkdir(pathOf(folder), { recursive: true, mode: 0o700 })
  // The threads take the small ones while this one takes the large; when either fails the other stops.
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const [first, second] = await Promise.allSettled([
    extractSmall(archive.descriptor, smallFiles(archive, files, pathOf), owner, either, onBytes),
    (async () => {
      for (const file of files.filter(({ size }) => size > blockBytes)) await extractFile(archive, file, pathOf(file), owner, either, onBytes)
    })()
  ].map(async part => { await part.catch((error: unknown) => { stop.abort(error); throw error }) }))
  for (const part of [first, second]) if (part?.status === 'rejected') throw either.reason ?? part.reason
  // Last and deepest first: what is made in a folder changes its time, and its mode could forbid making anything.
  for (const folder of folders.reverse()) {
    if (owner !== null) await lchown(pathOf(folder), owner.uid, owner.gid)
    await chmod(pathOf(folder), folder.mode)
    await utimes(pathOf(folder), folder.mtime, folder.mtime)
  }
}

function * smallFiles (archive: Archive, files: ArchiveEntry[], pathOf: (file: ArchiveEntry) => string): Generator<FileToExtract> {
  for (const file of files) {
    if (file.size > blockBytes) continue
    yield {
      ...archive.locate(file),
      path: pathOf(file),
      mode: file.mode & fileModeBits,
      seconds: archivedSeconds(file.mtime),
      sha256: file.sha256 as string
    }
  }
}

async function extractFile (archive: Archive, file: ArchiveEntry, path: string, owner: FileOwner | null, signal: AbortSignal, onBytes: Extraction['onBytes']): Promise<void> {
  const handle = await create(path, file)
  try {
    let end = 0
    for await (const block of archive.read(file)) {
      signal.throwIfAborted()
      if (!isAllZeros(block)) await writeAt(handle, block, end)
      end += block.length
      onBytes(block.length)
    }
    // Zeros that were not written are holes; those at the end need the length.
    await handle.truncate(end)
    if (owner !== null) await handle.chown(owner.uid, owner.gid)
    await handle.chmod(file.mode & fileModeBits)
    await handle.utimes(file.mtime, file.mtime)
  } finally {
    await handle.close()
  }
}

function isAllZeros (block: Buffer): boolean {
  return block[0] === 0 && block.compare(block, 1, block.length, 0, block.length - 1) === 0
}

async function writeAt (handle: FileHandle, block: Buffer, position: number): Promise<void> {
  for (let written = 0; written < block.length;) {
    written += (await handle.write(block, written, block.length - written, position + written)).bytesWritten
  }
}

async function create (path: string, { name }: ArchiveEntry) {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if (!inTheWay.has(systemCode(error) ?? '')) throw error
    throw new AppError('ARCHIVE_INVALID', `The archive can't be used: ${JSON.stringify(name)} stands in another entry's way.`, { cause: error })
  }
}

/** Like the folder that is replaced, else like the one it is in; null when we are not root and own what we make. */
export async function ownerLike (live: string, parent: string): Promise<FileOwner | null> {
  if (process.getuid?.() !== 0) return null
  const { uid, gid } = await lstat(live).catch(async () => await lstat(parent))
  return { uid, gid }
}
