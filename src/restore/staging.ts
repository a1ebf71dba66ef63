import type { Stats } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError } from '../errors.js'
import { syncFolder } from '../io/durable.js'
import { exists } from '../io/exists.js'
import { removeTree } from '../io/remove-tree.js'
import { mountsInside } from '../storage/mount.js'

/**
 * The folders of one restore. Which of them are there tells how far it has come, so that a crash at any point can be
 * gone on from:
 *   base     everything of this restore, from its beginning to its end
 *   fresh    the restored files, while they are not all live
 *   former   the files from before that are not live (the checkpoint)
 */
export interface StagingPaths {
  live: string
  base: string
  fresh: string
  former: string
}

export function stagingPaths(live: string, base: string): StagingPaths {
  return { live, base, fresh: join(base, 'fresh'), former: join(base, 'former') }
}

/** How live and restored files change places. Each step looks first and can be repeated. */
export interface Exchange {
  /**
   * Before anything is extracted, with what the live folder was before anything was made; null when it was not there.
   */
  prepare(live: Stats | null): Promise<void>
  /**
   * Whether commit and revert may move what they have to, as far as that is there by now. Changes nothing.
   * @throws AppError STORAGE_UNAVAILABLE
   */
  requireMovable(): Promise<void>
  commit(): Promise<void>
  isCommitted(): Promise<boolean>
  revert(): Promise<void>
  isReverted(): Promise<boolean>
}

/** What is half removed must not look like a restore that is half done. */
export async function removeAtOnce(base: string): Promise<void> {
  const condemned = `${base}.removed`
  await removeUnlessMounted(condemned)
  if (await exists(base)) {
    await requireNoMount(base)
    await rename(base, condemned)
    await syncFolder(dirname(base))
    await removeUnlessMounted(condemned)
  }
}

/**
 * A removal would go on into what is mounted there, such as a share, and empty it.
 * @throws AppError STORAGE_UNAVAILABLE
 */
export async function removeUnlessMounted(folder: string): Promise<void> {
  await requireNoMount(folder)
  await removeTree(folder)
}

async function requireNoMount(folder: string): Promise<void> {
  const [mount] = await mountsInside(folder)
  if (mount === undefined) return
  throw new AppError(
    'STORAGE_UNAVAILABLE',
    'mount-inside',
    `Something is mounted inside a folder that is to be removed, at ${JSON.stringify(join(folder, mount))}.`,
    {
      remedy: 'Unmount it: the folder goes then.'
    }
  )
}
