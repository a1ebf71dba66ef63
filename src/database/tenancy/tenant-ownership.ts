import type postgres from 'postgres'
import { AppError, type Problem } from '../../errors.js'
import { quoteIdentifier, quoteLiteral } from '../identifiers.js'
import type { ForeignKey } from './tenant-catalog.js'
import { describeKey, isTenant, type TenantGraph, type TenantTable } from './tenant-table.js'
import { keyCondition, ownerOf, tableOf } from './tenant-rows.js'

/** A row on which two keys disagree. Says which row and why, never what is in it. */
export interface Violation {
  /** schema.name */
  table: string
  /** The organization's own row by its key, such as `id=7`; null in a table without a key. */
  row: string | null
  /** The foreign key that contradicts the owner. */
  key: string
  why: string
}

export interface Violations {
  listed: Violation[]
  count: number
}

const listedPerKey = 50

/** @throws AppError TENANCY_UNSUPPORTED when the schema itself stands in the way */
export function requireTenancy(graph: TenantGraph): void {
  if (graph.obstacles.length === 0) return
  throw new AppError('TENANCY_UNSUPPORTED', 'not-divisible', "The database can't be split by organization.", {
    errors: graph.obstacles.map(message => ({ reason: 'obstacle', message }))
  })
}

/**
 * The safe rule: a row belongs to an organization if its anchor says so and every other key from it or to it joins it
 * to a row of the same owner. One query a key, asked from both sides. Keys of tables that TENANCY_FILE declares may
 * cross.
 */
export async function findViolations(
  sql: postgres.Sql,
  graph: TenantGraph,
  organizationId: string
): Promise<Violations> {
  const listed: Violation[] = []
  let count = 0
  for (const key of crossableKeys(graph)) {
    const rows = await sql.unsafe<Array<{ outward: boolean; row: string | null; total: string }>>(
      violationQuery(graph, key, organizationId)
    )
    for (const side of [true, false]) {
      const found = rows.filter(({ outward }) => outward === side)
      count += Number(found[0]?.total ?? 0)
      listed.push(
        ...found.map(({ row }): Violation => ({
          table: tableOf(graph, side ? key.table : key.target).label,
          row,
          key: describeKey(graph, key),
          why: side
            ? "the row is the organization's, but this key leads to a row that is not"
            : "the row is the organization's, but a row that is not leads to it by this key"
        }))
      )
    }
  }
  return { listed, count }
}

/**
 * @throws AppError TENANCY_VIOLATION listing up to 100 rows that the organization and another one both have a claim on
 */
export async function checkOwnership(sql: postgres.Sql, graph: TenantGraph, organizationId: string): Promise<void> {
  const { listed, count } = await findViolations(sql, graph, organizationId)
  if (count === 0) return
  const errors: Problem[] = listed.slice(0, 100).map(({ table, row, key, why }) => ({
    field: table,
    reason: 'claimed-twice',
    message: `${table}${row === null ? '' : ` (${row})`}: ${why}: ${key}`
  }))
  if (count > errors.length) errors.push({ field: '', reason: 'more', message: `and ${count - errors.length} more` })
  throw new AppError(
    'TENANCY_VIOLATION',
    'rows-of-several-organizations',
    `${count} ${count === 1 ? 'row belongs' : 'rows belong'} to more than one organization.`,
    {
      errors,
      remedy:
        'Correct the rows that are listed, or have the operator name in TENANCY_FILE the column that decides who owns the ' +
        'rows of the table ({"tables": {"schema.table": {"owner": "column"}}}), or leave the table out ({"exclude": true}).'
    }
  )
}

/** The keys between tenant tables that can contradict an owner; an anchor can't contradict itself. */
function crossableKeys(graph: TenantGraph): ForeignKey[] {
  const tenants = new Map(graph.tables.filter(isTenant).map(table => [table.oid, table]))
  return graph.keys.filter(key => {
    const table = tenants.get(key.table)
    return table !== undefined && tenants.has(key.target) && !table.declared && table.anchor[0] !== key
  })
}

function violationQuery(graph: TenantGraph, key: ForeignKey, organizationId: string): string {
  return `${contradictions(graph, key, true, organizationId)} UNION ALL ${contradictions(graph, key, false, organizationId)}`
}

/** The organization's rows on one side of a key that meet a row of another owner, or of none, on the other side. */
function contradictions(graph: TenantGraph, key: ForeignKey, outward: boolean, organizationId: string): string {
  const own = tableOf(graph, outward ? key.table : key.target)
  const other = tableOf(graph, outward ? key.target : key.table)
  const ours = ownerOf(graph, own, 'own')
  const theirs = ownerOf(graph, other, 'other', 'LEFT JOIN')
  const row =
    own.key === null
      ? 'NULL::text'
      : own.key
          .map(column => `${quoteLiteral(`${column}=`)} || own.${quoteIdentifier(column)}::text`)
          .join(" || ', ' || ")
  return `(SELECT ${outward} AS outward, ${row} AS row, count(*) OVER () AS total
    FROM ${side(own, outward ? key.relation : key.targetRelation)} own${ours.joins}
      JOIN ${side(other, outward ? key.targetRelation : key.relation)} other
      ON ${outward ? keyCondition(key, 'own', 'other') : keyCondition(key, 'other', 'own')}${theirs.joins}
    WHERE ${ours.owner} = ${quoteLiteral(organizationId)} AND ${theirs.owner} IS DISTINCT FROM ${quoteLiteral(organizationId)}
    ORDER BY row LIMIT ${listedPerKey})`
}

function side(table: TenantTable, relation: string): string {
  return relation === table.relation ? table.source : relation
}
