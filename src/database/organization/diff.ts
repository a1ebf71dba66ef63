import type postgres from 'postgres'
import { quoteColumns, quoteIdentifier } from '../identifiers.js'
import type { MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { type TenantGraph } from '../tenancy/tenant-table.js'
import { ownedRows } from '../tenancy/tenant-rows.js'

/** What a merge does to one table. */
export interface TableChange {
  /** schema.name */
  table: string
  rows: number
  added: number
  changed: number
  removed: number
  unchanged: number
  comparedBy: 'key' | 'content'
}

/** Writes into each plan what makes the organization's live rows equal to the archive's. */
export async function planChanges(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  organizationId: string
): Promise<TableChange[]> {
  const changes: TableChange[] = []
  for (const merged of tables) {
    await session.unsafe(
      `INSERT INTO ${merged.plan} (operation, ${rowNumber}, relation, place) ${differences(graph, merged, organizationId)}`
    )
    await session.unsafe(`ANALYZE ${merged.plan}`)
    const counted = await session.unsafe<Array<{ operation: string; rows: string }>>(
      `SELECT operation, count(*) AS rows FROM ${merged.plan} GROUP BY operation`
    )
    const count = (operation: string): number => Number(counted.find(row => row.operation === operation)?.rows ?? 0)
    changes.push({
      table: merged.table.label,
      rows: merged.rows,
      added: count('i'),
      changed: count('u'),
      removed: count('d'),
      unchanged: merged.rows - count('i') - count('u'),
      comparedBy: merged.key === null ? 'content' : 'key'
    })
  }
  return changes
}

/** What the plan of a table comes to. */
export function changeOf(changes: readonly TableChange[], { table }: MergeTable): TableChange {
  return changes.find(change => change.table === table.label)!
}

/** Tables whose live rows still differ from the archive's. */
export async function remainingDifferences(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  organizationId: string
): Promise<string[]> {
  const different: string[] = []
  for (const merged of tables) {
    const [row] = await session.unsafe<Array<{ differs: boolean }>>(
      `SELECT EXISTS (${differences(graph, merged, organizationId)}) AS differs`
    )
    if (row!.differs) different.push(merged.table.label)
  }
  return different
}

/**
 * operation (d, u, i), the archive's row, relation and place of the live row. Rows are compared as text: json has no
 * equality, and that of citext and numeric hides changes. The same bytes make the same text, so only the others are
 * written out.
 */
function differences(graph: TenantGraph, merged: MergeTable, organizationId: string): string {
  const { from, differs } = compared(graph, merged, organizationId)
  const operation = `CASE WHEN l."merge place" IS NULL THEN 'i' WHEN a.${rowNumber} IS NULL THEN 'd' ELSE 'u' END::"char"`
  return `SELECT ${operation}, a.${rowNumber}, l."merge relation", l."merge place" FROM ${from} WHERE ${differs}`
}

/** The query of live rows that are equal to the archive's: number, relation, place. */
export function equalRows(graph: TenantGraph, merged: MergeTable, organizationId: string): string {
  const { from, differs } = compared(graph, merged, organizationId)
  return `SELECT a.${rowNumber} AS number, l."merge relation" AS relation, l."merge place" AS place FROM ${from} WHERE NOT (${differs})`
}

interface Compared {
  from: string
  differs: string
}

function compared(graph: TenantGraph, merged: MergeTable, organizationId: string): Compared {
  return merged.key === null
    ? byContent(graph, merged, organizationId)
    : byKey(graph, merged, merged.key, organizationId)
}

function byKey(
  graph: TenantGraph,
  { table, columns, archive }: MergeTable,
  key: string[],
  organizationId: string
): Compared {
  const condition = key
    .map((column, index) => `l.${quoteIdentifier(column)} ${table.keyOperators[index]} a.${quoteIdentifier(column)}`)
    .join(' AND ')
  return {
    from: `(SELECT t.tableoid AS "merge relation", t.ctid AS "merge place", ${quoteColumns(columns, 't')} ${ownedRows(graph, table, 't', organizationId)}) l
      FULL JOIN ${archive} a ON ${condition}`,
    differs: `l."merge place" IS NULL OR a.${rowNumber} IS NULL OR ${differ(columns, 'l', 'a')}`
  }
}

/** Equal rows are paired off; what is left over on one side is removed, on the other added. */
function byContent(graph: TenantGraph, { table, columns, archive }: MergeTable, organizationId: string): Compared {
  return {
    from: `(SELECT t.tableoid AS "merge relation", t.ctid AS "merge place", ${rowText(columns, 't')} AS content,
        row_number() OVER (PARTITION BY ${rowText(columns, 't')} ORDER BY t.tableoid, t.ctid) AS copy ${ownedRows(graph, table, 't', organizationId)}) l
      FULL JOIN (SELECT ${rowNumber}, ${rowText(columns, 't')} AS content,
        row_number() OVER (PARTITION BY ${rowText(columns, 't')} ORDER BY ${rowNumber}) AS copy FROM ${archive} t) a
      ON l.content = a.content AND l.copy = a.copy`,
    differs: `l."merge place" IS NULL OR a.${rowNumber} IS NULL`
  }
}

function differ(columns: readonly string[], one: string, other: string): string {
  const image = (alias: string): string => `ROW(${quoteColumns(columns, alias)})::record`
  return `(${image(one)} OPERATOR(pg_catalog.*<>) ${image(other)} AND ${rowText(columns, one)} <> ${rowText(columns, other)})`
}

export function rowText(columns: readonly string[], alias: string): string {
  return `ROW(${quoteColumns(columns, alias)})::text COLLATE "C"`
}
