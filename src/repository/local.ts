import { randomUUID } from 'node:crypto'
import { constants, type WriteStream } from 'node:fs'
import { access, lstat, mkdir, open, readdir, readFile, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, systemCode } from '../errors.js'
import { absentIsNull } from '../io/absent.js'
import {
  durableRename,
  fileError,
  partialSuffix,
  syncFolder,
  writeFileDurably,
  type KnownFolder
} from '../io/durable.js'
import { freeSpace } from '../io/free-space.js'
import { folderInUse, takeLock, type Lock } from '../io/lock.js'
import { isOrganizationId, isUuid, requireOrganizationId, requireUuid } from '../io/safe-path.js'
import { syncUncached } from '../io/sync-uncached.js'
import { folderNotMade, requireFolder } from '../io/usable-folder.js'
import type { Backup } from './record.js'
import type { ReceivedArchive, Repository } from './repository.js'

const writeBufferBytes = 4 << 20
const syncEveryBytes = 64 << 20
/**
 * Below the 128 KiB from which scripts/serve.sh has the system take a block back as soon as it is free: a download
 * takes a third less CPU than with 256 KiB.
 */
const readBufferBytes = 124 << 10
const activity = 'activity'
const namePattern = /^backup-([0-9a-f-]{36})\.(zip|json)$/

/**
 * Archives and records in a folder of this machine, one folder an organization, readable by the service's user alone.
 * @param options.within the folder of another variable, where that is what the repository is to be made in
 */
export function createLocalRepository({
  directory,
  within = null
}: {
  directory: string
  within?: KnownFolder | null
}): Repository {
  const known: KnownFolder = { name: 'BACKUP_DIR', folder: directory }
  const folderOf = (organizationId: string) => join(directory, requireOrganizationId(organizationId))
  const pathOf = (organizationId: string, backupId: string, kind: 'zip' | 'json') =>
    join(folderOf(organizationId), `backup-${requireUuid(backupId)}.${kind}`)

  const guarded = guardIn(known)
  let lock: Lock | null = null

  /** What lies at the path now may be another folder, which another service may have. */
  async function findDirectory(): Promise<void> {
    if (lock === null) await makeDirectory()
    else if (!(await lock.isInPlace())) {
      throw new AppError(
        'REPOSITORY_UNAVAILABLE',
        'folder-replaced',
        'BACKUP_DIR was removed or replaced while the service was running.',
        {
          remedy: 'Put the folder back (mount it again), or restart the service to use what is there now.'
        }
      )
    }
  }

  async function makeDirectory(): Promise<void> {
    try {
      await makeFolder(directory)
    } catch (error) {
      if (within !== null) await requireFolder(within, 'STORAGE_UNAVAILABLE')
      throw await folderNotMade(error, known, 'REPOSITORY_UNAVAILABLE')
    }
  }

  /** What is above BACKUP_DIR may be a mount that is not there now, so it is not made. */
  async function makeFolders(...folders: string[]): Promise<void> {
    await findDirectory()
    for (const folder of folders) await makeFolder(folder)
  }

  return {
    open: async () =>
      await guarded('Locking BACKUP_DIR', async () => {
        if (lock !== null) return
        await makeDirectory()
        await requireFolder(known, 'REPOSITORY_UNAVAILABLE')
        const path = join(directory, 'service.lock')
        lock = await takeLock(path)
        if (lock === null) throw await folderInUse(known, path)
      }),

    async close() {
      await lock?.release()
      lock = null
    },

    check: async () =>
      await guarded('Using BACKUP_DIR', async () => {
        await findDirectory()
        await requireFolder(known, 'REPOSITORY_UNAVAILABLE')
      }),

    organizations: async () => await guarded('Listing BACKUP_DIR', async () => await listOrganizations(directory)),

    createArchive: async (organizationId, backupId) =>
      await guarded('Starting an archive', async () => {
        const path = pathOf(organizationId, backupId, 'zip')
        await makeFolders(folderOf(organizationId))
        const { stream, commit, discard } = await createPartial(
          join(folderOf(organizationId), `.backup-${backupId}.zip${partialSuffix}`),
          guarded
        )
        return {
          stream,
          commit: async () => {
            await commit(path)
          },
          discard
        }
      }),

    receiveArchive: async organizationId =>
      await guarded('Starting an archive', async () => {
        await makeFolders(folderOf(organizationId))
        const { commit, ...partial } = await createPartial(
          join(folderOf(organizationId), `.received-${randomUUID()}.zip${partialSuffix}`),
          guarded
        )
        return {
          ...partial,
          commit: async backupId => {
            await commit(pathOf(organizationId, backupId, 'zip'))
          }
        }
      }),

    openArchive: async (organizationId, backupId) =>
      await guarded('Opening an archive', async () => {
        const handle = await absentIsNull(
          open(pathOf(organizationId, backupId, 'zip'), constants.O_RDONLY | constants.O_NOFOLLOW)
        )
        return handle === null ? null : { handle, size: (await handle.stat()).size }
      }),

    readArchive: async (organizationId, backupId, range) =>
      await guarded('Reading an archive', async () => {
        const handle = await absentIsNull(
          open(pathOf(organizationId, backupId, 'zip'), constants.O_RDONLY | constants.O_NOFOLLOW)
        )
        return handle?.createReadStream({ ...range, highWaterMark: readBufferBytes }) ?? null
      }),

    deleteArchive: async (organizationId, backupId) =>
      await guarded(
        'Deleting an archive',
        async () => await remove(pathOf(organizationId, backupId, 'zip'), folderOf(organizationId))
      ),

    list: async organizationId =>
      await guarded('Listing the repository', async () => {
        const found = { archives: [] as string[], records: [] as string[] }
        for (const name of await listFolder(folderOf(organizationId))) {
          if (!isOwnName(name)) continue
          const [, id, kind] = namePattern.exec(name) as unknown as [string, string, 'zip' | 'json']
          found[kind === 'zip' ? 'archives' : 'records'].push(id)
        }
        return found
      }),

    otherArchives: async organizationId =>
      await guarded('Listing the repository', async () =>
        (await listFolder(organizationId === null ? directory : folderOf(organizationId))).filter(
          name => /^[^.].*\.zip$/is.test(name) && (organizationId === null || !isOwnName(name))
        )
      ),

    openOther: async (organizationId, name) =>
      await guarded('Opening an archive', async () => {
        // A FIFO of that name must not block (open(2)).
        const handle = await absentIsNull(
          open(
            join(folderOf(organizationId), requireName(name)),
            constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
          )
        )
        return handle === null ? null : { handle, size: (await handle.stat()).size }
      }),

    printOf: async (organizationId, name) =>
      await guarded('Looking at an archive', async () => {
        const stats = await absentIsNull(
          lstat(join(organizationId === null ? directory : folderOf(organizationId), requireName(name)))
        )
        return stats === null ? null : `${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`
      }),

    changedAt: async organizationId =>
      await guarded(
        'Looking at the repository',
        async () => (await absentIsNull(lstat(folderOf(organizationId))))?.mtimeMs ?? null
      ),

    readRecord: async (organizationId, backupId) =>
      await guarded('Reading a record', async () => {
        const text = await absentIsNull(readFile(pathOf(organizationId, backupId, 'json'), 'utf8'))
        return text === null ? null : parseRecord(text, organizationId, backupId)
      }),

    writeRecord: async record =>
      await guarded('Writing a record', async () => {
        const path = pathOf(record.organizationId, record.id, 'json')
        await makeFolders(folderOf(record.organizationId))
        await writeFileDurably(path, JSON.stringify(record, null, 2) + '\n')
      }),

    deleteRecord: async (organizationId, backupId) =>
      await guarded(
        'Deleting a record',
        async () => await remove(pathOf(organizationId, backupId, 'json'), folderOf(organizationId))
      ),

    journalFolder: async (organizationId, { make = false } = {}) =>
      await guarded('Finding the journal folder', async () => {
        const folder = join(folderOf(organizationId), 'restores')
        if (make) await makeFolders(folderOf(organizationId), folder)
        else await access(directory)
        return folder
      }),

    activityFolder: async (organizationId, day) =>
      await guarded('Finding the activity folder', async () => {
        const folder = join(folderOf(organizationId), activity)
        if (day === undefined) {
          await access(directory)
          return folder
        }
        await makeFolders(folderOf(organizationId), folder, join(folder, day))
        return join(folder, day)
      }),

    removePartials: async () =>
      await guarded('Clearing unfinished archives', async () => {
        for (const organizationId of await listOrganizations(directory)) {
          const days = join(folderOf(organizationId), activity)
          for (const folder of [folderOf(organizationId), ...(await listFolder(days)).map(day => join(days, day))]) {
            const partials = (await listFolder(folder)).filter(
              name => name.startsWith('.') && name.endsWith(partialSuffix)
            )
            for (const name of partials) await rm(join(folder, name), { force: true })
          }
        }
      }),

    freeBytes: async () => await guarded('Asking for free space', async () => (await freeSpace(directory)).freeBytes)
  }
}

interface Partial extends Omit<ReceivedArchive, 'commit'> {
  commit(path: string): Promise<void>
}

async function createPartial(partial: string, guarded: Guard): Promise<Partial> {
  const handle = await open(partial, 'wx', 0o600)
  const stream = handle.createWriteStream({ autoClose: false, highWaterMark: writeBufferBytes })
  const settled = syncAlong(handle, stream)
  let isOpen = true
  let renamingTo: string | null = null
  const close = async () => {
    if (isOpen) {
      isOpen = false
      // The handle stays open as long as a stream of it does.
      stream.destroy()
      await handle.close()
    }
  }
  return {
    stream,
    open: async () =>
      await guarded('Opening an archive', async () => {
        const handle = await open(partial, constants.O_RDONLY | constants.O_NOFOLLOW)
        return { handle, size: (await handle.stat()).size }
      }),
    commit: async path =>
      await guarded('Making the archive durable', async () => {
        await settled()
        await handle.sync()
        await close()
        renamingTo = path
        await durableRename(partial, path)
        renamingTo = null
      }),
    async discard() {
      await close()
      await rm(partial, { force: true })
      // The rename may have happened and its fsync failed.
      if (renamingTo !== null) await rm(renamingTo, { force: true })
    }
  }
}

/**
 * Has the disk write while the archive grows, so that its end does not wait for all of it, and the page cache forget
 * it: a backup does not push out what the application and PostgreSQL are reading.
 * @returns to be awaited before the last sync: a write that failed is reported by one fsync only (fsync(2))
 */
function syncAlong(handle: FileHandle, stream: WriteStream): () => Promise<void> {
  let running: Promise<void> | null = null
  let synced = 0
  let failure: Error | null = null
  stream.on('drain', () => {
    if (running !== null || failure !== null || stream.bytesWritten - synced < syncEveryBytes) return
    synced = stream.bytesWritten
    running = syncUncached(handle)
      .catch((error: Error) => {
        failure = error
      })
      .finally(() => {
        running = null
      })
  })
  return async () => {
    await running
    if (failure !== null) throw failure
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

function isOwnName(name: string): boolean {
  const match = namePattern.exec(name)
  return match !== null && isUuid(match[1] as string)
}

/** @throws AppError VALIDATION_FAILED */
function requireName(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
    throw new AppError('VALIDATION_FAILED', 'file-name', 'The name is not that of a file.')
  return name
}

/** Files beside the organizations' folders are none of ours. */
async function listOrganizations(directory: string): Promise<string[]> {
  const entries = (await absentIsNull(readdir(directory, { withFileTypes: true }))) ?? []
  return entries.filter(entry => !entry.isFile() && isOrganizationId(entry.name)).map(({ name }) => name)
}

async function listFolder(folder: string): Promise<string[]> {
  return (await absentIsNull(readdir(folder))) ?? []
}

async function remove(path: string, folder: string): Promise<void> {
  if ((await absentIsNull(lstat(path))) === null) return
  await rm(path, { force: true })
  await syncFolder(folder)
}

/** Null for what is no record of this backup: a start of the service makes a new one from the archive. */
function parseRecord(text: string, organizationId: string, backupId: string): Backup | null {
  try {
    const record = JSON.parse(text) as Backup | null
    // Records of the time before signatures do not tell.
    return record?.id === backupId && record.organizationId === organizationId
      ? { ...record, trusted: record.trusted === true }
      : null
  } catch {
    return null
  }
}

type Guard = <T>(what: string, step: () => Promise<T>) => Promise<T>

/** Whose errors name what is in the folder as it is named to people. */
function guardIn(known: KnownFolder): Guard {
  return async (what, step) => {
    try {
      return await step()
    } catch (error) {
      throw fileError(error, 'REPOSITORY_UNAVAILABLE', what, known)
    }
  }
}
