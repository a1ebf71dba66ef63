import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Archive } from '../archive/reader.js'
import { filesPrefix } from '../archive/layout.js'
import { AppError, systemCode } from '../errors.js'
import { durableRename, fileError, syncFolder } from '../io/durable.js'
import { requireOrganizationId, requireUuid } from '../io/safe-path.js'
import { syncTree } from '../io/sync-tree.js'
import type { StorageStrategy } from '../storage/strategy.js'
import { extractFiles, ownerLike } from './extract-files.js'
import { compareFolders, countFolders } from './files-diff.js'
import type { Participant } from './participant.js'

/** Beside the organizations' folders, so that a rename can put it in place, under a name that is no organization's. */
export const stagingFolder = '.dumbassets-backup'

export interface FilesInput {
  archive: Archive
  storage: StorageStrategy
  onBytes: (bytes: number) => void
}

export interface FilesTarget { uploadDir: string, organizationId: string, restoreId: string }

/**
 * Replaces an organization's upload folder as a whole by two renames. How far it has come is told by which of these are
 * there, so that a crash at any point can be gone on from:
 *   base     everything of this restore, from its beginning to its end
 *   fresh    the restored files, while they are not live
 *   former   the files from before, once they are not live (the checkpoint)
 *   absent   a mark: there was no folder before, so there is no `former`
 * @param input what to restore; null after a crash, when there is nothing to prepare any more
 */
export function createFilesParticipant ({ uploadDir, organizationId, restoreId }: FilesTarget, input: FilesInput | null): Participant {
  const live = join(uploadDir, requireOrganizationId(organizationId))
  const base = join(uploadDir, stagingFolder, requireUuid(restoreId))
  const fresh = join(base, 'fresh')
  const former = join(base, 'former')
  const absent = join(base, 'absent')

  /** A folder that the application made while ours were being exchanged is kept beside the checkpoint. */
  async function moveLate (): Promise<void> {
    const late = (await readdir(base)).filter(name => name.startsWith('late-')).length
    await durableRename(live, join(base, `late-${late + 1}`))
  }

  return {
    name: 'files',

    prepare: async signal => await guarded('Restoring the uploaded files', async () => {
      const { archive, onBytes } = input as FilesInput
      await mkdir(dirname(base), { recursive: true, mode: 0o700 })
      await mkdir(base, { mode: 0o700 })
      await extractFiles({ archive, organizationId, target: fresh, owner: await ownerLike(live, uploadDir), signal, onBytes })
      await syncTree(base)
      await syncFolder(dirname(base))
      await syncFolder(uploadDir)
    }),

    async ready () {},

    report: async compare => await guarded('Comparing the uploaded files', async () => {
      const { archive, storage } = input as FilesInput
      const prefix = filesPrefix(organizationId)
      const restored = archive.files.filter(({ kind }) => kind === 'file')
        .map(({ name, size, sha256 }) => ({ path: name.slice(prefix.length), size, sha256: sha256 as string }))
      return { files: { folders: compare ? await compareFolders(restored, storage, organizationId) : countFolders(restored) } }
    }),

    commit: async () => await guarded('Putting the restored files in place', async () => {
      if (!await exists(base)) throw new AppError('STORAGE_UNAVAILABLE', 'The restored files have vanished from UPLOAD_DIR.')
      if (!await exists(fresh)) return 0
      const started = performance.now()
      const moved = await exists(former) || await exists(absent)
      if (await exists(live)) {
        if (moved) await moveLate()
        else await durableRename(live, former)
      } else if (!moved) {
        await mkdir(absent)
        await syncFolder(base)
      }
      await durableRename(fresh, live)
      return Math.round(performance.now() - started)
    }),

    requireUndoable: async () => await guarded('Looking at the former files', async () => {
      if (await exists(fresh) || !(await exists(former) || await exists(absent))) {
        throw new AppError('RESTORE_NOT_UNDOABLE', 'The uploaded files from before this restore are gone.')
      }
    }),

    revert: async () => await guarded('Putting the former files back', async () => {
      const moved = await exists(former) || await exists(absent)
      if (!moved) return
      if (!await exists(fresh)) {
        if (await exists(live)) await durableRename(live, fresh)
        else await mkdir(fresh)
      }
      if (!await exists(former)) return
      if (await exists(live)) await moveLate()
      await durableRename(former, live)
    }),

    discard: async () => await guarded('Removing the restored files', async () => {
      if (await exists(former)) throw new AppError('RESTORE_UNFINISHED', 'The former files are not back in their place.')
      await removeAtOnce(base)
    }),

    async settle () {},

    release: async () => await guarded('Removing the checkpoint of the files', async () => await removeAtOnce(base))
  }
}

/** What is half removed must not look like a restore that is half done. */
async function removeAtOnce (base: string): Promise<void> {
  const condemned = `${base}.removed`
  await rm(condemned, { recursive: true, force: true })
  if (await exists(base)) {
    await rename(base, condemned)
    await syncFolder(dirname(base))
    await rm(condemned, { recursive: true, force: true })
  }
}

async function exists (path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

async function guarded<T> (what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw fileError(error, 'STORAGE_UNAVAILABLE', what)
  }
}
