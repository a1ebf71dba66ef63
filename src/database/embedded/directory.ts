import { createHash } from 'node:crypto'
import { chmod, chown, lstat, mkdir, readFile, rename, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, systemCode } from '../../errors.js'
import type { KnownFolder } from '../../io/durable.js'
import { ProgramError, runProgram } from '../../io/process.js'
import { folderNotMade, requireFolder } from '../../io/usable-folder.js'
import { unprivilegedUser } from './unprivileged-user.js'
import type { SystemUser } from './unprivileged-user.js'

/** Bytes of a socket's path without its end: 103 on macOS, 107 on Linux (sun_path in <sys/un.h>). */
const socketPathLimit = 103
const logLimit = 10 * 1024 * 1024

/** Makes the folder of the embedded cluster. @throws AppError CONFIG_INVALID */
export async function makeDirectory(directory: string): Promise<void> {
  const known: KnownFolder = { name: 'EMBEDDED_DB_DIR', folder: directory }
  try {
    const made = await mkdir(directory, { recursive: true })
    if (made !== undefined) await chmod(directory, 0o711)
  } catch (error) {
    throw await folderNotMade(error, known, 'CONFIG_INVALID')
  }
  await requireFolder(known, 'CONFIG_INVALID')
}

/**
 * Who PostgreSQL is to run as when that is not us: a user that can enter the folder.
 * @throws AppError CONFIG_INVALID
 */
export async function serverUser(directory: string): Promise<SystemUser | null> {
  const user = await ownerOrUnprivileged(join(directory, 'data'))
  if (user === null) return null
  try {
    await runProgram('test', ['-x', directory], { cwd: '/', uid: user.uid, gid: user.gid })
  } catch (cause) {
    if (!(cause instanceof ProgramError)) throw cause
    throw new AppError(
      'CONFIG_INVALID',
      'embedded-folder-unreachable',
      `PostgreSQL, which runs as the user ${user.name}, can't enter EMBEDDED_DB_DIR or a folder above it.`,
      {
        remedy:
          'Move EMBEDDED_DB_DIR to where every folder above it can be entered (chmod o+x), for instance below /var/lib, or do not run the service as root.',
        cause
      }
    )
  }
  return user
}

/** The major version of PostgreSQL that made the data folder; null when there is no cluster. */
export async function clusterVersion(dataDirectory: string): Promise<number | null> {
  try {
    return Number.parseInt(await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8'), 10)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}

/** The folder for the server's socket: `run`, or a private one with a short path. @throws AppError CONFIG_INVALID */
export async function prepareSocketFolder(directory: string, user: SystemUser | null): Promise<string> {
  const near = join(directory, 'run')
  const fits = Buffer.byteLength(join(near, '.s.PGSQL.65535')) <= socketPathLimit
  const folder = fits
    ? near
    : join(tmpdir(), `dumbassets-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}`)
  const uid = user?.uid ?? process.getuid?.() ?? -1
  try {
    await mkdir(folder)
    await chmod(folder, 0o755)
    if (user !== null) await chown(folder, user.uid, user.gid)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
  const found = await lstat(folder)
  const ownedByRoot = user !== null && found.uid === 0
  if (!found.isDirectory() || (found.uid !== uid && !ownedByRoot)) {
    throw new AppError(
      'CONFIG_INVALID',
      'embedded-socket-folder-owner',
      "The folder for the embedded database's socket belongs to another user.",
      {
        remedy: 'Set EMBEDDED_DB_DIR to a folder with a shorter path.'
      }
    )
  }
  if (ownedByRoot) await chown(folder, user.uid, user.gid)
  return folder
}

/** The server's log; one older one is kept when it has grown past 10 MiB. */
export async function prepareLog(directory: string): Promise<string> {
  const file = join(directory, 'postgres.log')
  const size = await stat(file).then(
    found => found.size,
    () => 0
  )
  if (size > logLimit) await rename(file, `${file}.1`)
  return file
}

/** As root: who owns the data already, else the unprivileged user. Otherwise the data must be our own. */
async function ownerOrUnprivileged(dataDirectory: string): Promise<SystemUser | null> {
  const user = await unprivilegedUser()
  const owner = await stat(dataDirectory).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  })
  if (owner === null) return user
  if (user !== null)
    return owner.uid === 0
      ? user
      : { name: owner.uid === user.uid ? user.name : `number ${owner.uid}`, uid: owner.uid, gid: owner.gid }
  if (owner.uid === process.getuid?.()) return null
  throw new AppError(
    'CONFIG_INVALID',
    'embedded-folder-owner',
    'The embedded database belongs to another system user.',
    {
      remedy: 'Run the service as the user that it was first run as, or set EMBEDDED_DB_DIR to another folder.'
    }
  )
}
