import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { quoteIdentifier, quoteLiteral } from '../connection/connection.js'
import { changeOf, rowText, type TableChange } from './diff.js'
import { updatedColumns, type MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { operationsOn, sameValues, uniqueIndexes } from './unique.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'
import { describeKey, isTenant, type TenantGraph, type TenantTable } from '../tenancy/tenant-table.js'
import { keyCondition, ownedRows, ownerOf, tableOf } from '../tenancy/tenant-rows.js'

export interface Conflict { field: string, message: string }

/** @throws AppError RESTORE_CONFLICT with every conflict; says which tables and keys, never what is in a row */
export function refuseConflicts (conflicts: Conflict[]): void {
  if (conflicts.length === 0) return
  throw new AppError('RESTORE_CONFLICT', 'The backup contradicts what the database holds now.', { errors: conflicts.slice(0, 100) })
}

/** Archived rows that are not the organization's by the tenant graph, or lead to rows that are not in the archive. */
export async function foreignRows (
  session: postgres.Sql, graph: TenantGraph, tables: readonly MergeTable[], organizationId: string
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  const archiveOf = new Map(tables.map((merged) => [merged.table.oid, merged.archive]))
  for (const { table, archive, rows } of tables) {
    if (rows === 0) continue
    const owned = await count(session, ownedRows(graph, table, 't', organizationId, (asked) => archiveOf.get(asked.oid)!))
    if (owned !== rows) conflicts.push({ field: table.label, message: `${rows - owned} rows of ${table.label} in the archive are not the organization's` })
    for (const key of graph.keys.filter((candidate) => candidate.table === table.oid && !candidate.onPartition && candidate.validated)) {
      conflicts.push(...await leadingNowhere(session, graph, tables, key, archive))
    }
  }
  return conflicts
}

/** A key of archived rows must lead to archived rows; where it may leave the organization, to rows that exist. */
async function leadingNowhere (
  session: postgres.Sql, graph: TenantGraph, tables: readonly MergeTable[], key: ForeignKey, archive: string
): Promise<Conflict[]> {
  const child = tables.find(({ table }) => table.oid === key.table)!
  const parent = tables.find(({ table }) => table.oid === key.target)
  if (!key.columns.every((column) => child.columns.includes(column))) return []
  const target = tableOf(graph, key.target)
  const mayLeave = !isTenant(target) || (child.table.declared && child.table.anchor[0] !== key)
  const inArchive = parent !== undefined && key.references.every((column) => parent.columns.includes(column))
    ? `EXISTS (SELECT FROM ${parent.archive} p WHERE ${keyCondition(key, 'c', 'p')})`
    : 'false'
  const live = mayLeave ? `EXISTS (SELECT FROM ${key.targetRelation} p WHERE ${keyCondition(key, 'c', 'p')})` : 'false'
  const present = key.columns.map((column) => `c.${quoteIdentifier(column)} IS NOT NULL`).join(' AND ')
  const rows = await count(session, `FROM ${archive} c WHERE ${present} AND NOT ${inArchive} AND NOT ${live}`)
  return rows === 0 ? [] : [{
    field: child.table.label,
    message: `${rows} rows of ${child.table.label} lead to rows that are ${mayLeave ? 'not there any more' : 'not in the archive'}: ${describeKey(graph, key)}`
  }]
}

/** Values of the archive that another organization's rows, or nobody's, hold now: a moved row, an e-mail taken since. */
export async function takenValues (
  session: postgres.Sql, graph: TenantGraph, tables: readonly MergeTable[], changes: readonly TableChange[], organizationId: string
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  for (const merged of tables) {
    const { table } = merged
    for (const index of await uniqueIndexes(session, merged)) {
      const operations = operationsOn(merged, index, changeOf(changes, merged))
      if (operations.length === 0) continue
      const { joins, owner } = ownerOf(graph, table, 'o', 'LEFT JOIN')
      const rows = await count(session, `FROM ${sameValues(merged, index, operations)}
        JOIN ${table.source} o ON o.tableoid = l."merge relation" AND o.ctid = l."merge place"${joins}
        WHERE ${owner} IS DISTINCT FROM ${quoteLiteral(organizationId)}`)
      if (rows > 0) {
        conflicts.push({
          field: table.label,
          message: `${rows} rows of ${table.label} can't come back: their value of ${index.name} (${index.columns.join(', ')}) is held by rows that are not the organization's`
        })
      }
    }
  }
  return conflicts
}

/**
 * Rows that the merge takes away although something else holds on to them: rows that are not the organization's, tables that
 * are nobody's, and own rows that are to stay but that a key would take along (ON DELETE CASCADE, …) or not let go.
 */
export async function heldRows (
  session: postgres.Sql, graph: TenantGraph, tables: readonly MergeTable[], changes: readonly TableChange[], organizationId: string
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  for (const key of graph.keys.filter(({ oid }) => oid !== 0)) {
    const parent = tables.find(({ table }) => table.oid === key.target)
    if (parent === undefined) continue
    const child = tables.find(({ table }) => table.oid === key.table)
    const childTable = tableOf(graph, key.table)
    const { removed, changed } = changeOf(changes, parent)
    const references = key.references.filter((column) => updatedColumns(parent).includes(column))
    if (removed === 0 && (changed === 0 || references.length === 0)) continue
    const leaves = references.length === 0 ? 'false' : `${rowText(references, 'l')} <> ${rowText(references, 'a')}`
    const from = `FROM ${parent.plan} p JOIN ${key.targetRelation} l ON l.tableoid = p.relation AND l.ctid = p.place
      LEFT JOIN ${parent.archive} a ON a.${rowNumber} = p.${rowNumber}
      JOIN ${key.relation === childTable.relation ? childTable.source : key.relation} c ON ${keyCondition(key, 'c', 'l')}`
    const gone = `(p.operation = 'd' OR (p.operation = 'u' AND ${leaves}))`
    const holding = (rows: number, why: string): Conflict => ({
      field: parent.table.label,
      message: `rows of ${parent.table.label} would go, but ${rows} rows that the backup does not speak of lead to them: ${describeKey(graph, key)}; ` +
        `${why}: delete these rows${key.notNull ? '' : ` or set their ${key.columns.join(', ')} to NULL`} in the application first`
    })
    const outside = await countOutside(session, graph, childTable, from, gone, organizationId)
    if (outside > 0) {
      conflicts.push(holding(outside, whoseOutside(childTable)))
      continue
    }
    const isSpokenOf = child !== undefined && !child.isNewer && key.columns.every((column) => child.columns.includes(column))
    // In the archive a row that leads somewhere has what it leads to, so only an action can strike it.
    if (isSpokenOf && !key.acts) continue
    const kept = await countKept(session, child, key, from, gone)
    if (kept === 0) continue
    conflicts.push(isSpokenOf
      ? {
          field: parent.table.label,
          message: `rows of ${parent.table.label} would be replaced by others of the same value, which would take ${kept} rows along: ${describeKey(graph, key)}`
        }
      : holding(kept, child === undefined || child.isNewer
        ? 'their table came after the backup, and they can\'t go along by this key'
        : 'the key came after the backup, which has these rows without it'))
  }
  return conflicts
}

/** The restore writes no row that is not the organization's, whatever the key's ON DELETE allows. */
function whoseOutside (child: TenantTable): string {
  if (child.class === 'excluded') return 'TENANCY_FILE excludes their table, so the restore leaves it alone'
  return isTenant(child) ? 'they are not the organization\'s' : 'their table belongs to no organization, so the restore leaves it alone'
}

async function countOutside (
  session: postgres.Sql, graph: TenantGraph, child: TenantTable, from: string, gone: string, organizationId: string
): Promise<number> {
  if (!isTenant(child)) return await count(session, `${from} WHERE ${gone}`)
  const { joins, owner } = ownerOf(graph, child, 'c', 'LEFT JOIN')
  return await count(session, `${from}${joins} WHERE ${gone} AND ${owner} IS DISTINCT FROM ${quoteLiteral(organizationId)}`)
}

/** Rows that the plan leaves there, leading where they lead now. */
async function countKept (session: postgres.Sql, child: MergeTable | undefined, key: ForeignKey, from: string, gone: string): Promise<number> {
  if (child === undefined) return await count(session, `${from} WHERE ${gone}`)
  const leadsOn = key.columns.every((column) => child.columns.includes(column)) ? `${rowText(key.columns, 'ca')} = ${rowText(key.columns, 'c')}` : 'true'
  return await count(session, `${from}
    LEFT JOIN ${child.plan} cp ON cp.relation = c.tableoid AND cp.place = c.ctid
    LEFT JOIN ${child.archive} ca ON ca.${rowNumber} = cp.${rowNumber}
    WHERE ${gone} AND (cp.operation IS NULL OR (cp.operation = 'u' AND ${leadsOn}))`)
}

async function count (session: postgres.Sql, from: string): Promise<number> {
  const [row] = await session.unsafe<Array<{ rows: string }>>(`SELECT count(*) AS rows ${from}`)
  return Number(row!.rows)
}
