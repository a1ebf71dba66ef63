import { chmod, chown, mkdir, open, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { archivedSeconds } from '../archive/attributes-digest.js'
import type { FileToExtract } from '../archive/extract-protocol.js'
import { extractEntries } from '../archive/extract-entries.js'
import { restoredFileBits } from '../archive/inexact.js'
import { filesPrefix } from '../archive/layout.js'
import type { ArchiveEntry } from '../archive/entry-table.js'
import type { Archive } from '../archive/reader.js'
import type { FileOwner } from '../storage/strategy.js'
import { giveAway, ownerOf } from './file-owner.js'

export interface Extraction {
  archive: Archive
  organizationId: string
  /** Does not exist yet. */
  target: string
  /** Whose all of it is to be, where the service may give it away; null: the service's user. */
  owner: FileOwner | null
  signal: AbortSignal
  /** Told the bytes as they are written. */
  onBytes: (bytes: number) => void
}

/**
 * Writes the archive's files below `target`, every one checked against its SHA-256, with their modes and times. Long
 * runs of zeros become holes. Set-user-id and set-group-id bits of files are dropped: an archive must not make programs
 * run as the service.
 * @returns whose they are now
 * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID
 */
export async function extractFiles(extraction: Extraction): Promise<FileOwner> {
  const { target } = extraction
  await mkdir(target, { mode: 0o700 })
  const handle = await open(target, 'r')
  try {
    // The staging folder's path is longer than the live one's, and a path that has its place there must have it here.
    const root = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : target
    await extractBelow(root, extraction, extraction.owner === null ? null : await giveAway(handle, extraction.owner))
    return ownerOf(await handle.stat())
  } catch (error) {
    const { path } = error as NodeJS.ErrnoException
    if (path?.startsWith('/proc/self/fd/') === true)
      (error as NodeJS.ErrnoException).path = path.replace(/^\/proc\/self\/fd\/\d+/, () => target)
    throw error
  } finally {
    await handle.close()
  }
}

async function extractBelow(
  root: string,
  { archive, organizationId, signal, onBytes }: Extraction,
  owner: FileOwner | null
): Promise<void> {
  const prefix = filesPrefix(organizationId)
  const pathOf = ({ name }: ArchiveEntry) => join(root, name.slice(prefix.length))
  const folders = archive.files.filter(({ kind }) => kind === 'folder')
  const files = archive.files.filter(({ kind }) => kind === 'file')

  for (const folder of folders) await mkdir(pathOf(folder), { recursive: true, mode: 0o700 })
  await extractEntries({
    descriptor: archive.descriptor,
    files,
    describe: (file): FileToExtract => ({
      ...archive.locate(file),
      path: pathOf(file),
      mode: file.mode & restoredFileBits,
      seconds: archivedSeconds(file.mtime),
      sha256: file.sha256 as string
    }),
    owner,
    signal,
    onBytes
  })
  // Last and deepest first: what is made in a folder changes its time, and its mode could forbid making anything. The
  // mode comes after the owner, since a change of owner can take set-user-id and set-group-id bits away (chown(2)).
  for (const folder of folders.reverse()) {
    // Follows the link that the root's path is (proc(5)); no other link is below it.
    if (owner !== null) await chown(pathOf(folder), owner.uid, owner.gid)
    await chmod(pathOf(folder), folder.mode)
    await utimes(pathOf(folder), folder.mtime, folder.mtime)
  }
}
