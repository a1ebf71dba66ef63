import type postgres from 'postgres'
import { quoteColumns, quoteIdentifier, quoteLiteral } from '../identifiers.js'
import { planChanges, type TableChange } from './diff.js'
import type { MergeTable } from './drift.js'
import { targetRows } from './keyed-rows.js'
import { createMergeTables } from './load.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'
import { isTenant, type TenantGraph, type TenantTable } from '../tenancy/tenant-table.js'
import { keyCondition, ownedRows, ownerOf, storedColumns, tableOf } from '../tenancy/tenant-rows.js'

interface NewerTables {
  tables: MergeTable[]
  changes: TableChange[]
}

/**
 * The organization's rows of tables that came after the backup, where they hang on rows that the merge takes away. What
 * their keys say happens to them (ON DELETE CASCADE, SET NULL), but as a part of the plan: such a table is merged with
 * what is to be left of its rows, so a rehearsal tells it, no cascade and no trigger strikes, and the proof covers it.
 * All other rows that hang there, those of others first of all, are not planned for: heldRows refuses them.
 * @param tables those of the backup, planned already
 */
export async function planNewerTables(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  organizationId: string
): Promise<NewerTables> {
  const newer: MergeTable[] = []
  const changes = new Map<MergeTable, TableChange>()
  const keys = graph.keys.filter(key => isFollowed(graph, tables, key))
  for (let isSettled = false; !isSettled;) {
    isSettled = true
    for (const key of keys) {
      const parent = [...tables, ...newer].find(({ table }) => table.oid === key.target)
      if (parent === undefined) continue
      let child = newer.find(({ table }) => table.oid === key.table)
      if (child === undefined) {
        if (!(await areHanging(session, graph, parent, key, organizationId))) continue
        child = await copyOwnRows(
          session,
          graph,
          tableOf(graph, key.table),
          tables.length + newer.length + 1,
          organizationId
        )
        newer.push(child)
      }
      const followed = await session.unsafe(followStatement(parent, child, key))
      if (followed.count === 0) continue
      isSettled = false
      changes.set(child, await planAgain(session, graph, child, organizationId))
    }
  }
  return { tables: newer, changes: [...changes.values()] }
}

/** Never where a row would lose its owner: it would be in no backup any more, and no undo could bring it back. */
function isFollowed(graph: TenantGraph, tables: readonly MergeTable[], key: ForeignKey): boolean {
  const child = tableOf(graph, key.table)
  if (!isTenant(child) || child.hasRules || key.onPartition || tables.some(({ table }) => table === child)) return false
  if (key.onDelete === 'cascade') return true
  const required = child.columns.filter(({ notNull }) => notNull).map(({ name }) => name)
  return (
    key.onDelete === 'set null' &&
    key.emptied.every(column => !required.includes(column) && child.anchor[0]?.columns.includes(column) !== true)
  )
}

/**
 * Whether a row (c) leads to one that goes from the parent table, by its plan, while no other row comes back with the
 * value.
 */
function losesParent(parent: MergeTable, key: ForeignKey): string {
  const { plan, columns } = parent
  const comesBack = key.references.every(column => columns.includes(column))
    ? `EXISTS (SELECT FROM ${targetRows(parent, key)} a WHERE ${keyCondition(key, 'c', 'a')})`
    : 'false'
  return `EXISTS (SELECT FROM ${plan} p JOIN ${key.targetRelation} l ON p.operation = 'd' AND l.tableoid = p.relation AND l.ctid = p.place
    WHERE ${keyCondition(key, 'c', 'l')}) AND NOT ${comesBack}`
}

async function areHanging(
  session: postgres.Sql,
  graph: TenantGraph,
  parent: MergeTable,
  key: ForeignKey,
  organizationId: string
): Promise<boolean> {
  const child = tableOf(graph, key.table)
  const { joins, owner } = ownerOf(graph, child, 'c')
  const [row] = await session.unsafe<Array<{ hanging: boolean }>>(`SELECT EXISTS (SELECT FROM ${child.source} c${joins}
    WHERE ${owner} = ${quoteLiteral(organizationId)} AND ${losesParent(parent, key)}) AS hanging`)
  return row!.hanging
}

/** A table that the backup does not have, with its rows as they are: nothing is planned for them yet. */
export async function planUntouched(
  session: postgres.Sql,
  graph: TenantGraph,
  table: TenantTable,
  number: number,
  organizationId: string
): Promise<{ merged: MergeTable; change: TableChange }> {
  const merged = await copyOwnRows(session, graph, table, number, organizationId)
  return { merged, change: await planAgain(session, graph, merged, organizationId) }
}

async function copyOwnRows(
  session: postgres.Sql,
  graph: TenantGraph,
  table: TenantTable,
  number: number,
  organizationId: string
): Promise<MergeTable> {
  const columns = storedColumns(table)
  const merged: MergeTable = {
    table,
    isNewer: true,
    columns,
    key: table.key !== null && table.key.every(column => columns.includes(column)) ? table.key : null,
    rekeyed: false,
    archive: `pg_temp.archive_${number}`,
    plan: `pg_temp.plan_${number}`,
    rows: 0
  }
  await createMergeTables(
    session,
    merged,
    `SELECT ${quoteColumns(columns, 't')} ${ownedRows(graph, table, 't', organizationId)}`
  )
  return merged
}

function followStatement(parent: MergeTable, child: MergeTable, key: ForeignKey): string {
  return key.onDelete === 'cascade'
    ? `DELETE FROM ${child.archive} c WHERE ${losesParent(parent, key)}`
    : `UPDATE ${child.archive} c SET ${key.emptied.map(column => `${quoteIdentifier(column)} = NULL`).join(', ')} WHERE ${losesParent(parent, key)}`
}

async function planAgain(
  session: postgres.Sql,
  graph: TenantGraph,
  merged: MergeTable,
  organizationId: string
): Promise<TableChange> {
  await session.unsafe(`TRUNCATE ${merged.plan}; ANALYZE ${merged.archive}`)
  const [row] = await session.unsafe<Array<{ rows: string }>>(`SELECT count(*) AS rows FROM ${merged.archive}`)
  merged.rows = Number(row!.rows)
  const [change] = await planChanges(session, graph, [merged], organizationId)
  return change!
}
