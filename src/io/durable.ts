import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError, systemCode, type ErrorCode } from '../errors.js'
import { systemErrors } from './system-errors.js'

/** Makes the names in a folder durable: a rename is on disk only after this (fsync(2), NOTES of rename(2)). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Renames and makes it durable on both sides. */
export async function durableRename(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(dirname(to))
  if (dirname(from) !== dirname(to)) await syncFolder(dirname(from))
}

/** Suffix of everything that is not finished; removed at start-up. */
export const partialSuffix = '.partial'

/**
 * Replaces a file as a whole: a reader sees the old content or the new, never a part, also after a crash. Mode 0600.
 */
export async function writeFileDurably(path: string, content: string): Promise<void> {
  const partial = join(dirname(path), `.${randomUUID()}${partialSuffix}`)
  try {
    const handle = await open(partial, 'wx', 0o600)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await durableRename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

/** A folder of the host under the name that people know it by: an answer holds no path of the host. */
export interface KnownFolder {
  name: 'UPLOAD_DIR' | 'BACKUP_DIR' | 'EMBEDDED_DB_DIR'
  folder: string
}

/**
 * Translates an error of the file system: a full disk is DISK_FULL, everything else `code`. Other errors pass as they
 * are.
 * @param what was tried, as the subject of "failed"
 * @param known folders, below one of which the error's path may be: then the answer names it
 */
export function fileError(error: unknown, code: ErrorCode, what: string, ...known: KnownFolder[]): unknown {
  const system = systemCode(error)
  if (error instanceof AppError || system === undefined || !/^E(?!RR_)[A-Z0-9]+$/.test(system)) return error
  const place = placeOf((error as NodeJS.ErrnoException).path, known)
  if (system === 'ENOSPC' || system === 'EDQUOT')
    return new AppError(
      'DISK_FULL',
      'disk-full',
      `The disk is full: ${what} failed${place === null ? '' : ` at ${place}`}.`,
      { cause: error }
    )
  const { reason, remedy } = systemErrors[system] ?? {}
  const explained = reason === undefined ? '' : `: ${reason}`
  return new AppError(
    code,
    `file-${system.toLowerCase()}`,
    `${what} failed (${system})${explained}${place === null ? '' : `, at ${place}`}.`,
    { remedy: place === null ? undefined : remedy, cause: error }
  )
}

/** A path as people know it, in quotes; null when it is in none of the folders. */
export function placeOf(path: string | undefined, known: readonly KnownFolder[]): string | null {
  for (const { name, folder } of known) {
    if (path === folder || path?.startsWith(`${folder}/`) === true)
      return JSON.stringify(`${name}${path.slice(folder.length)}`)
  }
  return null
}

/** Whether a permission is missing. */
export function isRefusal(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(systemCode(error) ?? '')
}

/**
 * Gives its path to an error of an open file, which does not name one, or names the descriptor.
 * @returns the same error
 */
export function withPath(error: unknown, path: string): unknown {
  const { path: named } = error as NodeJS.ErrnoException
  const isKnown = named !== undefined && !named.startsWith('/proc/self/fd/')
  return systemCode(error) === undefined || error instanceof AppError || isKnown
    ? error
    : Object.assign(error as Error, { path })
}
