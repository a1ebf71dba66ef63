import type { DatabaseScope } from '../archive/metadata.js'
import type { ArchiveEntry } from '../archive/entry-table.js'
import { openArchive, type Archive } from '../archive/reader.js'
import { requireAddable } from '../backup/add-files.js'
import { createBackup, listFiles } from '../backup/create.js'
import type { Core } from '../core.js'
import { dropScratch, type ScratchNames } from '../database/load/scratch.js'
import { findPostgresTools } from '../database/postgres-tools.js'
import type { ServerFacts } from '../database/server-facts.js'
import { AppError, type ErrorCode } from '../errors.js'
import type { JobContext } from '../jobs/context.js'
import type { EntryList } from '../storage/entry-list.js'
import { loadArchiveInPlace } from './in-place-participant.js'
import { loadBeside } from './load-beside.js'
import { withLoadThread } from './load-thread.js'
import { preflight } from './preflight.js'

export interface CheckpointRequest {
  /** Of the backup that is made. */
  id: string
  organizationId: string
  restoreId: string
  startedBy: string
  files: boolean
  /** The files are only looked at: to pack them could take hours. */
  dryRun: boolean
  /** Of the restore: one that is merged is undone by a merge, whatever DATABASE_SCOPE says. */
  scope: DatabaseScope
  /** Names that the restore's journal has for the trial; null where the restore works in place. */
  scratch: ScratchNames | null
}

/**
 * The state before a restore, as an ordinary backup: inside the live database there is nothing that could be kept by
 * renaming. It is loaded once, so that what keeps it from being restored is found now, while nothing is changed yet.
 * @throws AppError CHECKPOINT_IMPOSSIBLE with the reasons
 */
export async function createCheckpointBackup(core: Core, request: CheckpointRequest, job: JobContext): Promise<void> {
  const { id, organizationId, restoreId, startedBy, files, dryRun, scope } = request
  let entries: EntryList | undefined
  try {
    await createBackup(
      core,
      {
        id,
        organizationId,
        type: files && !dryRun ? 'full' : 'database',
        description: `Checkpoint before the restore ${restoreId}`,
        createdBy: startedBy,
        createdByEmail: null,
        checkpoint: { restoreId, scope }
      },
      withoutBytes(job)
    )
    if (files && dryRun) entries = await tryFiles(core, organizationId, job.signal)
  } catch (error) {
    job.signal.throwIfAborted()
    throw impossible('The state before the restore could not be backed up', error)
  }
  try {
    await requireRestorable(core, request, entries, job)
  } catch (error) {
    job.signal.throwIfAborted()
    throw impossible('The state before the restore could be backed up, but that backup could not be restored', error)
  }
}

/** What the restore's own bytes are counted against does not hold those of the backup. */
function withoutBytes(job: JobContext): JobContext {
  return { ...job, progress: { ...job.progress, total() {}, advance() {} } }
}

async function tryFiles(core: Core, organizationId: string, signal: AbortSignal): Promise<EntryList> {
  const { entries } = await listFiles(core, organizationId)
  await requireAddable(core, organizationId, entries, signal)
  return entries
}

/**
 * What a restore of it is refused for. It would be one without a checkpoint, as an undo is.
 * @param entries those that it lacks as a rehearsal's
 */
async function requireRestorable(
  core: Core,
  { id, organizationId, files, scratch }: CheckpointRequest,
  entries: EntryList | undefined,
  { signal }: JobContext
): Promise<void> {
  const opened = await core.repository.openArchive(organizationId, id)
  if (opened === null) throw new AppError('ARCHIVE_MISSING', 'archive-gone', 'Its archive is gone.')
  try {
    const archive = await openArchive(opened.handle, opened.size, organizationId, core.signing)
    const { server } = await preflight(core, {
      organizationId,
      archive,
      keepCheckpoint: false,
      database: true,
      files,
      entries
    })
    await requireLoadable(core, archive, server as ServerFacts, scratch, signal)
  } finally {
    await opened.handle.close()
  }
}

/** Loads the dump as an undo would, and takes that back. */
async function requireLoadable(
  core: Core,
  archive: Archive,
  server: ServerFacts,
  scratch: ScratchNames | null,
  signal: AbortSignal
): Promise<void> {
  const { pgBinDir: binDir, loadTimeoutMs } = core.settings
  const connection = core.database.connection()
  const tools = await findPostgresTools({ binDir, serverMajor: server.major })
  const input = { archive, dump: archive.database as ArchiveEntry, tools, server, onBytes() {}, loadTimeoutMs }
  if (scratch === null) {
    const load = await loadArchiveInPlace(
      connection,
      archive.metadata.id,
      input,
      { census: null, listCode: false },
      signal
    )
    await load.rollback()
    return
  }
  try {
    await withLoadThread(async load => await loadBeside(connection, scratch, input, load, signal))
  } finally {
    // Its names are not those that the archive is loaded under, so that what stays of it is in nothing's way.
    await dropScratch(connection, scratch).catch((error: unknown) => {
      core.log.warn(
        { err: error },
        "The database of a checkpoint's trial can't be dropped now; trying again when the restore ends"
      )
    })
  }
}

/** What is in the way of the restore too, so that going without a checkpoint would lead to the same refusal. */
const alsoWithout: ReadonlySet<ErrorCode> = new Set([
  'TENANCY_VIOLATION',
  'TENANCY_UNSUPPORTED',
  'DATABASE_UNAVAILABLE',
  'DATABASE_TOOLS_MISSING',
  'STORAGE_UNAVAILABLE',
  'REPOSITORY_UNAVAILABLE'
])

function remedyOf({ code, remedy }: AppError): string {
  if (alsoWithout.has(code)) return `${remedy} Then restore again.`
  const first = code === 'DISK_FULL' ? 'Free disk space, then restore again.' : remedy
  return `${first} Or repeat the restore with rollbackOnFailure: false: it goes on without a checkpoint, and can't be undone.`
}

function impossible(what: string, cause: unknown): AppError {
  // Who else is in the database, or has built upon it, is no matter of the checkpoint: it is in the restore's own way.
  if (cause instanceof AppError && (cause.code === 'OTHER_ORGANIZATIONS_AFFECTED' || cause.code === 'RESTORE_CONFLICT'))
    return cause
  if (!(cause instanceof AppError))
    return new AppError('CHECKPOINT_IMPOSSIBLE', 'unexpected', `${what}: internal error`, { cause })
  const reasons = cause.errors?.map(({ message }) => message).join(' ') ?? cause.message
  return new AppError('CHECKPOINT_IMPOSSIBLE', cause.reason, `${what}: ${reasons}`, {
    remedy: remedyOf(cause),
    errors: cause.errors,
    cause
  })
}
