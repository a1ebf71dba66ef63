import type postgres from 'postgres'
import { AppError, type Problem } from '../../errors.js'
import { quoteIdentifier, quoteLiteral } from '../identifiers.js'
import { changeOf, type TableChange } from './diff.js'
import type { MergeTable } from './drift.js'
import { keyedRows, targetRows } from './keyed-rows.js'
import { rowNumber } from './load.js'
import { countedRows, nameRows, namingColumns } from './named-rows.js'
import { operationsOn, sameValues, uniqueIndexes } from './unique.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'
import { describeKey, isTenant, type TenantGraph } from '../tenancy/tenant-table.js'
import { keyCondition, ownedRows, ownerOf, tableOf } from '../tenancy/tenant-rows.js'

export interface Conflict extends Problem {
  field: string
}

/**
 * @throws AppError RESTORE_CONFLICT with every conflict; names rows of the organization alone, never those of others
 */
export function refuseConflicts(conflicts: Conflict[]): void {
  if (conflicts.length === 0) return
  throw new AppError('RESTORE_CONFLICT', 'conflicts-with-live', 'The backup contradicts what the database holds now.', {
    errors: conflicts.slice(0, 100)
  })
}

/** Archived rows that are not the organization's by the tenant graph, or lead to rows that are not in the archive. */
export async function foreignRows(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  organizationId: string
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  const archiveOf = new Map(tables.map(merged => [merged.table.oid, merged.archive]))
  for (const { table, rows } of tables) {
    if (rows === 0) continue
    const owned = await count(
      session,
      ownedRows(graph, table, 't', organizationId, asked => archiveOf.get(asked.oid)!)
    )
    if (owned !== rows) {
      const strangers = rows - owned
      conflicts.push({
        field: table.label,
        reason: 'rows-of-another-owner',
        message: `${countedRows(strangers, table.label)} in the archive ${strangers === 1 ? 'is' : 'are'} not the organization's`
      })
    }
    for (const key of graph.keys.filter(candidate => candidate.table === table.oid && candidate.validated)) {
      conflicts.push(...(await leadingNowhere(session, graph, tables, key, owned === rows)))
    }
  }
  return conflicts
}

/** A key of archived rows must lead to archived rows; where it may leave the organization, to rows that exist. */
async function leadingNowhere(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  key: ForeignKey,
  areOwn: boolean
): Promise<Conflict[]> {
  const child = tables.find(({ table }) => table.oid === key.table)!
  const parent = tables.find(({ table }) => table.oid === key.target)
  if (!key.columns.every(column => child.columns.includes(column))) return []
  const target = tableOf(graph, key.target)
  const mayLeave = !isTenant(target) || (child.table.declared && child.table.anchor[0] !== key)
  const inArchive =
    parent !== undefined && key.references.every(column => parent.columns.includes(column))
      ? `EXISTS (SELECT FROM ${targetRows(parent, key)} p WHERE ${keyCondition(key, 'c', 'p')})`
      : 'false'
  const live = mayLeave ? `EXISTS (SELECT FROM ${key.targetRelation} p WHERE ${keyCondition(key, 'c', 'p')})` : 'false'
  const present = key.columns.map(column => `c.${quoteIdentifier(column)} IS NOT NULL`).join(' AND ')
  const { label } = child.table
  const { count, text } = await nameRows(
    session,
    label,
    `FROM ${keyedRows(child, key)} c WHERE ${present} AND NOT ${inArchive} AND NOT ${live}`,
    'c',
    areOwn ? namingColumns(child, key.columns) : []
  )
  return count === 0
    ? []
    : [
        {
          field: label,
          reason: 'reference-to-missing-rows',
          message: `${text} ${count === 1 ? 'leads' : 'lead'} to rows that are ${mayLeave ? 'not there any more' : 'not in the archive'}: ${describeKey(graph, key)}`
        }
      ]
}

/**
 * Values of the archive that another organization's rows, or rows without an owner, hold now: a moved row, an e-mail
 * taken since.
 */
export async function takenValues(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[],
  organizationId: string
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  for (const merged of tables) {
    const { table } = merged
    for (const index of await uniqueIndexes(session, merged)) {
      const operations = operationsOn(merged, index, changeOf(changes, merged))
      if (operations.length === 0) continue
      const { joins, owner } = ownerOf(graph, table, 'o', 'LEFT JOIN')
      const { count, text } = await nameRows(
        session,
        table.label,
        `FROM ${sameValues(merged, index, operations)}
        JOIN ${merged.archive} own ON own.${rowNumber} = a.${rowNumber}
        JOIN ${table.source} o ON o.tableoid = l."merge relation" AND o.ctid = l."merge place"${joins}
        WHERE ${owner} IS DISTINCT FROM ${quoteLiteral(organizationId)}`,
        'own',
        namingColumns(merged, index.columns)
      )
      if (count > 0) {
        conflicts.push({
          field: table.label,
          reason: 'value-taken',
          message:
            `${text} can't come back: ${count === 1 ? 'its value' : 'their values'} of ${index.name} (${index.columns.join(', ')}) ` +
            `${count === 1 ? 'is held by a row that is' : 'are held by rows that are'} not the organization's`
        })
      }
    }
  }
  return conflicts
}

async function count(session: postgres.Sql, from: string): Promise<number> {
  const [row] = await session.unsafe<Array<{ rows: string }>>(`SELECT count(*) AS rows ${from}`)
  return Number(row!.rows)
}
