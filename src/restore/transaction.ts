import { deleteBackup } from '../backup/delete.js'
import type { Core } from '../core.js'
import { createDatabaseParticipant } from './database-participant.js'
import type { Transaction } from './coordinator.js'
import { createFilesParticipant, type FilesInput } from './files-participant.js'
import { createInPlaceParticipant, type InPlaceInput } from './in-place-participant.js'
import type { Journal } from './journal.js'
import { createMergeParticipant, type MergeInput } from './merge-participant.js'
import type { Participant } from './participant.js'

/** What the participants of a new restore start from; after a crash there is nothing left to prepare. */
export interface Inputs {
  database: (MergeInput & InPlaceInput) | null
  files: FilesInput | null
}

/**
 * The participants that a journal names, in the order of their commits: first the one that can be refused. A swap can
 * be, by others' sessions, and can be taken back like the renames of the files; a transaction inside the live database
 * can't be taken back once it is committed, so it comes last.
 */
export function openTransaction(
  core: Core,
  journal: Journal,
  inputs: Inputs = { database: null, files: null }
): Transaction {
  const { organizationId, restoreId, database, files, mounted = false, checkpointBackupId } = journal.begin
  const participants: Participant[] = files
    ? [createFilesParticipant({ uploadDir: core.settings.uploadDir, organizationId, restoreId, mounted }, inputs.files)]
    : []
  if (database?.mode === 'swap') {
    participants.unshift(createDatabaseParticipant(core.database.connection(), journal, database, inputs.database))
  } else if (database?.mode === 'in-place') {
    participants.push(createInPlaceParticipant(core.database.connection(), restoreId, inputs.database))
  } else if (database?.mode === 'merge') {
    const names = { database: database.scratch, loader: database.loader }
    participants.push(
      createMergeParticipant(
        core.database.connection(),
        { organizationId, restoreId, names, trial: database.trial ?? null },
        inputs.database
      )
    )
  }
  return {
    journal,
    log: core.log,
    participants,
    async removeCheckpointBackup() {
      if (checkpointBackupId === null || (await core.catalog.get(organizationId, checkpointBackupId)) === null) return
      await deleteBackup(core, { organizationId, backupId: checkpointBackupId })
    }
  }
}
