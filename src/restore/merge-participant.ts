import type { Connection } from '../database/connection/connection.js'
import { markerStatements, removeMarker } from '../database/load/marker.js'
import { openMerge, type OrganizationMerge } from '../database/organization/merge.js'
import { dropScratch, type ScratchNames } from '../database/load/scratch.js'
import type { Tenancy } from '../database/tenancy/tenancy-file.js'
import type { DatabaseInput } from './database-participant.js'
import { endInsideLive } from './inside-live.js'
import { loadBeside } from './load-beside.js'
import { withLoadThread } from './load-thread.js'
import type { Participant } from './participant.js'

export interface MergeInput extends DatabaseInput {
  tenantTable: string
  tenancy: Tenancy | null
  dryRun: boolean
}

export interface MergeTarget {
  organizationId: string
  restoreId: string
  names: ScratchNames
  /** Of the checkpoint's trial, which may have left something. */
  trial: ScratchNames | null
}

/**
 * Makes one organization's rows what the archive says while the others read and write: the dump is loaded into a
 * scratch database by its caged role, and only rows go from there into one transaction of the live database. A marker
 * row of that transaction tells after a crash how it ended; it commits last, since what it has committed can't be taken
 * back.
 * @param input what to restore; null after a crash, when the transaction is gone with its session
 */
export function createMergeParticipant(
  connection: Connection,
  { organizationId, restoreId, names, trial }: MergeTarget,
  input: MergeInput | null
): Participant {
  let scratch: Connection | null = null
  let merge: OrganizationMerge | null = null
  let warnings: string[] = []

  async function dropAll(): Promise<void> {
    for (const made of [names, trial]) if (made !== null) await dropScratch(connection, made)
  }

  return {
    name: 'database',

    prepare: async signal =>
      await withLoadThread(async load => {
        ;({ scratch, warnings } = await loadBeside(connection, names, input as MergeInput, load, signal))
      }),

    // Only now: until the commit writers of the organization, and where tables have triggers all writers to them, wait.
    async ready(signal) {
      const { archive, tools, tenantTable, tenancy, dryRun } = input as MergeInput
      const marker = markerStatements(restoreId)
      merge = await openMerge({
        connection,
        scratch: scratch as Connection,
        tools,
        organizationId,
        tenantTable,
        tenancy,
        tables: archive.metadata.tables,
        dryRun,
        marker,
        signal
      })
      if (!dryRun) await merge.apply()
      warnings = [...warnings, ...merge.warnings, ...[...merge.notes].map(([table, note]) => `${table}: ${note}`)]
    },

    async report() {
      const { changes, notes } = merge as OrganizationMerge
      const tables = changes.map(change => ({
        ...change,
        ...(notes.has(change.table) ? { note: notes.get(change.table) } : {})
      }))
      return {
        database: { mode: 'merge', scope: 'organization', tables, missingRoles: [], missingExtensions: [] },
        warnings
      }
    },

    ...endInsideLive(connection, restoreId, input === null, () => merge),

    async discard() {
      await merge?.rollback()
      await dropAll()
    },

    async settle() {
      await dropAll()
      await removeMarker(connection, restoreId)
    },

    async release() {
      await dropAll()
      await removeMarker(connection, restoreId)
    }
  }
}
