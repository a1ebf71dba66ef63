import type postgres from 'postgres'
import { quoteIdentifier } from '../identifiers.js'
import type { Conflict } from './conflicts.js'
import { changeOf, type TableChange } from './diff.js'
import type { MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { nameRows, namingColumns } from './named-rows.js'
import { isEnforced } from '../tenancy/tenant-catalog.js'
import { contradict, exclusionConstraints, livePlace, termsOf, uniqueIndexes, type Exclusion } from './unique.js'

/**
 * Planned rows that the live tables would refuse, by constraints that came after the backup or by what others have
 * written since. For a rehearsal, which writes nothing: a restore is told by most tables themselves. What the archive
 * has no value for is not tried.
 */
export async function brokenConstraints(
  session: postgres.Sql,
  tables: readonly MergeTable[],
  changes: readonly TableChange[]
): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  for (const merged of tables) {
    const { added, changed } = changeOf(changes, merged)
    if (added + changed === 0) continue
    const { label } = merged.table
    for (const { name, condition } of [...requiredColumns(merged), ...(await checkConstraints(session, merged))]) {
      const { count, text } = await nameRows(
        session,
        label,
        `FROM ${planned(merged)} WHERE (${condition}) IS FALSE`,
        'rows',
        namingColumns(merged)
      )
      if (count > 0)
        conflicts.push({ field: label, reason: 'check-or-not-null', message: `${text} would be refused by ${name}` })
    }
    for (const index of await uniqueIndexes(session, merged)) {
      const { count, text } = await nameRows(
        session,
        label,
        `${plannedTerms(merged, index)} WHERE ${comesBack(merged, index)}`,
        'own',
        namingColumns(merged, index.columns)
      )
      if (count > 0)
        conflicts.push({
          field: label,
          reason: 'unique',
          message: `${text} would be refused by ${index.name}: ${merged.isNewer ? 'what they lead to goes, and without it they have the same values' : 'the backup has their values twice'}`
        })
    }
    for (const exclusion of await exclusionConstraints(session, merged)) {
      const { count, text } = await nameRows(
        session,
        label,
        `${plannedTerms(merged, exclusion)} WHERE ${comesBack(merged, exclusion)} OR ${stays(merged, exclusion)}`,
        'own',
        namingColumns(merged, exclusion.columns)
      )
      if (count > 0)
        conflicts.push({
          field: label,
          reason: 'exclusion',
          message: `${text} would be refused by ${exclusion.name}: rows that stay or come back exclude them`
        })
    }
  }
  return conflicts
}

interface Check {
  name: string
  condition: string
}

function requiredColumns({ table, columns }: MergeTable): Check[] {
  return table.columns
    .filter(({ name, notNull }) => notNull && columns.includes(name))
    .map(({ name }) => ({ name: `NOT NULL of ${name}`, condition: `${quoteIdentifier(name)} IS NOT NULL` }))
}

async function checkConstraints(session: postgres.Sql, { table, columns }: MergeTable): Promise<Check[]> {
  const found = await session<Array<Check & { columns: string[] | null }>>`
    SELECT k.conname::text AS name, pg_get_expr(k.conbin, k.conrelid) AS condition,
      (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey)) AS columns
    FROM pg_constraint k WHERE k.conrelid = ${table.oid} AND k.contype = 'c' AND ${isEnforced(session)} ORDER BY k.conname COLLATE "C"`
  return found.filter(check => check.columns?.every(column => columns.includes(column)))
}

/** The archive's rows that are to be written, under the names of their columns. */
function planned({ archive, plan }: MergeTable): string {
  return `(SELECT stored.* FROM ${archive} stored JOIN ${plan} written ON written.${rowNumber} = stored.${rowNumber} AND written.operation IN ('i', 'u')) rows`
}

function plannedTerms(merged: MergeTable, constraint: Exclusion): string {
  return `FROM ${termsOf(constraint, rowNumber, planned(merged))} a JOIN ${merged.archive} own ON own.${rowNumber} = a.${rowNumber}`
}

/** Another row of the archive contradicts it. */
function comesBack({ archive }: MergeTable, constraint: Exclusion): string {
  return `EXISTS (SELECT FROM ${termsOf(constraint, rowNumber, archive)} other
    WHERE ${contradict(constraint, 'other', 'a')} AND other.${rowNumber} <> a.${rowNumber})`
}

/** A live row that nothing is planned for contradicts it; for unique values that is asked separately. */
function stays({ table, plan }: MergeTable, constraint: Exclusion): string {
  return `EXISTS (SELECT FROM ${termsOf(constraint, livePlace, table.source)} other WHERE ${contradict(constraint, 'other', 'a')}
    AND NOT EXISTS (SELECT FROM ${plan} p WHERE p.relation = other."merge relation" AND p.place = other."merge place"))`
}
