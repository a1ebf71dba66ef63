import type { DatabaseScope } from '../archive/metadata.js'
import { openArchive } from '../archive/reader.js'
import { createBackup } from '../backup/create.js'
import type { Core } from '../core.js'
import { AppError, type ErrorCode } from '../errors.js'
import type { JobContext } from '../jobs/progress.js'
import { preflight } from './preflight.js'

export interface CheckpointRequest {
  /** Of the backup that is made. */
  id: string
  organizationId: string
  restoreId: string
  startedBy: string
  files: boolean
  /** Of the restore: one that is merged is undone by a merge, whatever DATABASE_SCOPE says. */
  scope: DatabaseScope
}

/**
 * The state before a restore, as an ordinary backup: inside the live database there is nothing that could be kept by
 * renaming. What can be told beforehand to keep it from being restored is found now, while nothing is changed yet.
 * @throws AppError CHECKPOINT_IMPOSSIBLE with the reasons
 */
export async function createCheckpointBackup (core: Core, request: CheckpointRequest, job: JobContext): Promise<void> {
  const { id, organizationId, restoreId, startedBy, files, scope } = request
  try {
    await createBackup(core, {
      id, organizationId, type: files ? 'full' : 'database', description: `Checkpoint before the restore ${restoreId}`,
      createdBy: startedBy, createdByEmail: null, checkpoint: { restoreId, scope }
    }, withoutBytes(job))
  } catch (error) {
    job.signal.throwIfAborted()
    throw impossible('The state before the restore could not be backed up', error)
  }
  try {
    await requireRestorable(core, request)
  } catch (error) {
    throw impossible('The state before the restore could be backed up, but that backup could not be restored', error)
  }
}

/** What the restore's own bytes are counted against does not hold those of the backup. */
function withoutBytes (job: JobContext): JobContext {
  return { ...job, progress: { ...job.progress, total () {}, advance () {} } }
}

/** What a restore of it is refused for. It would be one without a checkpoint, as an undo is. */
async function requireRestorable (core: Core, { id, organizationId, files }: CheckpointRequest): Promise<void> {
  const opened = await core.repository.openArchive(organizationId, id)
  if (opened === null) throw new AppError('ARCHIVE_MISSING', 'Its archive is gone.')
  try {
    const archive = await openArchive(opened.handle, opened.size, organizationId, core.signing)
    await preflight(core, { organizationId, archive, keepCheckpoint: false, database: true, files })
  } finally {
    await opened.handle.close()
  }
}

/** What is in the way of the restore too, so that going without a checkpoint would lead to the same refusal. */
const alsoWithout: ReadonlySet<ErrorCode> = new Set([
  'TENANCY_VIOLATION', 'TENANCY_UNSUPPORTED', 'DATABASE_UNAVAILABLE', 'DATABASE_TOOLS_MISSING', 'STORAGE_UNAVAILABLE', 'REPOSITORY_UNAVAILABLE'
])

function remedyOf ({ code, remedy }: AppError): string {
  if (alsoWithout.has(code)) return `${remedy} Then restore again.`
  const first = code === 'DISK_FULL' ? 'Free disk space, then restore again.' : remedy
  return `${first} Or repeat the restore with rollbackOnFailure: false: it goes on without a checkpoint, and can't be undone.`
}

function impossible (what: string, cause: unknown): AppError {
  if (!(cause instanceof AppError)) return new AppError('CHECKPOINT_IMPOSSIBLE', `${what}: internal error`, { cause })
  const reasons = cause.errors?.map(({ message }) => message).join(' ') ?? cause.message
  return new AppError('CHECKPOINT_IMPOSSIBLE', `${what}: ${reasons}`, { remedy: remedyOf(cause), errors: cause.errors, cause })
}
