import type postgres from 'postgres'
import { equalRows, type TableChange } from './diff.js'
import { canBeReplaced, type MergeTable } from './drift.js'
import { keyedRows } from './keyed-rows.js'
import { rowNumber } from './load.js'
import { lostValues } from './lost-values.js'
import { planUntouched } from './newer-tables.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'
import { keyCondition, ownedRows, tableOf } from '../tenancy/tenant-rows.js'
import { isTenant, type TenantGraph } from '../tenancy/tenant-table.js'

export interface Stages {
  tables: MergeTable[]
  changes: TableChange[]
}

/**
 * Finds the rows that an action of a key would strike although they are to be there in the end, since they lead to a
 * value that goes from one row to another. Those that are added are added later, by a second statement; those that are
 * there already are removed by the first and added by the second; and so are the rows that lead to them. Writes into
 * the plans alone.
 * @returns the tables, with those of newer ones whose rows take part, and the changes as they are written
 */
export async function planStages(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  planned: readonly MergeTable[],
  plannedChanges: readonly TableChange[],
  organizationId: string
): Promise<Stages> {
  const tables = [...planned]
  let changes = [...plannedChanges]
  const replaced = ({ table }: MergeTable, updated: number, equal: number): void => {
    changes = changes.map(change =>
      change.table !== table.label
        ? change
        : {
            ...change,
            added: change.added + updated + equal,
            changed: change.changed - updated,
            removed: change.removed + updated + equal
          }
    )
  }
  for (let isSettled = false; !isSettled;) {
    isSettled = true
    for (const key of graph.keys.filter(({ enforced }) => enforced)) {
      const parent = tables.find(({ table }) => table.oid === key.target)
      const values = parent === undefined ? null : lostValues(parent, key, changes)
      // What is gone for good is led to by no archived row.
      const lost = `(SELECT * FROM ${values} v WHERE "comes back")`
      if (values === null || !(await areThere(session, lost))) continue
      let child = tables.find(({ table }) => table.oid === key.table)
      if (child === undefined) {
        if (!(await areStruck(session, graph, key, lost, organizationId))) continue
        const newer = await planUntouched(session, graph, tableOf(graph, key.table), tables.length + 1, organizationId)
        child = newer.merged
        tables.push(child)
        changes.push(newer.change)
      }
      const { columns } = child
      if (!key.columns.every(column => columns.includes(column))) continue
      const postponed = await postponeAdded(session, child, key, lost)
      const [updated, equal] = canBeReplaced(child)
        ? [
            await replaceUpdated(session, child, key, lost),
            await replaceEqual(session, graph, child, key, lost, organizationId)
          ]
        : [0, 0]
      replaced(child, updated, equal)
      if (postponed + updated + equal > 0) isSettled = false
    }
  }
  return { tables, changes }
}

async function areThere(session: postgres.Sql, query: string): Promise<boolean> {
  const [row] = await session.unsafe<Array<{ there: boolean }>>(`SELECT EXISTS ${query} AS there`)
  return row!.there
}

/** Own rows of a table that came after the backup. Those of others the restore may not write. */
async function areStruck(
  session: postgres.Sql,
  graph: TenantGraph,
  key: ForeignKey,
  lost: string,
  organizationId: string
): Promise<boolean> {
  const child = tableOf(graph, key.table)
  if (!isTenant(child) || child.hasRules) return false
  return await areThere(
    session,
    `(SELECT ${ownedRows(graph, child, 'c', organizationId)} AND ${leadsTo(key, 'c', lost)})`
  )
}

async function postponeAdded(session: postgres.Sql, child: MergeTable, key: ForeignKey, lost: string): Promise<number> {
  const postponed = await session.unsafe(`UPDATE ${child.plan} p SET later = true FROM ${keyedRows(child, key)} c
    WHERE p.operation = 'i' AND NOT p.later AND c.${rowNumber} = p.${rowNumber} AND ${leadsTo(key, 'c', lost)}`)
  return postponed.count
}

async function replaceUpdated(
  session: postgres.Sql,
  child: MergeTable,
  key: ForeignKey,
  lost: string
): Promise<number> {
  const { plan } = child
  const replaced = await session.unsafe(`
    WITH struck AS (SELECT c.${rowNumber} AS number FROM ${keyedRows(child, key)} c WHERE ${leadsTo(key, 'c', lost)}),
      removed AS (
        UPDATE ${plan} p SET operation = 'd', ${rowNumber} = NULL FROM struck
        WHERE p.operation = 'u' AND p.${rowNumber} = struck.number RETURNING struck.number)
    INSERT INTO ${plan} (operation, ${rowNumber}, later) SELECT 'i', number, true FROM removed`)
  return replaced.count
}

async function replaceEqual(
  session: postgres.Sql,
  graph: TenantGraph,
  child: MergeTable,
  key: ForeignKey,
  lost: string,
  organizationId: string
): Promise<number> {
  const { plan } = child
  const keyed = keyedRows(child, key)
  const unplanned = `NOT EXISTS (SELECT FROM ${plan} p WHERE p.${rowNumber} = c.${rowNumber})`
  if (!(await areThere(session, `(SELECT FROM ${keyed} c WHERE ${unplanned} AND ${leadsTo(key, 'c', lost)})`))) return 0
  const replaced = await session.unsafe(`
    WITH struck AS MATERIALIZED (
      SELECT equal.* FROM (${equalRows(graph, child, organizationId)}) equal JOIN ${keyed} c ON c.${rowNumber} = equal.number
      WHERE ${unplanned} AND ${leadsTo(key, 'c', lost)}),
      removed AS (INSERT INTO ${plan} (operation, relation, place) SELECT 'd', relation, place FROM struck)
    INSERT INTO ${plan} (operation, ${rowNumber}, later) SELECT 'i', number, true FROM struck`)
  return replaced.count
}

function leadsTo(key: ForeignKey, child: string, lost: string): string {
  return `EXISTS (SELECT FROM ${lost} lost WHERE ${keyCondition(key, child, 'lost')})`
}
