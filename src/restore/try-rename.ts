import { lstat, mkdir, rename, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { AppError, systemCode } from '../errors.js'
import { exists } from '../io/exists.js'
import { childOf, namesIn } from './folder-children.js'

/** What a rename onto a folder that holds something ends with when it is allowed: of a folder, and of anything else. */
const inTheWay = { folder: ['ENOTEMPTY', 'EEXIST'], other: ['EISDIR', 'EEXIST', 'ENOTEMPTY'] }

/**
 * Finds out whether entries may be moved out of their folder, and moves none: the target is a folder that is not empty.
 * The system looks at every right first (of the folder, of a folder that is moved, sticky and immutable ones) and at
 * the target last (vfs_rename in Linux), so each rename fails, and how tells.
 * @param paths those that are not there are passed over
 * @param blocker a folder to make and to remove, on the same file system
 * @throws AppError STORAGE_UNAVAILABLE naming the first that can't be moved
 */
export async function requireMovable(paths: ReadonlyArray<string | Buffer>, blocker: string): Promise<void> {
  const target = join(blocker, 'folder')
  await mkdir(join(target, 'entry'), { recursive: true, mode: 0o700 })
  for (const path of paths) if (await exists(path)) await tryRename(path, target)
  for (const folder of [join(target, 'entry'), target, blocker]) await rmdir(folder)
}

/** Paths of all that is in a folder; none where it is not there. */
export async function entriesOf(folder: string, except: readonly string[] = []): Promise<Array<string | Buffer>> {
  return (await namesIn(folder, except)).map(name => childOf(folder, name))
}

async function tryRename(path: string | Buffer, target: string): Promise<void> {
  const allowed = (await lstat(path)).isDirectory() ? inTheWay.folder : inTheWay.other
  try {
    await rename(path, target)
  } catch (error) {
    const code = systemCode(error) ?? ''
    if (allowed.includes(code)) return
    throw cannotMove(path, code, error)
  }
  // No system that follows POSIX gets here.
  await rename(target, path)
}

function cannotMove(path: string | Buffer, code: string, cause: unknown): AppError {
  return new AppError(
    'STORAGE_UNAVAILABLE',
    'folder-not-movable',
    `The service may not move ${JSON.stringify(basename(path.toString()))} out of its folder (${code}), so the restored files can't take its place.`,
    {
      remedy:
        'Give the folder and the one that it is in to the user that the service runs as (chown), or let that user write to both; take the immutable attribute away (chattr -i). Then restore again.',
      cause
    }
  )
}
