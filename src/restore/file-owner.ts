import type { Stats } from 'node:fs'
import { lstat, type FileHandle } from 'node:fs/promises'
import type { Archive } from '../archive/reader.js'
import { systemCode } from '../errors.js'
import type { FileOwner } from '../storage/strategy.js'

/**
 * How the system answers a user who may not give files away: no right to (chown(2)), or a file system that keeps no
 * owners.
 */
const refusals: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'ENOSYS', 'EROFS'])
/** chown(2): leaves it as it is. */
const unchanged = -1

/**
 * Whose restored files are to be: the live folder's owner. Where that folder is absent, the owner is the one in a
 * signed archive if UPLOAD_DIR has the same owner as at the backup; in any other case it is UPLOAD_DIR's owner.
 */
export async function wantedOwner(
  live: Stats | null,
  uploadDir: string,
  { metadata, trusted }: Archive
): Promise<FileOwner> {
  if (live !== null) return ownerOf(live)
  const parent = ownerOf(await lstat(uploadDir))
  const recorded = trusted ? metadata.fileOwners : undefined
  return recorded !== undefined && isSame(recorded.uploadDir, parent) ? recorded.folder : parent
}

/**
 * Gives a new folder of ours to its owner, as far as the system lets us: root gives files to any user, other users only
 * to their own groups.
 * @returns how to call chown(2) for all that is made in the folder; null when nothing is to be called
 */
export async function giveAway(folder: FileHandle, wanted: FileOwner): Promise<FileOwner | null> {
  if (isSame(ownerOf(await folder.stat()), wanted)) return null
  for (const owner of [wanted, { uid: unchanged, gid: wanted.gid }]) {
    try {
      await folder.chown(owner.uid, owner.gid)
      return owner
    } catch (error) {
      if (!refusals.has(systemCode(error) ?? '')) throw error
    }
  }
  return null
}

/** Says that restored files have another owner than they should; null when they have the right one. */
export function ownerWarning(found: FileOwner, wanted: FileOwner): string | null {
  if (isSame(found, wanted)) return null
  return (
    `The restored files belong to ${described(found)} and not to ${described(wanted)}, since the service may not give files away. ` +
    'If the application is another user, check that it can read and write them, change their owner with chown, or run the service as that user or as root.'
  )
}

/** Whether we may change a folder's mode and times. */
export function isOurs({ uid }: FileOwner): boolean {
  const user = process.geteuid?.()
  return user === undefined || user === 0 || user === uid
}

export function ownerOf({ uid, gid }: FileOwner): FileOwner {
  return { uid, gid }
}

function isSame(a: FileOwner, b: FileOwner): boolean {
  return a.uid === b.uid && a.gid === b.gid
}

function described({ uid, gid }: FileOwner): string {
  return `user ${uid}, group ${gid}`
}
