import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError, systemCode, type ErrorCode } from '../errors.js'

/** Makes the names in a folder durable: a rename is on disk only after this (fsync(2), NOTES of rename(2)). */
export async function syncFolder (folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Renames and makes it durable on both sides. */
export async function durableRename (from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(dirname(to))
  if (dirname(from) !== dirname(to)) await syncFolder(dirname(from))
}

/** Suffix of everything that is not finished; removed at start-up. */
export const partialSuffix = '.partial'

/** Replaces a file as a whole: a reader sees the old content or the new, never a part, also after a crash. Mode 0600. */
export async function writeFileDurably (path: string, content: string): Promise<void> {
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

/** Translates an error of the file system: a full disk is DISK_FULL, everything else `code`. Other errors pass as they are. */
export function fileError (error: unknown, code: ErrorCode, what: string): unknown {
  const reason = systemCode(error)
  if (error instanceof AppError || reason === undefined || !/^E(?!RR_)[A-Z0-9]+$/.test(reason)) return error
  if (reason === 'ENOSPC' || reason === 'EDQUOT') return new AppError('DISK_FULL', `The disk is full: ${what} failed.`, { cause: error })
  return new AppError(code, `${what} failed (${reason}).`, { cause: error })
}
