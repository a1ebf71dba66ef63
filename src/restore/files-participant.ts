import { mkdir, rmdir, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInexact } from '../archive/inexact.js'
import type { Archive } from '../archive/reader.js'
import { filesPrefix } from '../archive/layout.js'
import { AppError, systemCode } from '../errors.js'
import { fileError, syncFolder } from '../io/durable.js'
import { exists } from '../io/exists.js'
import { requireOrganizationId, requireUuid } from '../io/safe-path.js'
import { syncTree } from '../io/sync-tree.js'
import { isMountPoint, mountsInside } from '../storage/mount.js'
import { stagingFolder } from '../storage/staging-folder.js'
import type { StorageStrategy } from '../storage/strategy.js'
import { exchangeChildren } from './exchange-children.js'
import { exchangeFolder } from './exchange-folder.js'
import { extractFiles } from './extract-files.js'
import { isOurs, ownerWarning, wantedOwner } from './file-owner.js'
import { compareFolders, countFolders } from './files-diff.js'
import type { Participant } from './participant.js'
import { removeAtOnce, stagingPaths } from './staging.js'

export interface FilesInput {
  archive: Archive
  storage: StorageStrategy
  onBytes: (bytes: number) => void
}

export interface FilesTarget {
  uploadDir: string
  organizationId: string
  restoreId: string
  /**
   * The organization's folder is a mount of its own: what is in it is exchanged, and everything stays on that mount.
   */
  mounted: boolean
}

/**
 * Replaces an organization's uploads by renames.
 * @param input what to restore; null after a crash, when there is nothing to prepare any more
 */
export function createFilesParticipant(
  { uploadDir, organizationId, restoreId, mounted }: FilesTarget,
  input: FilesInput | null
): Participant {
  const live = join(uploadDir, requireOrganizationId(organizationId))
  const staging = join(mounted ? live : uploadDir, stagingFolder)
  const paths = stagingPaths(live, join(staging, requireUuid(restoreId)))
  const { base, fresh } = paths
  // Tells after a crash, too, that the archive has no files.
  const emptied = join(base, 'emptied')
  const exchange = mounted ? exchangeChildren(paths) : exchangeFolder(paths)
  let foreign: string | null = null

  async function guarded<T>(what: string, step: () => Promise<T>): Promise<T> {
    try {
      // Without it, an empty folder under the mount's name would look like a restore that nothing is left of.
      if (mounted && !(await isMountPoint(live)))
        throw new AppError('STORAGE_UNAVAILABLE', 'not-mounted', "The organization's upload folder is not mounted.")
      return await step()
    } catch (error) {
      throw fileError(error, 'STORAGE_UNAVAILABLE', what, { name: 'UPLOAD_DIR', folder: uploadDir })
    }
  }

  /** @param like the folder whose times the live one has afterwards: on a mount of its own the staging is in it */
  async function remove(like: string): Promise<void> {
    const times = mounted ? await stat(like).catch(async () => await stat(live)) : null
    await removeAtOnce(base)
    if (times === null) return
    // It would be seen among the organization's files; but it may hold another restore's.
    await removeIfEmpty(staging)
    if (isOurs(await stat(live))) await utimes(live, times.atime, times.mtime)
  }

  return {
    name: 'files',

    prepare: async signal =>
      await guarded('Restoring the uploaded files', async () => {
        const { archive, onBytes } = input as FilesInput
        const before = await stat(live).catch(() => null)
        await mkdir(staging, { recursive: true, mode: 0o700 })
        await mkdir(base, { mode: 0o700 })
        await exchange.prepare(before)
        await exchange.requireMovable()
        const owner = await wantedOwner(before, uploadDir, archive)
        foreign = ownerWarning(
          await extractFiles({ archive, organizationId, target: fresh, owner, signal, onBytes }),
          owner
        )
        if (archive.files.length === 0) await mkdir(emptied)
        await exchange.requireMovable()
        await syncTree(base)
        await syncFolder(staging)
        await syncFolder(dirname(staging))
      }),

    async ready() {},

    report: async compare =>
      await guarded('Comparing the uploaded files', async () => {
        const { archive, storage } = input as FilesInput
        const prefix = filesPrefix(organizationId)
        const restored = archive.files
          .filter(({ kind }) => kind === 'file')
          .map(({ name, size, sha256 }) => ({ path: name.slice(prefix.length), size, sha256: sha256 as string }))
        const before = await storage.list(organizationId)
        const goesEmpty = restored.length === 0 && before.entries.bytes > 0
        const { folders, warnings } = compare
          ? await compareFolders(restored, before, storage, organizationId)
          : { folders: countFolders(restored), warnings: [] }
        return {
          files: { folders },
          // A backup leaves them out, so no restore brings them back.
          warnings: [
            ...(foreign === null ? [] : [foreign]),
            ...warnings,
            ...untold(archive, prefix),
            ...(goesEmpty ? ['The backup holds no files: all that are in the upload folder now go.'] : []),
            ...before.warnings.map(
              warning =>
                `In the upload folder now, in no backup, and gone with the former folder: ${warning.replace(/^Left out /, '')}`
            )
          ]
        }
      }),

    commit: async () =>
      await guarded('Putting the restored files in place', async () => {
        if (!(await exists(base)))
          throw new AppError(
            'STORAGE_UNAVAILABLE',
            'restored-files-gone',
            'The restored files have vanished from UPLOAD_DIR.'
          )
        if (!(await exists(fresh))) return 0
        const started = performance.now()
        await exchange.commit()
        return Math.round(performance.now() - started)
      }),

    live: async () =>
      await guarded('Looking at the uploaded files', async () =>
        (await exchange.isCommitted()) ? 'restored' : (await exchange.isReverted()) ? 'former' : 'both'
      ),

    isFinal: async () => false,

    requireUndoable: async () =>
      await guarded('Looking at the former files', async () => {
        if (!(await exchange.isCommitted())) {
          throw new AppError(
            'RESTORE_NOT_UNDOABLE',
            'former-files-gone',
            'The uploaded files from before this restore are gone.'
          )
        }
        const [inner] = await mountsInside(live)
        if (inner === undefined) return
        throw new AppError(
          'RESTORE_NOT_UNDOABLE',
          'mount-inside',
          `Something is mounted inside the upload folder, at ${JSON.stringify(inner)}, and would be carried off with the restored files.`,
          {
            remedy: 'Unmount it, then undo the restore again.'
          }
        )
      }),

    revert: async () =>
      await guarded('Putting the former files back', async () => {
        await exchange.revert()
      }),

    discard: async () =>
      await guarded('Removing the restored files', async () => {
        if (!(await exchange.isReverted()))
          throw new AppError(
            'RESTORE_UNFINISHED',
            'former-files-not-back',
            'The former files are not back in their place.'
          )
        await remove(join(base, 'attributes-former'))
      }),

    // Where the organization had no folder there is none again. One that the application writes into by now is not
    // empty.
    settle: async () =>
      await guarded('Removing an empty upload folder', async () => {
        if (!mounted && (await exists(emptied))) await removeIfEmpty(live)
      }),

    release: async () =>
      await guarded('Removing the checkpoint of the files', async () => {
        await remove(live)
      })
  }
}

/** What the restore leaves out, where the backup has not said it, as one of an earlier release. */
function untold({ files, metadata }: Archive, prefix: string): string[] {
  const inexact = createInexact()
  for (const file of files)
    inexact.look({ kind: file.kind, path: file.name.slice(prefix.length), mode: file.mode, mtime: file.mtime })
  return inexact.sentences().filter(sentence => !metadata.warnings.includes(sentence))
}

async function removeIfEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error
  })
}
