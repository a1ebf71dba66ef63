import type postgres from 'postgres'
import { quoteLiteral } from '../identifiers.js'
import type { Conflict } from './conflicts.js'
import type { TableChange } from './diff.js'
import type { MergeTable } from './drift.js'
import { keyedRows } from './keyed-rows.js'
import { rowNumber } from './load.js'
import { lostValues } from './lost-values.js'
import { listNames, namedAtMost, rowName } from './named-rows.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'
import { describeKey, isTenant, type TenantGraph, type TenantTable } from '../tenancy/tenant-table.js'
import { keyCondition, ownerOf, tableOf } from '../tenancy/tenant-rows.js'

/**
 * Rows that the merge takes away although something else holds on to them: rows that are not the organization's, tables
 * that have no owner, and own rows that are to stay but that a key would take along (ON DELETE CASCADE, …) or not let
 * go.
 * @param tables as planStages hands them back: what it could get out of an action's way is no conflict
 */
export async function heldRows(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[],
  organizationId: string
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  for (const key of graph.keys.filter(({ enforced }) => enforced)) {
    const parent = tables.find(({ table }) => table.oid === key.target)
    const lost = parent === undefined ? null : lostValues(parent, key, changes)
    if (parent === undefined || lost === null) continue
    const child = tables.find(({ table }) => table.oid === key.table)
    const outside = await countOutside(session, graph, key, lost, organizationId)
    const held = outside.rows > 0 ? outside : await countKept(session, graph, child, key, lost)
    if (held.rows === 0) continue
    const why = outside.rows > 0 ? whoseOutside(tableOf(graph, key.table)) : whyKept(child, key)
    conflicts.push({
      field: parent.table.label,
      reason: outside.rows > 0 ? 'referenced-from-outside' : 'referenced-by-kept-rows',
      message: describe(graph, key, parent, held, why)
    })
  }
  return conflicts
}

/** Rows that lead to values which are lost; of how many the value comes back with another row. */
interface Held {
  rows: number
  comingBack: number
  /** The lost values, which are the organization's own, whosever rows lead there. */
  names: string[]
}

function describe(
  graph: TenantGraph,
  key: ForeignKey,
  { table }: MergeTable,
  { rows, comingBack, names }: Held,
  why: string
): string {
  const own = `rows of ${table.label}${listNames(names)}`
  const [found, lead] = rows === 1 ? ['1 row', 'leads'] : [`${rows} rows`, 'lead']
  const remedy = `delete these rows${key.notNull ? '' : ` or set their ${key.columns.join(', ')} to NULL`} in the application first`
  return rows > comingBack
    ? `${own} would go, but ${found} that the backup does not speak of ${lead} to them: ${describeKey(graph, key)}; ${why}: ${remedy}`
    : `${own} would be replaced by others of the same ${key.references.join(', ')}, but ${found} that the restore can't write anew ` +
        `${lead} to them: ${describeKey(graph, key)}; ${why}: ${remedy}, and put them back after the restore`
}

/** The restore writes no row that is not the organization's, whatever the key's ON DELETE allows. */
function whoseOutside(child: TenantTable): string {
  if (child.class === 'excluded') return 'TENANCY_FILE excludes their table, so the restore leaves it alone'
  return isTenant(child)
    ? "they are not the organization's"
    : 'their table belongs to no organization, so the restore leaves it alone'
}

function whyKept(child: MergeTable | undefined, key: ForeignKey): string {
  if (child === undefined || child.isNewer)
    return "their table came after the backup, and they can't go along by this key"
  return key.columns.every(column => child.columns.includes(column))
    ? 'their table has columns that came after the backup'
    : 'the key came after the backup, which has these rows without it'
}

async function countOutside(
  session: postgres.Sql,
  graph: TenantGraph,
  key: ForeignKey,
  lost: string,
  organizationId: string
): Promise<Held> {
  const child = tableOf(graph, key.table)
  if (!isTenant(child)) return await countHeld(session, key, leading(graph, key, lost))
  const { joins, owner } = ownerOf(graph, child, 'c', 'LEFT JOIN')
  return await countHeld(
    session,
    key,
    `${leading(graph, key, lost)}${joins} WHERE ${owner} IS DISTINCT FROM ${quoteLiteral(organizationId)}`
  )
}

/**
 * Rows that the plan leaves there or writes, leading to a lost value then; what is written later is in the way of no
 * action.
 */
async function countKept(
  session: postgres.Sql,
  graph: TenantGraph,
  child: MergeTable | undefined,
  key: ForeignKey,
  lost: string
): Promise<Held> {
  if (child === undefined) return await countHeld(session, key, leading(graph, key, lost))
  const isSpokenOf = key.columns.every(column => child.columns.includes(column))
  const kept = await countHeld(
    session,
    key,
    `${leading(graph, key, lost)}
    LEFT JOIN ${child.plan} p ON p.relation = c.tableoid AND p.place = c.ctid AND p.operation ${isSpokenOf ? "IN ('d', 'u')" : "= 'd'"} WHERE p.relation IS NULL`
  )
  if (!isSpokenOf) return kept
  const written = await countHeld(
    session,
    key,
    `FROM ${lost} lost JOIN ${keyedRows(child, key)} c ON ${keyCondition(key, 'c', 'lost')}
    JOIN ${child.plan} p ON p.${rowNumber} = c.${rowNumber} AND (p.operation = 'u' OR NOT lost."comes back")`
  )
  return {
    rows: kept.rows + written.rows,
    comingBack: kept.comingBack + written.comingBack,
    names: [...kept.names, ...written.names].sort()
  }
}

/** FROM: live rows (c) that lead to lost values. */
function leading(graph: TenantGraph, key: ForeignKey, lost: string): string {
  const child = tableOf(graph, key.table)
  return `FROM ${lost} lost JOIN ${key.relation === child.relation ? child.source : key.relation} c ON ${keyCondition(key, 'c', 'lost')}`
}

async function countHeld(session: postgres.Sql, { references }: ForeignKey, from: string): Promise<Held> {
  const [row] = await session.unsafe<Array<{ rows: string; back: string; names: string[] | null }>>(
    `SELECT count(*) AS rows, count(*) FILTER (WHERE lost."comes back") AS back, (array_agg(DISTINCT ${rowName('lost', references)}))[1:${namedAtMost + 1}] AS names ${from}`
  )
  return { rows: Number(row!.rows), comingBack: Number(row!.back), names: row!.names ?? [] }
}
