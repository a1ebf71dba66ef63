import { randomUUID } from 'node:crypto'
import { openArchive, type Archive } from '../archive/reader.js'
import { getBackup } from '../backup/get.js'
import { requireTrusted } from '../backup/require-trusted.js'
import { verifyChecksum } from '../backup/verify.js'
import type { Core } from '../core.js'
import type { ScratchNames } from '../database/load/scratch.js'
import { findPostgresTools } from '../database/postgres-tools.js'
import { readTenancyFile } from '../database/tenancy/tenancy-file.js'
import { AppError } from '../errors.js'
import type { JobContext } from '../jobs/context.js'
import { createCheckpointBackup } from './checkpoint-backup.js'
import { commit, endRehearsal, prepare } from './coordinator.js'
import { undoableRestore } from './history.js'
import { createJournal, type Begin } from './journal.js'
import { requireNoOthers, type DatabaseMode } from './database-mode.js'
import { preflight, type Preflight } from './preflight.js'
import { dropEarlierCheckpoints, finishRestores, releaseCheckpoints } from './recover.js'
import type { RestoreReport, RestoreResult } from './report.js'
import { restorableParts } from './restorable-parts.js'
import { openTransaction, type Inputs } from './transaction.js'

/** A report is kept in a journal and shown in a list; links can be left out by the thousands. */
const mostBackupWarnings = 100

export interface RestoreRequest {
  /** Made up unless given. */
  restoreId?: string
  organizationId: string
  backupId: string
  /** Check the archive's own SHA-256 first. Its entries are checked as they are read in any case. */
  validateChecksum: boolean
  /** Keep the state before as a checkpoint, so that the restore can be undone. */
  rollbackOnFailure: boolean
  dryRun: boolean
  startedBy: string
  /** The backup is the checkpoint of this restore, which is being undone: it is kept until that is done. */
  undoOf?: string
}

/**
 * Puts a backup back as one transaction over database and files, or rehearses that: everything but the commit, reported
 * as a diff. PROTOCOL.md says what happens when it is cut off at any point.
 * @throws AppError: whatever the reason, the state is as it was before, except for RESTORE_UNFINISHED, which the next
 * start of the service resolves
 */
export async function restoreBackup(core: Core, request: RestoreRequest, job: JobContext): Promise<RestoreResult> {
  const started = performance.now()
  const { organizationId, backupId } = request
  const backup = await getBackup(core, { organizationId, backupId })
  const opened = await core.repository.openArchive(organizationId, backupId)
  if (opened === null) throw new AppError('ARCHIVE_MISSING', 'archive-gone', 'The archive of this backup is gone.')
  try {
    if (request.validateChecksum) await verifyChecksum(opened, backup, job)
    job.progress.phase('plan')
    const archive = await openArchive(opened.handle, opened.size, organizationId, core.signing)
    requireTrusted(core, archive)
    if (archive.metadata.id !== backupId)
      throw new AppError('ARCHIVE_INVALID', 'archive-of-another-backup', 'The archive is that of another backup.')
    return await restoreArchive(core, request, { archive, started }, job)
  } finally {
    await opened.handle.close()
  }
}

interface Found {
  archive: Archive
  started: number
}

async function restoreArchive(
  core: Core,
  request: RestoreRequest,
  { archive, started }: Found,
  job: JobContext
): Promise<RestoreResult> {
  const { organizationId, backupId, dryRun } = request
  const { restoreId = randomUUID() } = request
  const keepCheckpoint = request.rollbackOnFailure && !dryRun
  const parts = restorableParts(core, archive)
  // What an earlier restore left half done, when it could go neither way, must not be built upon.
  await finishRestores(
    core,
    archive.metadata.databaseScope === 'instance' ? await core.repository.organizations() : [organizationId]
  )
  const found = await preflight(core, { organizationId, archive, keepCheckpoint: request.rollbackOnFailure, ...parts })
  found.warnings.push(...(await lastChanceWarnings(core, request)))
  // Without a checkpoint to keep there is room for the live state and the new one, and not for a third.
  if (!dryRun && !request.rollbackOnFailure) await releaseCheckpoints(core, organizationId, request.undoOf ?? null)

  const database = found.mode === null ? null : namesOf(core, found.mode, restoreId)
  // A rehearsal makes one too, since a restore can be refused for it, and keeps none.
  const checkpointBackupId =
    request.rollbackOnFailure && database !== null && database.mode !== 'swap' ? randomUUID() : null
  const inputs = await inputsOf(core, archive, parts, found, dryRun, job)
  job.progress.total(
    (archive.database?.size ?? 0) + (parts.files ? archive.files.reduce((sum, { size }) => sum + size, 0) : 0)
  )
  const journal = await createJournal(await core.repository.journalFolder(organizationId, { make: true }), {
    restoreId,
    backupId,
    organizationId,
    startedBy: request.startedBy,
    dryRun,
    keepCheckpoint,
    database,
    files: parts.files,
    mounted: found.mounted,
    checkpointBackupId
  })
  try {
    const transaction = openTransaction(core, journal, inputs)
    const prepared = await prepare(transaction, dryRun, job, async () => {
      if (checkpointBackupId === null) return
      const scope = found.mode === 'merge' ? 'organization' : 'instance'
      const scratch = database?.mode === 'merge' ? (database.trial as ScratchNames) : null
      await createCheckpointBackup(
        core,
        {
          id: checkpointBackupId,
          organizationId,
          restoreId,
          startedBy: request.startedBy,
          files: parts.files,
          dryRun,
          scope,
          scratch
        },
        job
      )
    })
    const report = (): RestoreReport => completeReport(core, archive, prepared, found, { started, keepCheckpoint })
    if (dryRun) {
      const rehearsed = report()
      await endRehearsal(transaction, rehearsed)
      return answer(request, restoreId, rehearsed)
    }
    job.progress.uncancellable()
    job.progress.phase('commit')
    const done = await commit(transaction, report, async () => {
      if (found.mode === 'swap' && found.server?.live !== null) await requireNoOthers(core, organizationId)
    })
    core.log.info({ organizationId, backupId, restoreId, outageMs: done.outageMs }, 'Restore committed')
    const keep = keepCheckpoint ? restoreId : (request.undoOf ?? null)
    // To drop a database PostgreSQL writes a checkpoint of its own, and files are many. A caller that wants none kept
    // may need the room at once, and a checkpoint that is a backup is seen in the list.
    if (keepCheckpoint && checkpointBackupId === null)
      await job.followUp({ kind: 'release-checkpoints', params: { organizationId, keep } })
    else await dropEarlierCheckpoints(core, organizationId, keep)
    return answer(request, restoreId, done)
  } finally {
    await journal.close()
  }
}

/** There is one checkpoint at most: what could be undone until now can't be any more, a surprise at the second try. */
async function lastChanceWarnings(core: Core, { organizationId, undoOf }: RestoreRequest): Promise<string[]> {
  const undoable = await undoableRestore(core, organizationId)
  if (undoable === null || undoable.restoreId === undoOf) return []
  return [
    `Only the newest restore can be undone: with this one, restore ${undoable.restoreId} of ${undoable.startedAt} can't be any more, and what it replaced is in no checkpoint.`
  ]
}

async function inputsOf(
  core: Core,
  archive: Archive,
  parts: { database: boolean; files: boolean },
  { server }: Preflight,
  dryRun: boolean,
  job: JobContext
): Promise<Inputs> {
  const onBytes = (bytes: number) => {
    job.progress.advance(bytes)
  }
  return {
    database:
      server === null || archive.database === null
        ? null
        : {
            archive,
            dump: archive.database,
            tools: await findPostgresTools({ binDir: core.settings.pgBinDir, serverMajor: server.major }),
            server,
            owner: server.live?.owner ?? core.database.connection().user,
            onBytes,
            loadTimeoutMs: core.settings.loadTimeoutMs,
            tenantTable: core.settings.tenantTable,
            replacesOthers: core.settings.databaseScope === 'instance',
            tenancy: await readTenancyFile(core.settings.tenancyFile),
            dryRun
          },
    files: parts.files ? { archive, storage: core.storage, onBytes } : null
  }
}

function namesOf(core: Core, mode: DatabaseMode, restoreId: string): NonNullable<Begin['database']> {
  if (mode === 'in-place') return { mode }
  const suffix = restoreId.replaceAll('-', '')
  const names = { scratch: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
  if (mode === 'merge')
    return { mode, ...names, trial: { database: `${names.scratch}_trial`, loader: `${names.loader}_trial` } }
  return { mode, ...names, live: core.database.connection().database, checkpoint: `dab_checkpoint_${suffix}` }
}

function completeReport(
  core: Core,
  archive: Archive,
  prepared: Partial<RestoreReport>,
  { disk, missingRoles, missingExtensions, mounted, warnings }: Preflight,
  { started, keepCheckpoint }: { started: number; keepCheckpoint: boolean }
): RestoreReport {
  const elsewhere = archive.metadata.type === 'database' ? null : core.storage.describe(archive.metadata.organizationId)
  return {
    database:
      prepared.database === undefined || prepared.database === null
        ? null
        : { ...prepared.database, missingRoles, missingExtensions },
    files: prepared.files ?? null,
    disk,
    durationMs: Math.round(performance.now() - started),
    ...(keepCheckpoint
      ? { checkpointUntil: new Date(Date.now() + core.settings.checkpointRetentionMs).toISOString() }
      : {}),
    warnings: [
      ...(archive.trusted
        ? []
        : [
            'The archive carries no signature of this installation: its maker, or a later hand, decides what is restored.'
          ]),
      ...warnings,
      ...(prepared.warnings ?? []),
      ...(mounted
        ? [
            "The organization's upload folder is a mount of its own: its files are exchanged one by one, so for a moment only some of them are there."
          ]
        : []),
      ...(elsewhere === null
        ? []
        : [
            "The uploaded files are on an SMB share: put them back with the share's own backup, as files/SMB_BACKUP_INFO.txt in the archive says."
          ]),
      ...backupWarnings(archive.metadata.warnings)
    ]
  }
}

/**
 * What the backup lacks the restore can't bring, and who restores it may be another than who read the backup's answer.
 */
function backupWarnings(warnings: readonly string[]): string[] {
  const told = warnings.slice(0, mostBackupWarnings).map(warning => `The backup warned: ${warning}`)
  const left = warnings.length - told.length
  return left === 0
    ? told
    : [
        ...told,
        `The backup has ${left} more ${left === 1 ? 'warning' : 'warnings'}: see ${left === 1 ? 'it' : 'them'} with GET /api/backup/{backupId}.`
      ]
}

function answer({ backupId, dryRun }: RestoreRequest, restoreId: string, report: RestoreReport): RestoreResult {
  return {
    object: 'restore',
    message: dryRun ? 'Dry run completed successfully' : 'Restore completed successfully',
    backupId,
    restoreId,
    restoredAt: new Date().toISOString(),
    dryRun,
    report
  }
}
