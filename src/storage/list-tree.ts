import { isUtf8 } from 'node:buffer'
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AppError, systemCode } from '../errors.js'
import { fileError, isRefusal, placeOf, withPath, type KnownFolder } from '../io/durable.js'
import { unsafePathReason } from '../io/safe-path.js'
import { createEntryList, type StoredEntry } from './entry-list.js'
import { createFileWarnings, type FileWarnings } from './file-warnings.js'
import { stagingFolder } from './staging-folder.js'
import type { FileOwner, Listing } from './strategy.js'

/** What one call takes on Linux, without the final zero (PATH_MAX in limits.h). */
const mostPathBytes = 4095
const mostNamed = 20

/**
 * Lists a folder and all that is in it, nothing where there is none. Synchronous, which takes a fifth of the time: for
 * a thread that has nothing else to do.
 * @param root its real path; what is elsewhere by now, through a link on its way, is not listed
 * @throws AppError STORAGE_UNAVAILABLE where `root` is no folder, and the file system's errors
 */
export function listTree(root: string): Listing {
  const listing: Walk = { entries: createEntryList(), owners: null, warnings: createFileWarnings() }
  const stats = lstatSync(root, { throwIfNoEntry: false })
  if (stats === undefined) return { ...listing, warnings: [] }
  if (!stats.isDirectory()) throw noFolder()
  listing.owners = { folder: ownerOf(stats), uploadDir: ownerOf(lstatSync(dirname(root))) }
  listing.entries.append({ kind: 'folder', path: '', size: 0, mode: stats.mode & 0o7777, mtime: stats.mtime })
  const closed: Closed[] = []
  listFolder(root, '', listing, closed)
  if (closed.length > 0) throw notReadable(root, closed)
  return { ...listing, warnings: listing.warnings.list() }
}

interface Walk extends Omit<Listing, 'warnings'> {
  warnings: FileWarnings
}

/** A folder that may not be read, and why. */
interface Closed {
  path: string
  error: unknown
}

/** All at once: a backup without what is in them would be none, and one by one they would take as many tries. */
function notReadable(root: string, closed: Closed[]): unknown {
  const known: KnownFolder = { name: 'UPLOAD_DIR', folder: dirname(root) }
  const first = fileError(closed[0]?.error, 'STORAGE_UNAVAILABLE', 'Listing the uploaded files', known)
  if (!(first instanceof AppError)) return first
  const named = closed.slice(0, mostNamed).map(({ path }) => ({
    reason: 'folder-not-readable',
    message: `The service may not read the folder ${placeOf(path, [known]) ?? ''}.`
  }))
  if (closed.length > mostNamed)
    named.push({ reason: 'more', message: `The service may not read ${closed.length - mostNamed} more folders.` })
  return new AppError(first.code, first.reason, first.message, {
    remedy: first.remedy,
    errors: named,
    cause: first.cause
  })
}

function ownerOf({ uid, gid }: FileOwner): FileOwner {
  return { uid, gid }
}

function noFolder(): AppError {
  return new AppError(
    'STORAGE_UNAVAILABLE',
    'upload-folder-not-a-folder',
    "The organization's upload folder is a link or no folder.",
    { remedy: 'Put a real folder in its place.' }
  )
}

function listFolder(folder: string, prefix: string, listing: Walk, closed: Closed[]): void {
  const children = createEntryList()
  const descriptor = openFolder(folder, prefix, listing, closed)
  if (descriptor === null) return
  try {
    // On Linux its content is found through it, whatever takes its place meanwhile.
    const at = process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : folder
    // In byte order, each byte of a name as one character: what is no UTF-8 stays what it is, and a million names stay
    // small.
    const names = readdirSync(at, { encoding: 'latin1' })
      .filter(name => prefix !== '' || name !== stagingFolder)
      .sort()
    for (const name of names) {
      const entry = describeEntry(at, folder, prefix, name, listing)
      if (entry !== null) children.append(entry)
    }
  } catch (error) {
    withPath(error, folder)
    // Its names may be read, and nothing about them: there is no right to enter it.
    if (!isRefusal(error)) throw error
    closed.push({ path: folder, error })
    return
  } finally {
    closeSync(descriptor)
  }
  for (const entry of children) {
    listing.entries.append(entry)
    if (entry.kind === 'folder')
      listFolder(join(folder, entry.path.slice(prefix.length)), `${entry.path}/`, listing, closed)
  }
}

function openFolder(folder: string, prefix: string, listing: Walk, closed: Closed[]): number | null {
  try {
    const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    if (pathOf(descriptor, folder) === folder) return descriptor
    closeSync(descriptor)
  } catch (error) {
    if (isRefusal(error)) {
      closed.push({ path: folder, error })
      return null
    }
    if (prefix === '' || !['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) throw error
  }
  if (prefix === '') throw noFolder()
  listing.warnings.add('Left out what was in {}: it vanished while the backup was made.', JSON.stringify(prefix))
  return null
}

/** Where an open folder really is; null when it can't be told. */
function pathOf(descriptor: number, path: string): string | null {
  try {
    return process.platform === 'linux' ? readlinkSync(`/proc/self/fd/${descriptor}`) : realpathSync(path)
  } catch {
    return null
  }
}

function describeEntry(at: string, folder: string, prefix: string, bytes: string, listing: Walk): StoredEntry | null {
  const encoded = Buffer.from(bytes, 'latin1')
  const name = encoded.toString('utf8')
  const path = prefix + name
  const skip = (why: string) => {
    listing.warnings.add(
      `Left out {}: ${why}.`,
      isUtf8(encoded) ? JSON.stringify(path) : escaped(Buffer.from(prefix).toString('latin1') + bytes)
    )
    return null
  }
  if (!isUtf8(encoded)) return skip('its name is not UTF-8')
  const unsafe = unsafePathReason(path)
  if (unsafe !== null) return skip(`its name ${unsafe}`)
  if (Buffer.byteLength(join(folder, name)) > mostPathBytes) return skip('its path is too long')
  try {
    const stats = lstatSync(join(at, name))
    const entry = { path, mode: stats.mode & 0o7777, mtime: stats.mtime }
    if (stats.isFile()) return { ...entry, kind: 'file', size: stats.size }
    if (stats.isDirectory()) return { ...entry, kind: 'folder', size: 0 }
    return skip('it is no regular file or folder')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return skip('it vanished while the backup was made')
    if (systemCode(error) === 'ENAMETOOLONG') return skip('its path is too long')
    throw isRefusal(error) ? error : withPath(error, join(folder, name))
  }
}

/** As printf and bash's $'...' take it: a byte that is not ASCII as \xNN, which JSON never writes. */
function escaped(latin1: string): string {
  return JSON.stringify(latin1).replace(/[^\0-\x7f]/g, byte => `\\x${byte.charCodeAt(0).toString(16)}`)
}
