import type { ArchiveEntry } from '../archive/entry-table.js'
import type { Archive } from '../archive/reader.js'
import type { TableRows } from '../database/table-rows.js'
import { databaseError, trustedPath, withSql, type Connection } from '../database/connection/connection.js'
import { applyDatabaseDetails, readDatabaseDetails, type DatabaseDetails } from '../database/database-details.js'
import { labelOf } from '../database/identifiers.js'
import { limitsFor, withinLimits } from '../database/load/load-limits.js'
import { databaseOid, withMaintenance } from '../database/maintenance.js'
import type { PostgresTools } from '../database/postgres-tools.js'
import type { ServerFacts } from '../database/server-facts.js'
import { adoptScratch, createScratch, dropDatabase, dropScratch } from '../database/load/scratch.js'
import { renameDatabases, requireEndable } from '../database/swap.js'
import { verifyLoad } from '../database/load/verify-load.js'
import { AppError } from '../errors.js'
import { compareCode } from './code-diff.js'
import { compareDatabases } from './database-diff.js'
import type { Journal, SwapNames } from './journal.js'
import { settingsToLoad } from './load-settings.js'
import { withLoadThread } from './load-thread.js'
import type { Participant } from './participant.js'
import { fitsOneTransaction } from './shortfalls.js'

export interface DatabaseInput {
  archive: Archive
  dump: ArchiveEntry
  tools: PostgresTools
  server: ServerFacts
  /** Role that shall own the restored database. */
  owner: string
  onBytes: (bytes: number) => void
  /** How long the load may take; null: what follows from the dump's size. */
  loadTimeoutMs: number | null
}

/**
 * Replaces the whole database: the dump is loaded into a scratch database beside the live one, and the commit exchanges
 * their names in one transaction. Which OID stands behind which name says how far it has come.
 * @param input what to restore; null after a crash, when there is nothing to prepare any more
 */
export function createDatabaseParticipant(
  connection: Connection,
  journal: Journal,
  { live, scratch, checkpoint, loader }: SwapNames,
  input: DatabaseInput | null
): Participant {
  const names = { database: scratch, loader }
  let loaded: TableRows[] = []
  let warnings: string[] = []

  /** OIDs by what they are to this restore. */
  async function look(): Promise<{ liveOid: string | null; checkpointOid: string | null; isCommitted: boolean }> {
    return await withMaintenance(connection, async sql => {
      const liveOid = await databaseOid(sql, live)
      const { scratchOid } = journal.facts()
      return {
        liveOid,
        checkpointOid: await databaseOid(sql, checkpoint),
        isCommitted: scratchOid !== undefined && liveOid === scratchOid
      }
    })
  }

  /** OID of the database from before; null when there was none. */
  function formerOid(): string | null {
    return journal.facts().liveOid ?? null
  }

  return {
    name: 'database',

    prepare: async signal =>
      await withLoadThread(async load => {
        const { archive, dump, tools, server, owner, onBytes, loadTimeoutMs } = input as DatabaseInput
        const { metadata, trusted } = archive
        const archived = metadata.database as DatabaseDetails
        const { liveOid } = await look()
        const kept = trusted ? archived : { ...archived, ...nothingOfAStranger }
        const details =
          (metadata.databaseScope === 'instance' && trusted) || liveOid === null
            ? kept
            : await keepLiveDetails(connection, live, kept)
        await journal.note({ liveOid })
        const limits = limitsFor(archived.sizeBytes, { dumpBytes: dump.size, trusted, timeoutMs: loadTimeoutMs })
        const created = await createScratch(connection, names, details, limits.maxBytes)
        await journal.note({ scratchOid: created.oid })
        const { warnings: refused, ...settings } = await settingsToLoad(connection, archive, scratch)
        await withinLimits(
          connection,
          scratch,
          limits,
          signal,
          async signal =>
            await load(connection, tools, {
              archive,
              dump,
              onBytes,
              database: scratch,
              loader: created.loader,
              hasDefaultPrivileges: archived.defaultPrivileges.length > 0,
              inOneTransaction: fitsOneTransaction(metadata, server),
              settings,
              signal
            })
        )
        loaded = await verifyLoad(
          { ...connection, database: scratch, ...created.loader },
          archived,
          metadata.tables,
          signal
        )
        await adoptScratch(connection, names, created.loader, { owner, searchPath: archived.searchPath })
        const applied = await withSql(
          connection,
          { database: scratch, searchPath: trustedPath },
          async sql => await applyDatabaseDetails(sql, scratch, details)
        ).catch((error: unknown) => {
          throw databaseError(error)
        })
        warnings = [...created.warnings, ...refused, ...applied]
      }),

    async ready() {
      if (formerOid() !== null) await requireEndable(connection, live)
    },

    async report(compare) {
      const { trusted, metadata } = (input as DatabaseInput).archive
      const archived = metadata.database as DatabaseDetails
      const closed = compare && formerOid() !== null ? await whyClosed(connection, live) : null
      const compares = compare && formerOid() !== null && closed === null
      const tables = compares
        ? await compareDatabases(connection, {
            live,
            restored: scratch,
            searchPath: trusted ? archived.searchPath : undefined
          })
        : loaded.map(({ schema, name, rows }) => ({ table: labelOf({ schema, name }), rows }))
      const code = compares ? { code: await compareCode(connection, { live, restored: scratch }) } : {}
      return {
        database: { mode: 'swap', scope: 'instance', tables, ...code, missingRoles: [], missingExtensions: [] },
        warnings:
          closed === null
            ? warnings
            : [
                ...warnings,
                `What would change in the live database can't be told, since it lets the service not in: ${closed}`
              ]
      }
    },

    async commit() {
      const { liveOid, isCommitted } = await look()
      if (isCommitted) return 0
      if (liveOid !== formerOid()) {
        throw new AppError(
          'RESTORE_CONFLICT',
          'database-replaced',
          'Another program has replaced the database while it was being restored.',
          {
            remedy: 'Restore again.'
          }
        )
      }
      return await renameDatabases(connection, [
        ...(liveOid === null ? [] : [{ from: live, to: checkpoint }]),
        { from: scratch, to: live }
      ])
    },

    live: async () => ((await look()).isCommitted ? 'restored' : 'former'),

    isFinal: async () => false,

    async requireUndoable() {
      const { checkpointOid, isCommitted } = await look()
      if (!isCommitted) {
        throw new AppError(
          'RESTORE_NOT_UNDOABLE',
          'database-replaced',
          'The database is no longer the one that this restore put there.',
          {
            remedy: 'Undo the later restore first, or restore a backup.'
          }
        )
      }
      if (checkpointOid !== formerOid()) {
        throw new AppError(
          'RESTORE_NOT_UNDOABLE',
          'database-checkpoint-gone',
          'The checkpoint of the database from before this restore is gone.'
        )
      }
    },

    async revert() {
      const { checkpointOid, isCommitted } = await look()
      if (!isCommitted) return
      if (checkpointOid !== formerOid()) {
        throw new AppError(
          'RESTORE_UNFINISHED',
          'former-database-gone',
          'The database from before the restore is gone, so the restored one stays.',
          {
            remedy: `Bring the database ${checkpoint} back under its name, then restart the service.`
          }
        )
      }
      await renameDatabases(connection, [
        { from: live, to: scratch },
        ...(checkpointOid === null ? [] : [{ from: checkpoint, to: live }])
      ])
    },

    async discard() {
      await dropScratch(connection, names)
    },

    async settle() {},

    async release() {
      await withMaintenance(connection, async sql => await dropDatabase(sql, checkpoint))
    }
  }
}

/**
 * A database that can't be opened can be exchanged all the same, and a dry run is refused for no more than the restore
 * is.
 */
async function whyClosed(connection: Connection, live: string): Promise<string | null> {
  try {
    await withSql(connection, { database: live }, async sql => await sql`SELECT`)
    return null
  } catch (error) {
    const { code, message } = databaseError(error)
    if (code === 'DATABASE_UNAVAILABLE') return message
    throw databaseError(error)
  }
}

/**
 * What an archive that this installation has not signed says of these is put back by our own user, so it is not
 * listened to.
 */
const nothingOfAStranger = { settings: [], privileges: null, owners: [], defaultPrivileges: [], connectionLimit: -1 }

/**
 * Settings, privileges and locale are the database's and the operator's: an organization's archive does not bring them.
 */
async function keepLiveDetails(
  connection: Connection,
  live: string,
  archived: DatabaseDetails
): Promise<DatabaseDetails> {
  try {
    const details = await withSql(connection, { database: live }, async sql => await readDatabaseDetails(sql))
    return { ...details, owners: archived.owners, defaultPrivileges: archived.defaultPrivileges }
  } catch (error) {
    throw databaseError(error)
  }
}
