import { randomUUID } from 'node:crypto'
import { gzip } from '../archive/gzip.js'
import { mostEntries, ownEntries } from '../archive/layout.js'
import { formatVersion, type BackupType, type DatabaseScope } from '../archive/metadata.js'
import { keyId } from '../archive/signature.js'
import { createArchiveWriter, type ArchiveWriter, type MetadataWithoutDigest } from '../archive/writer.js'
import type { Core } from '../core.js'
import { AppError } from '../errors.js'
import { fileError } from '../io/durable.js'
import type { JobContext } from '../jobs/context.js'
import { recordOf, type Backup } from '../repository/record.js'
import type { PartialArchive } from '../repository/repository.js'
import { createEntryList } from '../storage/entry-list.js'
import type { Listing } from '../storage/strategy.js'
import { addFiles } from './add-files.js'
import { openDatabaseSource, type DatabasePart, type DatabaseSource } from './database-source.js'
import { keepRecord } from './keep-record.js'

export interface CreateRequest {
  /** Made up unless given. */
  id?: string
  organizationId: string
  type: BackupType
  description?: string
  /** User id. */
  createdBy: string
  createdByEmail: string | null
  /** What a restore of this scope makes first, to be undone by. */
  checkpoint?: { restoreId: string; scope: DatabaseScope }
}

/**
 * Makes a backup: one archive, streamed into the repository, and its record. Database and files are those of one
 * moment: the files are listed as soon as the database's snapshot is open.
 * @throws AppError DATABASE_UNAVAILABLE, DATABASE_TOOLS_MISSING, DATABASE_BUSY, DUMP_FAILED, STORAGE_UNAVAILABLE,
 * REPOSITORY_UNAVAILABLE, DISK_FULL, PAYLOAD_TOO_LARGE, TENANCY_UNSUPPORTED, TENANCY_VIOLATION, ORGANIZATION_NOT_FOUND,
 * OTHER_ORGANIZATIONS_AFFECTED, and the reason of job.signal
 */
export async function createBackup(core: Core, request: CreateRequest, job: JobContext): Promise<Backup> {
  const { organizationId, type } = request
  const { id = randomUUID() } = request
  if (type !== 'database') await core.storage.check()
  await core.repository.check()
  job.progress.phase('snapshot')
  const source =
    type === 'files'
      ? null
      : await openDatabaseSource(
          core,
          { organizationId, checkpointScope: request.checkpoint?.scope ?? null },
          job.signal
        )
  try {
    const timestamp = new Date()
    const listing =
      type === 'database'
        ? Promise.resolve({ entries: createEntryList(), owners: null, warnings: [] })
        : listFiles(core, organizationId)
    // Beside the dump, which stops when it has failed.
    listing.catch(() => {})
    const partial = await core.repository.createArchive(organizationId, id)
    try {
      return await writeBackup(core, request, { id, timestamp, source, listing, partial }, job)
    } catch (error) {
      await partial.discard()
      job.signal.throwIfAborted()
      throw fileError(error, 'REPOSITORY_UNAVAILABLE', 'Writing the archive to BACKUP_DIR')
    }
  } finally {
    await source?.close()
  }
}

/**
 * What a backup takes of the files.
 * @throws AppError PAYLOAD_TOO_LARGE when there are more than any reader would take, STORAGE_UNAVAILABLE
 */
export async function listFiles({ storage }: Core, organizationId: string): Promise<Listing> {
  const listing = await storage.list(organizationId)
  const { entries, warnings } = listing
  if (storage.capabilities.transferable && entries.length === 0) {
    warnings.push(
      "The organization has no upload folder, so the archive holds no files. If it has uploads, correct UPLOAD_DIR or the folder's name and make the backup again."
    )
  }
  if (entries.length + ownEntries.size <= mostEntries) return listing
  throw new AppError(
    'PAYLOAD_TOO_LARGE',
    'too-many-files',
    `The organization has ${entries.length} files and folders, and an archive holds at most ${mostEntries - ownEntries.size}.`,
    {
      remedy: 'Remove files that are not needed, or pack many small ones into one.'
    }
  )
}

interface Begun {
  id: string
  timestamp: Date
  source: DatabaseSource | null
  listing: Promise<Listing>
  partial: PartialArchive
}

async function writeBackup(core: Core, request: CreateRequest, begun: Begun, job: JobContext): Promise<Backup> {
  const { id, timestamp, source, partial } = begun
  const { organizationId, type } = request
  const writer = createArchiveWriter(partial.stream, timestamp, () => job.signal.throwIfAborted(), core.signing.current)
  const database = source === null ? null : await addDatabase(writer, core, source, begun.listing, job)
  const listing = await begun.listing
  job.progress.total((database?.sqlBytes ?? 0) + listing.entries.bytes)
  const files = await addFiles(writer, core, organizationId, listing.entries, job)
  const elsewhere = type === 'database' ? null : core.storage.describe(organizationId)
  if (elsewhere !== null) await writer.addSmbInfo(elsewhere.text)

  job.progress.phase('finish')
  const metadata: MetadataWithoutDigest = {
    formatVersion,
    id,
    timestamp: timestamp.toISOString(),
    createdBy: request.createdBy,
    createdByEmail: request.createdByEmail,
    organizationId,
    version: core.settings.version,
    type,
    databaseType: core.database.kind,
    fileStorageType: core.storage.kind,
    includesDatabase: database !== null,
    includesFiles: type !== 'database' && elsewhere === null,
    description: request.description ?? null,
    ...(listing.owners === null ? {} : { fileOwners: listing.owners }),
    ...(request.checkpoint === undefined ? {} : { checkpointOf: request.checkpoint.restoreId }),
    ...describeDatabase(database),
    counts: {
      tables: database?.tables.length ?? 0,
      rows: database?.tables.reduce((sum, { rows }) => sum + rows, 0) ?? 0,
      files: files.files,
      bytes: files.bytes
    },
    warnings: [
      ...(await clockWarnings(core, organizationId, timestamp)),
      ...(database?.warnings ?? []),
      ...listing.warnings,
      ...files.warnings,
      ...(elsewhere === null ? [] : [elsewhere.warning])
    ]
  }
  const written = await writer.finish(metadata)
  job.signal.throwIfAborted()
  await partial.commit()
  const backup = await keepRecord(core, recordOf(metadata, { ...written, signedBy: keyId(core.signing.current) }))
  core.log.info(
    { organizationId, backupId: id, type, size: backup.size, warnings: backup.warnings.length },
    'Backup created'
  )
  return backup
}

/** Backups are listed by time, so one that was made before a clock was set back stands above those made after it. */
async function clockWarnings({ catalog }: Core, organizationId: string, timestamp: Date): Promise<string[]> {
  const {
    backups: [newest]
  } = await catalog.list(organizationId, { limit: 1 })
  if (newest === undefined || newest.timestamp <= timestamp.toISOString()) return []
  return [
    `The clock has gone back: an earlier backup is dated ${newest.timestamp} and is listed as if it were newer than this one.`
  ]
}

async function addDatabase(
  writer: ArchiveWriter,
  { settings, log }: Core,
  source: DatabaseSource,
  listing: Promise<Listing>,
  job: JobContext
): Promise<DatabasePart & { sqlBytes: number }> {
  job.progress.phase('database')
  let sqlBytes = 0
  const unlisted = new AbortController()
  listing.catch((error: unknown) => {
    unlisted.abort(error)
  })
  let describing: Promise<DatabasePart> | null = null
  async function describe(): Promise<DatabasePart> {
    describing ??= source.describe(job.signal)
    return await describing
  }
  await writer.addDatabase(
    gzip(await source.dump(job.signal), {
      compression: settings.compression,
      serverMajor: source.serverMajor,
      onText(bytes) {
        // Beside the dump, and not before it has the snapshot, which a query that fails would end for both. Awaited
        // below.
        describe().catch(() => {})
        unlisted.signal.throwIfAborted()
        sqlBytes += bytes
        job.progress.advance(bytes)
      },
      onFallback: reason => {
        log.warn({ reason }, 'igzip has failed: the dump is compressed more slowly. Repair or remove the isal package')
      }
    })
  )
  const part = await describe()
  // One organization's share of the database's size can't be told; what it dumped to comes near it.
  if (part.database?.sizeBytes === 0) part.database.sizeBytes = sqlBytes
  return { ...part, sqlBytes }
}

function describeDatabase(part: DatabasePart | null): Omit<DatabasePart, 'warnings'> {
  return {
    databaseScope: part?.databaseScope ?? null,
    postgresVersion: part?.postgresVersion ?? null,
    pgDumpVersion: part?.pgDumpVersion ?? null,
    roles: part?.roles ?? [],
    extensions: part?.extensions ?? [],
    schemaFingerprint: part?.schemaFingerprint ?? null,
    ...(part?.schemaProof === undefined ? {} : { schemaProof: part.schemaProof }),
    database: part?.database ?? null,
    tables: part?.tables ?? []
  }
}
