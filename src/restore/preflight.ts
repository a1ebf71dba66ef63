import { lstat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Archive } from '../archive/reader.js'
import type { Core } from '../core.js'
import { readAttachments, type Attachments } from '../database/attachments.js'
import { databaseError, trustedPath, withSql } from '../database/connection/connection.js'
import { requireNoDependents } from '../database/load/dependents.js'
import { readStayingObjects, type StayingObjects } from '../database/load/staying-objects.js'
import type { DatabaseDetails } from '../database/database-details.js'
import { withMaintenance } from '../database/maintenance.js'
import { writeObstacles } from '../database/write-obstacles.js'
import { readServerFacts, type ServerFacts } from '../database/server-facts.js'
import { AppError, errorCatalogue, systemCode, type Problem } from '../errors.js'
import { fileError } from '../io/durable.js'
import { freeSpace, reserveBytes } from '../io/free-space.js'
import { isMountPoint, mountsInside } from '../storage/mount.js'
import { stagingFolder } from '../storage/staging-folder.js'
import { chooseMode, type DatabaseMode } from './database-mode.js'
import type { RestoreReport } from './report.js'
import { attachmentShortfalls, attachmentWarnings, createdWithUs, databaseShortfalls } from './shortfalls.js'

export interface Preflight {
  /** Null when the database is not restored. */
  mode: DatabaseMode | null
  server: ServerFacts | null
  disk: RestoreReport['disk']
  missingRoles: string[]
  missingExtensions: string[]
  /** The organization's upload folder is a mount of its own. */
  mounted: boolean
  /** What the restore would leave behind or out. */
  warnings: string[]
}

interface Request {
  organizationId: string
  archive: Archive
  keepCheckpoint: boolean
  database: boolean
  files: boolean
  /** In place of the archive's, to count the room for: those that it would hold were it more than a rehearsal's. */
  entries?: Iterable<{ size: number }>
}

/**
 * Everything that can be known to stand in the way of a restore, before anything is touched, and all of it at once.
 * @throws AppError PREFLIGHT_FAILED, DISK_FULL, CHECKPOINT_IMPOSSIBLE, RESTORE_CONFLICT, OTHER_ORGANIZATIONS_AFFECTED,
 * TENANCY_UNSUPPORTED, DATABASE_BUSY, DATABASE_UNAVAILABLE
 */
export async function preflight(core: Core, request: Request): Promise<Preflight> {
  const { metadata, trusted } = request.archive
  const shortfalls: Problem[] = []
  const disk: RestoreReport['disk'] = []
  const warnings: string[] = []
  let server: ServerFacts | null = null
  let mode: DatabaseMode | null = null
  let missingRoles: string[] = []
  let missingExtensions: string[] = []
  let mounted = false
  let noCheckpoint: Problem | null = null

  if (request.database) {
    const facts = await askServer(core)
    server = facts.server
    if (server.live === null && request.keepCheckpoint)
      noCheckpoint = {
        reason: 'no-live-database',
        message: 'The live database is not there, so no checkpoint of it can be kept.'
      }
    mode = await chooseMode(core, request.organizationId, metadata, server)
    missingRoles = metadata.roles.filter(
      role => !(server as ServerFacts).roles.has(role) && role !== createdWithUs(metadata)
    )
    missingExtensions = metadata.extensions
      .map(({ name }) => name)
      .filter(name => !(server as ServerFacts).extensions.has(name))
    const staying = mode === 'in-place' && server.live !== null ? await askStaying(core) : null
    shortfalls.push(...databaseShortfalls(metadata, mode, server, missingRoles, missingExtensions, staying))
    shortfalls.push(
      ...(await writeObstacles(core.database.connection(), {
        inside: mode !== 'swap' && server.live !== null,
        byKeys: mode === 'merge' && !server.isSuperuser
      }))
    )
    shortfalls.push(...attachmentShortfalls(mode, facts.attachments))
    warnings.push(...attachmentWarnings(mode, facts.attachments), ...(staying?.losses ?? []))
    if (mode !== 'swap' && request.keepCheckpoint) {
      warnings.push(
        "What is written between the checkpoint's backup, which is made first, and the commit is in no checkpoint, and an undo does not bring it back: stop writers if that matters."
      )
      disk.push(await roomForCheckpoint(core, request))
    }
    if (!trusted && (mode === 'in-place' || !server.canCreateRole)) {
      shortfalls.push({
        reason: 'not-signed-here',
        message:
          "This installation has not signed the archive, and the database user may not make a database and a role to load it with, so the dump would run with that user's own rights: run ALTER ROLE … CREATEDB CREATEROLE as a superuser."
      })
    }
    const folder = core.database.dataDirectory
    if (folder !== null)
      disk.push(
        await room('the data folder of PostgreSQL', folder, [
          { size: (metadata.database as DatabaseDetails).sizeBytes }
        ])
      )
  }
  if (request.files) {
    await core.storage.check()
    const live = join(core.settings.uploadDir, request.organizationId)
    const isReal = await isFolderOrAbsent(live)
    if (!isReal)
      shortfalls.push({
        reason: 'upload-folder-not-a-folder',
        message: "The organization's upload folder is a link or no folder: put a real folder in its place."
      })
    mounted = isReal && (await isMounted(live))
    for (const path of isReal ? await mountsInside(live) : [])
      shortfalls.push({
        reason: 'mount-inside',
        message: `Something is mounted inside the upload folder, at ${JSON.stringify(path)}, and would be carried off with the former files: unmount it for the time of the restore, or mount the organization's folder as a whole.`
      })
    const [place, folder] = mounted
      ? ["the organization's upload folder", live]
      : ['UPLOAD_DIR', core.settings.uploadDir]
    if (!(await isFolderOrAbsent(join(folder, stagingFolder))))
      shortfalls.push({
        reason: 'staging-folder-not-a-folder',
        message: `In ${place}, ${stagingFolder} is a link or no folder, and the service makes the restored files ready there: remove it.`
      })
    disk.push(await room(place, folder, request.entries ?? request.archive.files))
  }

  const full = disk
    .filter(({ neededBytes, availableBytes }) => neededBytes > availableBytes)
    .map(({ place, neededBytes, availableBytes }) => ({
      reason: 'disk-full',
      message: `${place} needs ${neededBytes} bytes free and has ${availableBytes}.`
    }))
  if (noCheckpoint !== null) {
    if (full.length + shortfalls.length === 0)
      throw new AppError('CHECKPOINT_IMPOSSIBLE', noCheckpoint.reason, noCheckpoint.message)
    shortfalls.push({ ...noCheckpoint, message: `${noCheckpoint.message} ${errorCatalogue.CHECKPOINT_IMPOSSIBLE}` })
  }
  refuse(shortfalls.length === 0 ? 'DISK_FULL' : 'PREFLIGHT_FAILED', 'restore', [...full, ...shortfalls])
  if (mode === 'in-place') await requireNoDependents(core.database.connection())
  return { mode, server, disk, missingRoles, missingExtensions, mounted, warnings }
}

async function askServer(core: Core): Promise<{ server: ServerFacts; attachments: Attachments }> {
  const connection = core.database.connection()
  try {
    return await withMaintenance(connection, async sql => ({
      server: await readServerFacts(sql, connection.database),
      attachments: await readAttachments(sql, connection.database)
    }))
  } catch (error) {
    throw databaseError(error)
  }
}

async function askStaying({ database }: Core): Promise<StayingObjects> {
  try {
    return await withSql(database.connection(), { searchPath: trustedPath }, readStayingObjects)
  } catch (error) {
    throw databaseError(error)
  }
}

/** Before an undo begins, which would end half way. @throws AppError PREFLIGHT_FAILED, DATABASE_UNAVAILABLE */
export async function requireWritable({ database }: Core): Promise<void> {
  refuse('PREFLIGHT_FAILED', 'undo', await writeObstacles(database.connection(), { inside: false }))
}

/** The reason is that of the first, as the others are in errors[] with theirs. */
function refuse(code: 'DISK_FULL' | 'PREFLIGHT_FAILED', what: string, problems: Problem[]): void {
  const [first] = problems
  if (first === undefined) return
  throw new AppError(
    code,
    first.reason,
    `The ${what} can't be started: ${problems.map(({ message }) => message).join(' ')}`,
    { errors: problems }
  )
}

/**
 * The backup that is the checkpoint: the live files, and a dump that is taken to be as large as the one in the archive.
 */
async function roomForCheckpoint(
  { repository, storage, settings }: Core,
  { organizationId, archive, files }: Request
): Promise<RestoreReport['disk'][number]> {
  // One that is no folder is told with all the rest.
  const fileBytes =
    files && (await isFolderOrAbsent(join(settings.uploadDir, organizationId)))
      ? (await storage.list(organizationId)).entries.bytes
      : 0
  return {
    place: 'BACKUP_DIR',
    neededBytes: (archive.database?.size ?? 0) + fileBytes,
    availableBytes: Math.max(0, (await repository.freeBytes()) - reserveBytes)
  }
}

/** @param parts each takes whole blocks; holes count as they would be filled */
async function room(
  place: string,
  folder: string,
  parts: Iterable<{ size: number }>
): Promise<RestoreReport['disk'][number]> {
  try {
    const { freeBytes, blockBytes } = await freeSpace(folder)
    let neededBytes = 0
    for (const { size } of parts) neededBytes += Math.ceil(size / blockBytes) * blockBytes
    return { place, neededBytes, availableBytes: Math.max(0, freeBytes - reserveBytes) }
  } catch (error) {
    throw fileError(error, 'STORAGE_UNAVAILABLE', `Asking for the free space of ${place}`)
  }
}

async function isFolderOrAbsent(folder: string): Promise<boolean> {
  try {
    return (await lstat(folder)).isDirectory()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return true
    throw fileError(error, 'STORAGE_UNAVAILABLE', 'Looking at UPLOAD_DIR', {
      name: 'UPLOAD_DIR',
      folder: dirname(folder)
    })
  }
}

async function isMounted(folder: string): Promise<boolean> {
  try {
    return await isMountPoint(folder)
  } catch (error) {
    throw fileError(error, 'STORAGE_UNAVAILABLE', 'Looking at UPLOAD_DIR', {
      name: 'UPLOAD_DIR',
      folder: dirname(folder)
    })
  }
}
