import { finished, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FileHandle } from 'node:fs/promises'
import { openArchive, type Archive } from '../archive/reader.js'
import type { Core } from '../core.js'
import { AppError, errorCatalogue } from '../errors.js'
import { reserveBytes } from '../io/free-space.js'
import { fileError } from '../io/durable.js'
import { createHashStream } from '../io/hash-stream.js'
import type { JobContext } from '../jobs/context.js'
import { recordOf, type Backup } from '../repository/record.js'
import { keepRecord } from './keep-record.js'
import { requireTrusted } from './require-trusted.js'

export interface UploadRequest {
  organizationId: string
  /** The archive. It is not destroyed when the upload is refused, so that its sender can be answered. */
  stream: Readable
  /** Its length, when the sender tells. */
  size?: number
  /** SHA-256s, in hex, that the sender gives for it. */
  checksums: readonly string[]
  /** Longer without a byte, and the sender is taken to be gone; 60 s unless told. */
  idleMs?: number
}

/**
 * Takes an archive into the repository: streamed to the disk and hashed on the way, then read whole, so that only what
 * a restore would accept becomes a backup, and only the organization's own.
 * @throws AppError PAYLOAD_TOO_LARGE, DISK_FULL, CHECKSUM_MISMATCH, ARCHIVE_INVALID, ARCHIVE_VERSION_UNSUPPORTED,
 * ARCHIVE_UNTRUSTED, BACKUP_EXISTS, BAD_REQUEST when the stream breaks off, REPOSITORY_UNAVAILABLE, and the reason of
 * job.signal: nothing is left in any case
 */
export async function receiveBackup(core: Core, request: UploadRequest, job: JobContext): Promise<Backup> {
  const { organizationId } = request
  await core.repository.check()
  const refuseOver = await limits(core)
  if (request.size !== undefined) {
    refuseOver(request.size)
    job.progress.total(request.size)
  }
  job.progress.phase('receive')
  const partial = await core.repository.receiveArchive(organizationId)
  try {
    const checksum = await receive(request, partial.stream, refuseOver, job)
    job.progress.phase('verify')
    const opened = await partial.open()
    const { metadata, signedBy } = await readWhole(core, opened, organizationId, job.signal)
    await requireNew(core, organizationId, metadata.id)
    job.signal.throwIfAborted()
    await partial.commit(metadata.id)
    const backup = await keepRecord(core, recordOf(metadata, { size: opened.size, checksum, signedBy }))
    core.log.info(
      { organizationId, backupId: backup.id, type: backup.type, size: backup.size, trusted: backup.trusted },
      'Backup uploaded'
    )
    return backup
  } catch (error) {
    await partial.discard()
    job.signal.throwIfAborted()
    throw fileError(error, 'REPOSITORY_UNAVAILABLE', 'Writing the archive to BACKUP_DIR')
  }
}

async function limits({ repository, settings: { uploadMaxBytes } }: Core): Promise<(bytes: number) => void> {
  const room = (await repository.freeBytes()) - reserveBytes
  return bytes => {
    if (uploadMaxBytes !== null && bytes > uploadMaxBytes) {
      throw new AppError(
        'PAYLOAD_TOO_LARGE',
        'archive-too-large',
        `The archive is larger than ${uploadMaxBytes} bytes.`,
        { remedy: 'Ask the operator to raise UPLOAD_MAX_BYTES.' }
      )
    }
    if (bytes > room)
      throw new AppError('DISK_FULL', 'no-room-for-upload', 'There is not enough disk space for the archive.')
  }
}

/** @returns the SHA-256 of what was received */
async function receive(
  { stream, checksums, idleMs = 60_000 }: UploadRequest,
  target: NodeJS.WritableStream,
  refuseOver: (bytes: number) => void,
  job: JobContext
): Promise<string> {
  const hashed = createHashStream(bytes => {
    idle.refresh()
    refuseOver(hashed.bytes)
    job.progress.advance(bytes)
  })
  const stop = (): void => {
    hashed.destroy(job.signal.reason as Error)
  }
  const idle = setTimeout(() => {
    hashed.destroy(brokenOff())
  }, idleMs)
  // A pipe alone, unlike a pipeline, leaves the sender's stream whole when the upload fails.
  const unwatch = finished(stream, { writable: false }, error => {
    if (error) hashed.destroy(error instanceof AppError ? error : brokenOff(error))
  })
  job.signal.addEventListener('abort', stop, { once: true })
  try {
    job.signal.throwIfAborted()
    await pipeline(stream.pipe(hashed), target)
  } finally {
    clearTimeout(idle)
    unwatch()
    job.signal.removeEventListener('abort', stop)
  }
  if (hashed.bytes === 0) {
    throw new AppError('ARCHIVE_INVALID', 'empty-upload', 'What was uploaded is empty.', {
      remedy: 'Send the archive itself, with curl: -T backup-….zip. When you did, look at the size of that file.'
    })
  }
  const checksum = hashed.digest()
  if (checksums.some(expected => expected.toLowerCase() !== checksum)) {
    throw new AppError(
      'CHECKSUM_MISMATCH',
      'upload-digest-differs',
      'What was received is not what was sent: its SHA-256 is another.',
      { remedy: 'Upload the archive again.' }
    )
  }
  return checksum
}

/** What its sender is told of an archive that has not come whole. */
export function brokenOff(cause?: unknown): AppError {
  return new AppError('BAD_REQUEST', 'upload-broken-off', 'The upload broke off.', {
    remedy: 'Upload the archive again.',
    cause
  })
}

async function readWhole(
  core: Core,
  { handle, size }: { handle: FileHandle; size: number },
  organizationId: string,
  signal: AbortSignal
): Promise<Pick<Archive, 'metadata' | 'signedBy'>> {
  try {
    const archive = await openArchive(handle, size, organizationId, core.signing)
    requireTrusted(core, archive)
    const { metadata, signedBy, database, smbInfo, files } = archive
    for (const entry of [database, smbInfo, ...files]) {
      if (entry === null || entry.kind === 'folder') continue
      for await (const block of archive.read(entry)) {
        signal.throwIfAborted()
        void block
      }
    }
    return { metadata, signedBy }
  } catch (error) {
    throw ofUpload(error)
  } finally {
    await handle.close()
  }
}

/** The remedies of a restore name another backup; the sender of an upload still has the file. */
function ofUpload(error: unknown): unknown {
  if (
    !(error instanceof AppError) ||
    !['ARCHIVE_INVALID', 'CHECKSUM_MISMATCH'].includes(error.code) ||
    error.remedy !== errorCatalogue[error.code]
  )
    return error
  return new AppError(error.code, error.reason, error.message, {
    remedy:
      'Upload the file as it was downloaded: one that was unpacked and packed again is not taken, by whatever program; curl sends it unchanged with -T or --data-binary @, not with -d @. When it is refused again, the file itself is damaged: take another copy of it.',
    cause: error
  })
}

/** A record whose archive is gone does not stand in the way of the archive. */
async function requireNew({ repository }: Core, organizationId: string, backupId: string): Promise<void> {
  const present = await repository.openArchive(organizationId, backupId)
  if (present === null) return
  await present.handle.close()
  throw new AppError('BACKUP_EXISTS', 'backup-exists', `The backup ${backupId} is there already.`)
}
