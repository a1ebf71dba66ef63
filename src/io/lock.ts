import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { tryLock } from 'fs-native-extensions'
import { systemCode } from '../errors.js'

/** A lock that this process has until it releases it or ends, in whatever way. */
export interface Lock {
  /** Whether the file that was locked is still the one at its path. */
  isInPlace (): Promise<boolean>
  /** Idempotent. */
  release (): Promise<void>
}

/**
 * Locks a file, made when missing; null when another process has it. The kernel holds the lock, not the file's content,
 * so nothing stays behind after a kill or a power cut, and a pid that is used again can't be taken for its owner (fcntl(2),
 * "Open file description locks"; flock(2) on macOS). @throws the error of the file system
 */
export async function takeLock (path: string): Promise<Lock | null> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  let isOpen = true
  const release = async (): Promise<void> => {
    if (!isOpen) return
    isOpen = false
    await handle.close()
  }
  try {
    if (!tryLock(handle.fd)) {
      await release()
      return null
    }
    const { dev, ino } = await handle.stat()
    const isInPlace = async (): Promise<boolean> => {
      const there = await lstat(path).catch(absent)
      return there !== null && there.dev === dev && there.ino === ino
    }
    return { isInPlace, release }
  } catch (error) {
    await release()
    throw error
  }
}

function absent (error: unknown): null {
  if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return null
  throw error
}
