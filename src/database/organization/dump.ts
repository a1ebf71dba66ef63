import type postgres from 'postgres'
import { databaseError, type Connection } from '../connection/connection.js'
import { countedRows } from './named-rows.js'
import { othersPartitions } from './partitions.js'
import { startRows, workSettings, type RowsProgram } from './rows.js'
import { dumpSchema, type SchemaScript } from './schema.js'
import type { PostgresTools } from '../postgres-tools.js'
import { usePath } from '../search-path.js'
import type { Snapshot } from '../snapshot.js'
import { organizationNotFound } from '../tenancy/scope.js'
import type { Tenancy } from '../tenancy/tenancy-file.js'
import { readTenantGraph } from '../tenancy/tenant-graph.js'
import { isTenant, type TenantGraph } from '../tenancy/tenant-table.js'
import { checkOwnership, requireTenancy } from '../tenancy/tenant-ownership.js'
import { ownedRows, ownerOf, ownRow } from '../tenancy/tenant-rows.js'
import type { TableRows } from '../table-rows.js'

export interface OrganizationDumpOptions {
  connection: Connection
  tools: PostgresTools
  /** Open until the script has been read; the files are to be listed right after it was opened. */
  snapshot: Snapshot
  organizationId: string
  /** Of a restore, which may be what brings the organization: without its row the dump is empty, not refused. */
  isCheckpoint?: boolean
  tenantTable: string
  tenancy?: Tenancy | null
  /** The search_path that the script is loaded with; empty unless given. */
  loadPath?: string
  signal: AbortSignal
}

/** What the script holds and what it leaves out. */
export interface OrganizationContents {
  /** The tables that are in the script, with the number of the organization's rows. */
  tables: TableRows[]
  warnings: string[]
}

export interface OrganizationDump {
  /** Counts by the snapshot's own session, so it may run beside the script. */
  describe(): Promise<OrganizationContents>
  /**
   * Plain SQL that psql loads into an empty database, which then holds this organization alone. To be read once, to its
   * end or to a return(). @throws AppError DUMP_FAILED after the last byte, when a program did not end well
   */
  script: AsyncGenerator<Buffer>
  /** The same without rows. */
  schema: Buffer
  /** Ends the program behind the script, also when it is not read yet. */
  close(): void
}

/**
 * Checks that the organization's rows are its own and opens their dump. When it has returned, schema and rows are
 * certain: a change of a table's structure waits until the script has been read.
 * @throws AppError TENANCY_UNSUPPORTED, TENANCY_VIOLATION, ORGANIZATION_NOT_FOUND, DATABASE_BUSY, DUMP_FAILED,
 * DATABASE_ERROR
 */
export async function openOrganizationDump(options: OrganizationDumpOptions): Promise<OrganizationDump> {
  const {
    connection,
    tools,
    snapshot,
    organizationId,
    isCheckpoint = false,
    tenantTable,
    tenancy,
    loadPath = '',
    signal
  } = options
  const { sql } = snapshot
  try {
    await sql.unsafe(`${usePath(loadPath)} ${workSettings}`)
    const graph = await readTenantGraph(sql, { tenantTable, tenancy })
    requireTenancy(graph)
    const isThere = await hasOwnRow(sql, graph, organizationId)
    if (!isThere && !isCheckpoint) throw organizationNotFound(graph.root!.label)
    signal.throwIfAborted()
    // UTF-8 whatever the database has, but for one that does not know its own encoding.
    const encoding = snapshot.encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8'
    // The programs take their own locks first, before a change of a table can queue up behind the snapshot's.
    const rows = await startRows({ connection, tools, snapshot, graph, organizationId, encoding, loadPath, signal })
    try {
      const without = await othersPartitions(sql, graph, organizationId)
      const schema = await dumpSchema({ connection, tools, snapshot, graph, without, encoding, loadPath, signal })
      await checkOwnership(sql, graph, organizationId)
      return {
        describe: async () => ({
          tables: await countOwned(sql, graph, organizationId, signal),
          warnings: [
            ...(isThere
              ? []
              : [
                  `The organization had no row in ${graph.root!.label}: restoring this backup removes what the organization has in the database.`
                ]),
            ...graph.notes,
            ...(await unownedWarnings(sql, graph))
          ]
        }),
        script: assemble(schema, rows),
        schema: Buffer.concat([schema.before, schema.after]),
        close: () => {
          rows.kill()
        }
      }
    } catch (error) {
      rows.kill()
      throw error
    }
  } catch (error) {
    signal.throwIfAborted()
    throw databaseError(error)
  }
}

async function* assemble(schema: SchemaScript, rows: RowsProgram): AsyncGenerator<Buffer> {
  try {
    yield schema.before
    yield* rows.script()
    yield schema.after
  } finally {
    rows.kill()
  }
}

async function hasOwnRow(sql: postgres.Sql, graph: TenantGraph, organizationId: string): Promise<boolean> {
  return (await sql.unsafe(`SELECT ${ownRow(graph, organizationId)}`)).length > 0
}

async function countOwned(
  sql: postgres.Sql,
  graph: TenantGraph,
  organizationId: string,
  signal: AbortSignal
): Promise<TableRows[]> {
  const counted: TableRows[] = []
  for (const table of graph.tables.filter(isTenant)) {
    signal.throwIfAborted()
    const [row] = await sql.unsafe<Array<{ rows: string }>>(
      `SELECT count(*) AS rows ${ownedRows(graph, table, 't', organizationId)}`
    )
    counted.push({ schema: table.schema, name: table.name, rows: Number(row!.rows) })
  }
  return counted
}

async function unownedWarnings(sql: postgres.Sql, graph: TenantGraph): Promise<string[]> {
  const warnings: string[] = []
  for (const table of graph.tables) {
    if (!table.anchor.some(({ notNull }) => !notNull)) continue
    const { joins, owner } = ownerOf(graph, table, 't', 'LEFT JOIN')
    const [row] = await sql.unsafe<Array<{ rows: string }>>(
      `SELECT count(*) AS rows FROM ${table.source} t${joins} WHERE ${owner} IS NULL`
    )
    if (row!.rows !== '0')
      warnings.push(
        `${countedRows(Number(row!.rows), table.label)} ${row!.rows === '1' ? 'has no owner and is' : 'have no owner and are'} in no organization's backup.`
      )
  }
  return warnings
}
