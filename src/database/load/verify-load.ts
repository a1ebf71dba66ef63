import { AppError } from '../../errors.js'
import type { Sql } from 'postgres'
import { countRows, listTables } from '../catalog-queries.js'
import { databaseError, withSql, type Connection } from '../connection/connection.js'
import { labelOf, type QualifiedName } from '../identifiers.js'
import type { TableRows } from '../table-rows.js'

/**
 * Compares a loaded database with what the backup counted at its snapshot. Partitions are counted together: the hash of
 * an enum's value differs between databases, so pg_dump has PostgreSQL choose the partition anew
 * (--load-via-partition-root in its manual).
 * @param connection of the role that loaded it: to plan a query, PostgreSQL can call functions of the archive
 * @param searchPath that these need
 * @returns the rows of each table
 * @throws AppError DUMP_INVALID naming the first table that differs
 */
export async function verifyLoad(
  connection: Connection,
  { searchPath = '' }: { searchPath?: string },
  expected: readonly TableRows[],
  signal: AbortSignal
): Promise<TableRows[]> {
  const { tables, roots } = await withSql(connection, { searchPath }, async sql => {
    await sql`SELECT set_config('row_security', 'off', false)`
    return { tables: await countRows(sql, await listTables(sql), signal), roots: await partitionRoots(sql) }
  }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw databaseError(error)
  })
  const rows = new Map(tables.map(table => [labelOf(table), table.rows]))
  for (const table of tables) {
    const root = roots.get(labelOf(table))
    if (root !== undefined) rows.set(root, (rows.get(root) ?? 0) + table.rows)
  }
  for (const [table, count] of countWhole(expected, table => (rows.has(table) ? roots.get(table) : undefined))) {
    const loaded = rows.get(table)
    if (loaded !== count) throw otherCount(table, loaded, count)
  }
  const known = new Set(expected.map(labelOf))
  const stranger = tables.find(
    table => table.rows > 0 && !known.has(labelOf(table)) && !known.has(roots.get(labelOf(table)) ?? '')
  )
  if (stranger !== undefined)
    throw new AppError(
      'DUMP_INVALID',
      'unknown-table',
      `After loading, the table ${labelOf(stranger)} has rows that the backup does not know of.`
    )
  return tables
}

/** Rows by label: of the table itself, or of the partitioned table that `rootOf` tells of it. */
export function countWhole(
  tables: readonly TableRows[],
  rootOf: (table: string) => string | undefined
): Map<string, number> {
  const counted = new Map<string, number>()
  for (const table of tables) {
    const whole = rootOf(labelOf(table)) ?? labelOf(table)
    counted.set(whole, (counted.get(whole) ?? 0) + table.rows)
  }
  return counted
}

/** @param loaded undefined where there is no such table */
export function otherCount(table: string, loaded: number | undefined, expected: number): AppError {
  return new AppError(
    'DUMP_INVALID',
    'row-count',
    `After loading, the table ${table} has ${loaded ?? 'no'} rows in place of ${expected}.`
  )
}

/** Each partition's root, by name: a backup of one organization counts partitioned tables as a whole. */
async function partitionRoots(sql: Sql): Promise<Map<string, string>> {
  const rows = await sql<Array<QualifiedName & { rootSchema: string; root: string }>>`
    SELECT n.nspname AS schema, c.relname AS name, rn.nspname AS "rootSchema", r.relname AS root
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid)
    JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE c.relispartition AND c.relkind = 'r'`
  return new Map(
    rows.map(({ rootSchema, root, ...partition }) => [labelOf(partition), labelOf({ schema: rootSchema, name: root })])
  )
}
