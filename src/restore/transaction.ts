import type { Core } from '../core.js'
import { createDatabaseParticipant, type DatabaseInput } from './database-participant.js'
import type { Transaction } from './coordinator.js'
import { createFilesParticipant, type FilesInput } from './files-participant.js'
import type { Journal } from './journal.js'

/** What the participants of a new restore start from; after a crash there is nothing left to prepare. */
export interface Inputs { database: DatabaseInput | null, files: FilesInput | null }

/** The participants that a journal names. The database comes first: it can be refused by others' sessions, a rename can't. */
export function openTransaction (core: Core, journal: Journal, inputs: Inputs = { database: null, files: null }): Transaction {
  const { organizationId, restoreId, database, files } = journal.begin
  return {
    journal,
    log: core.log,
    participants: [
      ...(database === null ? [] : [createDatabaseParticipant(core.database.connection(), journal, inputs.database)]),
      ...(files ? [createFilesParticipant({ uploadDir: core.settings.uploadDir, organizationId, restoreId }, inputs.files)] : [])
    ]
  }
}
