import { constants } from 'node:fs'
import { open, readlink, realpath, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.js'
import { fileError, withPath, type KnownFolder } from '../io/durable.js'
import { openLane } from '../io/lane.js'
import { requireOrganizationId } from '../io/safe-path.js'
import { requireFolder } from '../io/usable-folder.js'
import { createEntryList } from './entry-list.js'
import type { ListData, ListReply } from './list-worker.js'
import type { Listing, StorageStrategy } from './strategy.js'

/** Uploads in folders of this machine: `{uploadDir}/{organizationId}/…`. Links are never followed. */
export function createLocalStorage({ uploadDir }: { uploadDir: string }): StorageStrategy {
  const known: KnownFolder = { name: 'UPLOAD_DIR', folder: uploadDir }
  const rootOf = (organizationId: string) => join(uploadDir, requireOrganizationId(organizationId))

  return {
    kind: 'local',
    capabilities: { transferable: true },

    check: async () => {
      await requireFolder(known, 'STORAGE_UNAVAILABLE')
    },

    async list(organizationId) {
      requireOrganizationId(organizationId)
      let real = uploadDir
      try {
        real = await realpath(uploadDir)
        return await listInThread(join(real, organizationId))
      } catch (error) {
        throw fileError(error, 'STORAGE_UNAVAILABLE', 'Listing the uploaded files', known, { ...known, folder: real })
      }
    },

    async folder(organizationId) {
      try {
        return await realpath(rootOf(organizationId))
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return null
        throw fileError(error, 'STORAGE_UNAVAILABLE', 'Reading the upload folder', known)
      }
    },

    async open(organizationId, path) {
      try {
        const root = rootOf(organizationId)
        // O_NONBLOCK: a FIFO that took the file's place must not block the open (open(2)).
        const handle = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
        try {
          if (
            (await handle.stat()).isFile() &&
            (await pathOf(handle, join(root, path))) === join(await realpath(uploadDir), organizationId, path)
          )
            return handle
        } catch (error) {
          await handle.close()
          throw error
        }
        await handle.close()
        return null
      } catch (error) {
        if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(systemCode(error) ?? '')) return null
        throw fileError(
          withPath(error, join(rootOf(organizationId), path)),
          'STORAGE_UNAVAILABLE',
          'Reading an uploaded file',
          known
        )
      }
    },

    describe: () => null
  }
}

/** Where an open file really is: elsewhere when a link took the place of a folder on its way. */
async function pathOf(handle: FileHandle, path: string): Promise<string> {
  return process.platform === 'linux' ? await readlink(`/proc/self/fd/${handle.fd}`) : await realpath(path)
}

async function listInThread(root: string): Promise<Listing> {
  const data: ListData = { root }
  // Names of a folder of a million files need a larger heap than a thread usually has.
  const lane = openLane<never, ListReply>('./list-worker', import.meta.url, data, {})
  try {
    const { entries, owners, warnings } = await lane.next()
    return { entries: createEntryList(entries), owners, warnings }
  } finally {
    await lane.close()
  }
}
