import { constants } from 'node:fs'
import { lstat, open, readFile, type FileHandle } from 'node:fs/promises'
import { hostname } from 'node:os'
import { tryLock } from 'fs-native-extensions'
import { AppError, systemCode } from '../errors.js'
import type { KnownFolder } from './durable.js'

/** A lock that this process has until it releases it or ends, in whatever way. */
export interface Lock {
  /** Whether the file that was locked is still the one at its path. */
  isInPlace(): Promise<boolean>
  /** Idempotent. */
  release(): Promise<void>
}

/**
 * Locks a file, made when missing; null when another process has it. The kernel holds the lock, not the file's content,
 * so nothing stays behind after a kill or a power cut, and a pid that is used again can't be taken for its owner
 * (fcntl(2), "Open file description locks"; flock(2) on macOS). @throws the error of the file system
 */
export async function takeLock(path: string): Promise<Lock | null> {
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
    await writeHolder(handle)
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

/**
 * The error of a service that finds a folder's lock taken: it names the process that has it, which wrote itself into
 * the file.
 * @param path the lock's file
 */
export async function folderInUse({ name }: KnownFolder, path: string): Promise<AppError> {
  const { pid, host } = await readHolder(path)
  const holder = pid === undefined ? '' : ` (process ${pid} on the host ${host})`
  return new AppError('CONFIG_INVALID', 'another-service', `Another service runs on ${name}${holder}.`, {
    remedy: `Stop the other service, or give each its own ${name}. This service goes on by itself once the other one has ended.`
  })
}

/**
 * For people alone: the lock holds without it, also on a disk that is full. A container's pid says little, so the host
 * is there too.
 */
async function writeHolder(handle: FileHandle): Promise<void> {
  await handle.truncate()
  await handle.write(JSON.stringify({ pid: process.pid, host: hostname() }) + '\n', 0).catch((error: unknown) => {
    if (!['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')) throw error
  })
}

/** Empty where the file tells nothing: its lock was taken this moment, or by an earlier release. */
async function readHolder(path: string): Promise<{ pid?: number; host?: string }> {
  const [, pid, host] = /^\{"pid":([0-9]+),"host":"([\w.-]+)"\}\n$/.exec(await readFile(path, 'utf8')) ?? []
  return pid === undefined || host === undefined ? {} : { pid: Number(pid), host }
}

function absent(error: unknown): null {
  if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return null
  throw error
}
