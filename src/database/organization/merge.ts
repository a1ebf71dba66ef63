import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { databaseError, openSql, withSql, type Connection } from '../connection/connection.js'
import { applyChanges, conflictError } from './apply.js'
import { watchBlockers, type BlockerWatch } from './blockers.js'
import { brokenConstraints } from './constraints.js'
import { foreignRows, refuseConflicts, takenValues } from './conflicts.js'
import { planChanges, type TableChange } from './diff.js'
import { compareSchemas, type MergeTable } from './drift.js'
import { planExchanges, refuseExchanges, type ExchangePlan } from './exchanges.js'
import { heldRows } from './held.js'
import { advisoryLock, loadRows, sampleSettings } from './load.js'
import { planNewerTables } from './newer-tables.js'
import { pairReplacements } from './pairing.js'
import { rehearseChanges } from './rehearse.js'
import { mayLockRows, requirePrivileges, requireTemporaryTables } from './privileges.js'
import { transferSettings, workSettings } from './rows.js'
import { lockWaitMs } from './schema.js'
import { planStages } from './stages.js'
import { verifyMerge } from './verify.js'
import type { PostgresTools } from '../postgres-tools.js'
import { readLoadPath, usePath } from '../search-path.js'
import { mergeSettings, readValueSettings, settingStatements } from '../value-settings.js'
import { reserveSession } from '../connection/reserve-session.js'
import type { Tenancy } from '../tenancy/tenancy-file.js'
import { readCatalog } from '../tenancy/tenant-catalog.js'
import { readTenantGraph } from '../tenancy/tenant-graph.js'
import { isTenant, type TenantGraph } from '../tenancy/tenant-table.js'
import { quoteIdentifier } from '../identifiers.js'
import { checkOwnership, requireTenancy } from '../tenancy/tenant-ownership.js'
import { ownRow } from '../tenancy/tenant-rows.js'
import { advanceSequences, laggingSequences } from '../tenancy/tenant-sequences.js'
import type { TableRows } from '../table-rows.js'

export interface MergeOptions {
  /** The live database. */
  connection: Connection
  /** A database of the archive's alone, as the role that loaded it: no SQL of the archive runs in the live one. */
  scratch: Connection
  tools: PostgresTools
  organizationId: string
  tenantTable: string
  tenancy?: Tenancy | null
  /** The tables that the archive's metadata lists. */
  tables: readonly TableRows[]
  /** A rehearsal does all that apply() does too, and takes it back at once; apply() is refused then. */
  dryRun: boolean
  /** Statements that apply() ends with. */
  marker?: string
  signal: AbortSignal
}

export interface OrganizationMerge {
  /** The open transaction; the caller may write into it (a marker) after apply(). */
  readonly session: postgres.ReservedSql
  /** What apply() does, and no more. */
  readonly changes: TableChange[]
  /** Differences of the schemas that do not matter, by table label. */
  readonly notes: ReadonlyMap<string, string>
  /** Of a rehearsal that could not be led to its end. */
  readonly warnings: readonly string[]
  /** Makes the changes and proves them; the transaction stays open. @throws AppError RESTORE_CONFLICT, DATABASE_BUSY */
  apply(): Promise<void>
  /**
   * When the connection breaks meanwhile the error does not tell whether it was committed: the caller's marker does.
   */
  commit(): Promise<void>
  /** Idempotent, also after a failure of any kind. */
  rollback(): Promise<void>
}

/**
 * Compares an archive of one organization with the live database, in a transaction that stays open for apply() and
 * commit(). Other organizations read and write meanwhile.
 * @throws AppError TENANCY_UNSUPPORTED, TENANCY_VIOLATION, SCHEMA_DRIFT, RESTORE_CONFLICT, ARCHIVE_INVALID,
 * DATABASE_BUSY, …
 */
export async function openMerge(options: MergeOptions): Promise<OrganizationMerge> {
  const { connection, organizationId, dryRun, signal } = options
  // A session of its own, so that its statistics are this transaction's.
  const client = openSql(connection)
  let watch: BlockerWatch | null = null
  const close = async (): Promise<void> => {
    await client.end({ timeout: 0 })
    await watch?.stop()
  }
  const failure = (error: unknown): unknown =>
    databaseError(conflictError(watch === null ? error : watch.explain(error)))
  const onAbort = (): void => {
    void close()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  const rollback = async (): Promise<void> => {
    signal.removeEventListener('abort', onAbort)
    await close()
  }
  try {
    signal.throwIfAborted()
    const session = await reserveSession(client)
    const [own] = await session<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`
    watch = watchBlockers(connection, own.pid)
    const { graph, dumped, tables, notes, changes, exchanges } = await prepare(session, options)
    const change = async (): Promise<void> => {
      const expected = await applyChanges(session, graph, tables, exchanges.changes, exchanges.parkings)
      await verifyMerge(session, graph, tables, organizationId, expected)
      if (options.marker !== undefined) await session.unsafe(options.marker)
    }
    const warnings = dryRun ? await rehearseChanges(session, change) : []
    return {
      session,
      changes,
      notes,
      warnings,
      async apply() {
        if (dryRun) throw new AppError('INTERNAL_ERROR', 'rehearsal-applied', "A rehearsal can't be applied.")
        await within(signal, failure, async () => {
          // Nothing takes a sequence back, so a rehearsal leaves them alone.
          await advanceSequences(session, oidsOf(dumped), highestIn(session, dumped))
          await change()
        })
      },
      async commit() {
        signal.throwIfAborted()
        // From here on it can't be called off any more.
        signal.removeEventListener('abort', onAbort)
        try {
          await session.unsafe('COMMIT')
        } catch (error) {
          throw failure(error)
        } finally {
          await close()
        }
      },
      rollback
    }
  } catch (error) {
    await rollback()
    signal.throwIfAborted()
    throw failure(error)
  }
}

async function within(
  signal: AbortSignal,
  failure: (error: unknown) => unknown,
  work: () => Promise<void>
): Promise<void> {
  try {
    signal.throwIfAborted()
    await work()
  } catch (error) {
    signal.throwIfAborted()
    throw failure(error)
  }
}

interface Prepared {
  graph: TenantGraph
  /** Those of the archive. */
  dumped: MergeTable[]
  /** Those, and newer ones whose rows follow rows that go. */
  tables: MergeTable[]
  notes: Map<string, string>
  changes: TableChange[]
  exchanges: ExchangePlan
}

async function prepare(session: postgres.ReservedSql, options: MergeOptions): Promise<Prepared> {
  const { scratch, tools, organizationId, tenantTable, tenancy, dryRun, signal } = options
  // Writing a definition out takes a table's lock too (pg_get_expr and its like), also before the transaction begins.
  await session.unsafe(`SET lock_timeout = ${lockWaitMs}`)
  const { path } = await readLoadPath(session)
  await session.unsafe(`${transferSettings} ${usePath(path)} ${workSettings} ${sampleSettings}`)
  // Bytes as they are, where the database does not know what they mean: in UTF-8 they would be checked.
  await session.unsafe(
    "SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE current_setting('server_encoding') = 'SQL_ASCII'"
  )
  await session.unsafe(settingStatements(mergeSettings(await readValueSettings(options.connection))))
  // Each statement sees what others have committed, so the proof before COMMIT sees it too.
  await session.unsafe(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = ${lockWaitMs}`)
  await requireTemporaryTables(session)
  const graph = await lockedGraph(session, { tenantTable, tenancy })
  requireTenancy(graph)
  if (!dryRun) {
    await session.unsafe(advisoryLock(organizationId))
    // Without the right to, requirePrivileges refuses the restore, together with whatever else is missing.
    if (await mayLockRows(session, graph.root!)) {
      await session.unsafe(`SELECT ${ownRow(graph, organizationId)} FOR UPDATE`)
    }
  }
  const archived = await withSql(scratch, {}, async sql => await readCatalog(sql))
  const { tables: dumped, notes } = compareSchemas(graph, archived, options.tables)
  await loadRows(session, { scratch, path, tools }, dumped, signal)
  refuseConflicts(await foreignRows(session, graph, dumped, organizationId))
  await checkOwnership(session, graph, organizationId)
  signal.throwIfAborted()
  const planned = await planChanges(session, graph, dumped, organizationId)
  const newer = await planNewerTables(session, graph, dumped, organizationId)
  const merged = [...dumped, ...newer.tables]
  const changes = await pairReplacements(session, graph, merged, [...planned, ...newer.changes])
  for (const { table } of newer.changes) {
    notes.set(
      table,
      'The backup does not have this table: rows that hang on rows which go follow them, as their keys say (ON DELETE). The others are left as they are.'
    )
  }
  const refusals = [
    ...(await takenValues(session, graph, merged, changes, organizationId)),
    // What is left of a newer table's rows no backup has held before.
    ...(await brokenConstraints(session, dryRun ? merged : newer.tables, changes))
  ]
  const { changes: exchanged, parkings, conflicts } = await planExchanges(session, graph, merged, changes)
  const { tables, changes: written } = await planStages(session, graph, merged, exchanged, organizationId)
  refuseConflicts([...refusals, ...(await heldRows(session, graph, tables, written, organizationId))])
  refuseExchanges(conflicts)
  const exchanges = { changes: written, parkings }
  await requirePrivileges(
    session,
    graph,
    tables,
    exchanges,
    async () => await laggingSequences(session, oidsOf(dumped), highestIn(session, dumped))
  )
  return { graph, dumped, tables, notes, changes, exchanges }
}

/** The graph of tables that can't change any more until the transaction ends. */
async function lockedGraph(
  session: postgres.ReservedSql,
  options: { tenantTable: string; tenancy?: Tenancy | null }
): Promise<TenantGraph> {
  const before = await readTenantGraph(session, options)
  const sources = before.tables.filter(table => isTenant(table) && table.readable).map(({ source }) => source)
  if (sources.length > 0) await session.unsafe(`LOCK TABLE ${sources.join(', ')} IN ACCESS SHARE MODE`)
  return await readTenantGraph(session, options)
}

function oidsOf(tables: readonly MergeTable[]): number[] {
  return tables.map(({ table }) => table.oid)
}

function highestIn(
  session: postgres.Sql,
  tables: readonly MergeTable[]
): (oid: number, column: string) => Promise<string | null> {
  return async (oid, column) => await highestValue(session, tables, oid, column)
}

async function highestValue(
  session: postgres.Sql,
  tables: readonly MergeTable[],
  oid: number,
  column: string
): Promise<string | null> {
  const { table, columns, archive } = tables.find(merged => merged.table.oid === oid)!
  const type = table.columns.find(({ name }) => name === column)!.type
  if (!columns.includes(column) || !['smallint', 'integer', 'bigint'].includes(type)) return null
  const [row] = await session.unsafe<Array<{ highest: string | null }>>(
    `SELECT max(${quoteIdentifier(column)})::text AS highest FROM ${archive}`
  )
  return row!.highest
}
