import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { access, lstat, open, readdir, readlink, realpath, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { pMapIterable } from 'p-map'
import { AppError, systemCode } from '../errors.js'
import { fileError } from '../io/durable.js'
import { requireOrganizationId, unsafePathReason } from '../io/safe-path.js'
import { createEntryList } from './entry-list.js'
import { stagingFolder } from './staging-folder.js'
import type { Listing, StorageStrategy, StoredEntry } from './strategy.js'

const statsAtOnce = 16
/** What one call takes on Linux, without the final zero (PATH_MAX in limits.h). */
const mostPathBytes = 4095

/** Uploads in folders of this machine: `{uploadDir}/{organizationId}/…`. Links are never followed. */
export function createLocalStorage ({ uploadDir }: { uploadDir: string }): StorageStrategy {
  const rootOf = (organizationId: string) => join(uploadDir, requireOrganizationId(organizationId))

  return {
    kind: 'local',
    capabilities: { transferable: true },

    async check () {
      try {
        await access(uploadDir, constants.R_OK | constants.W_OK | constants.X_OK)
      } catch (error) {
        throw fileError(error, 'STORAGE_UNAVAILABLE', 'Using UPLOAD_DIR')
      }
    },

    async list (organizationId) {
      const root = rootOf(organizationId)
      const listing: Listing = { entries: createEntryList(), warnings: [] }
      try {
        const stats = await lstat(root)
        if (!stats.isDirectory()) throw noFolder()
        listing.entries.append({ kind: 'folder', path: '', size: 0, mode: stats.mode & 0o7777, mtime: stats.mtime })
        await listFolder(join(await realpath(uploadDir), organizationId), '', listing)
      } catch (error) {
        if (systemCode(error) === 'ENOENT' && listing.entries.length === 0) {
          await this.check()
          return listing
        }
        throw fileError(error, 'STORAGE_UNAVAILABLE', 'Listing the uploaded files')
      }
      return listing
    },

    async folder (organizationId) {
      try {
        return await realpath(rootOf(organizationId))
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return null
        throw fileError(error, 'STORAGE_UNAVAILABLE', 'Reading the upload folder')
      }
    },

    async open (organizationId, path) {
      try {
        const root = rootOf(organizationId)
        // O_NONBLOCK: a FIFO that took the file's place must not block the open (open(2)).
        const handle = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
        try {
          if ((await handle.stat()).isFile() && await pathOf(handle, join(root, path)) === join(await realpath(uploadDir), organizationId, path)) return handle
        } catch (error) {
          await handle.close()
          throw error
        }
        await handle.close()
        return null
      } catch (error) {
        if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(systemCode(error) ?? '')) return null
        throw fileError(error, 'STORAGE_UNAVAILABLE', `Reading the uploaded file ${JSON.stringify(path)}`)
      }
    },

    describe: () => null
  }
}

/** Where an open file really is: elsewhere when a link took the place of a folder on its way. */
async function pathOf (handle: FileHandle, path: string): Promise<string> {
  return process.platform === 'linux' ? await readlink(`/proc/self/fd/${handle.fd}`) : await realpath(path)
}

function noFolder (): AppError {
  return new AppError('STORAGE_UNAVAILABLE', 'The organization\'s upload folder is a link or no folder.', { remedy: 'Put a real folder in its place.' })
}

/** @param folder its real path; what is elsewhere by now, through a link on its way, is not listed */
async function listFolder (folder: string, prefix: string, listing: Listing): Promise<void> {
  const children = createEntryList()
  const handle = await openFolder(folder, prefix, listing)
  if (handle === null) return
  try {
    // On Linux its content is found through it, whatever takes its place meanwhile.
    const at = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : folder
    // In byte order, each byte of a name as one character: what is no UTF-8 stays what it is, and a million names stay small.
    const names = (await readdir(at, { encoding: 'latin1' })).filter(name => prefix !== '' || name !== stagingFolder).sort()
    for await (const entry of pMapIterable(names, async name => await describeEntry(at, folder, prefix, name, listing), { concurrency: statsAtOnce })) {
      if (entry !== null) children.append(entry)
    }
  } finally {
    await handle.close()
  }
  for (const entry of children) {
    listing.entries.append(entry)
    if (entry.kind === 'folder') await listFolder(join(folder, entry.path.slice(prefix.length)), `${entry.path}/`, listing)
  }
}

async function openFolder (folder: string, prefix: string, listing: Listing): Promise<FileHandle | null> {
  try {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    if (await pathOf(handle, folder).catch(() => null) === folder) return handle
    await handle.close()
  } catch (error) {
    if (prefix === '' || !['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) throw error
  }
  if (prefix === '') throw noFolder()
  listing.warnings.push(`Left out what was in ${JSON.stringify(prefix)}: it vanished while the backup was made.`)
  return null
}

async function describeEntry (at: string, folder: string, prefix: string, bytes: string, listing: Listing): Promise<StoredEntry | null> {
  const encoded = Buffer.from(bytes, 'latin1')
  const name = encoded.toString('utf8')
  const path = prefix + name
  const skip = (why: string) => {
    listing.warnings.push(`Left out ${JSON.stringify(path)}: ${why}.`)
    return null
  }
  if (!isUtf8(encoded)) return skip('its name is not UTF-8')
  const unsafe = unsafePathReason(path)
  if (unsafe !== null) return skip(`its name ${unsafe}`)
  if (Buffer.byteLength(join(folder, name)) > mostPathBytes) return skip('its path is too long')
  try {
    const stats = await lstat(join(at, name))
    const entry = { path, mode: stats.mode & 0o7777, mtime: stats.mtime }
    if (stats.isFile()) return { ...entry, kind: 'file', size: stats.size }
    if (stats.isDirectory()) return { ...entry, kind: 'folder', size: 0 }
    return skip('it is no regular file or folder')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return skip('it vanished while the backup was made')
    if (systemCode(error) === 'ENAMETOOLONG') return skip('its path is too long')
    throw error
  }
}
