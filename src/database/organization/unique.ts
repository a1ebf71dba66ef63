import type postgres from 'postgres'
import type { TableChange } from './diff.js'
import { updatedColumns, type MergeTable } from './drift.js'
import { rowNumber } from './load.js'

/**
 * What two rows of a table may not have in common, in terms that can be evaluated on live and on archived rows alike.
 */
export interface Exclusion {
  name: string
  /** Columns or expressions. */
  terms: string[]
  operators: string[]
  /** The condition of a partial index. */
  predicate: string | null
  /** Every column that takes part. */
  columns: string[]
  /** Checked as each row is written, so that two rows can't exchange their values. */
  immediate: boolean
  nullsDistinct: boolean
}

/** The table's unique indexes but for those that need a column which the archive does not have. */
export async function uniqueIndexes(session: postgres.Sql, { table, columns }: MergeTable): Promise<Exclusion[]> {
  const indexes = await session<Exclusion[]>`
    SELECT c.relname::text AS name, i.indimmediate AS immediate, pg_get_expr(i.indpred, i.indrelid) AS predicate,
      pg_get_indexdef(i.indexrelid) !~ 'NULLS NOT DISTINCT' AS "nullsDistinct",
      (SELECT array_agg(DISTINCT a.attname::text) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.refobjid = i.indrelid AND d.refobjsubid > 0 AND (
          (d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid)
          OR (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u')))))
        AS columns,
      terms.*
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree', LATERAL (
      SELECT array_agg(pg_get_indexdef(i.indexrelid, u.position::int, true) ORDER BY u.position) AS terms,
        array_agg('OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' ORDER BY u.position) AS operators
      FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS u(opclass, position)
        JOIN pg_opclass p ON p.oid = u.opclass
        JOIN pg_amop e ON e.amopfamily = p.opcfamily AND e.amopstrategy = 3 AND e.amoplefttype = p.opcintype AND e.amoprighttype = p.opcintype
        JOIN pg_operator o ON o.oid = e.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
      WHERE u.position <= i.indnkeyatts) terms
    WHERE i.indrelid = ${table.oid} AND i.indisunique AND i.indisvalid
    ORDER BY c.relname COLLATE "C"`
  return indexes.filter(index => (index.columns ?? []).every(column => columns.includes(column)))
}

/** The table's EXCLUDE constraints, likewise. */
export async function exclusionConstraints(
  session: postgres.Sql,
  { table, columns }: MergeTable
): Promise<Exclusion[]> {
  const constraints = await session<Exclusion[]>`
    SELECT k.conname::text AS name, i.indimmediate AS immediate, true AS "nullsDistinct", pg_get_expr(i.indpred, i.indrelid) AS predicate, terms.*,
      (SELECT array_agg(DISTINCT a.attname::text) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.refobjid = i.indrelid AND d.refobjsubid > 0 AND (
          (d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid) OR (d.classid = 'pg_constraint'::regclass AND d.objid = k.oid))) AS columns
    FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid, LATERAL (
      SELECT array_agg(pg_get_indexdef(i.indexrelid, u.position::int, true) ORDER BY u.position) AS terms,
        array_agg('OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' ORDER BY u.position) AS operators
      FROM unnest(k.conexclop) WITH ORDINALITY AS u(operator, position)
        JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace n ON n.oid = o.oprnamespace) terms
    WHERE k.conrelid = ${table.oid} AND k.contype = 'x'
    ORDER BY k.conname COLLATE "C"`
  return constraints.filter(constraint => (constraint.columns ?? []).every(column => columns.includes(column)))
}

/** Names a live row. */
export const livePlace = 'tableoid AS "merge relation", ctid AS "merge place"'

/** The rows that a constraint speaks of, with its terms by number. */
export function termsOf({ terms, predicate }: Exclusion, extra: string, from: string): string {
  return `(SELECT ${extra}, ${terms.map((term, position) => `(${term}) AS "merge term ${position}"`).join(', ')}
    FROM ${from}${predicate === null ? '' : ` WHERE ${predicate}`})`
}

/** Whether the terms of two such rows contradict each other. */
export function contradict({ operators, nullsDistinct }: Exclusion, one: string, other: string): string {
  return operators
    .map((operator, position) => {
      const [left, right] = [`${one}."merge term ${position}"`, `${other}."merge term ${position}"`]
      return nullsDistinct
        ? `${left} ${operator} ${right}`
        : `(${left} ${operator} ${right} OR (${left} IS NULL AND ${right} IS NULL))`
    })
    .join(' AND ')
}

/**
 * The planned operations that give a row another value of the index: an update that leaves its columns alone does not.
 */
export function operationsOn(
  merged: MergeTable,
  { columns }: Exclusion,
  { added, changed }: TableChange
): Array<'i' | 'u'> {
  const updated = updatedColumns(merged)
  return [
    ...(added > 0 ? ['i' as const] : []),
    ...(changed > 0 && columns.some(column => updated.includes(column)) ? ['u' as const] : [])
  ]
}

/**
 * FROM: archived rows that are to be written by these operations (a), live rows that hold the same value now (l), in
 * the way of each other.
 */
export function sameValues(merged: MergeTable, constraint: Exclusion, operations: ReadonlyArray<'i' | 'u'>): string {
  return `${termsOf(constraint, rowNumber, merged.archive)} a
    JOIN ${merged.plan} written ON written.${rowNumber} = a.${rowNumber} AND written.operation IN (${operations.map(operation => `'${operation}'`).join(', ')})
    JOIN ${termsOf(constraint, livePlace, merged.table.source)} l ON ${contradict(constraint, 'l', 'a')}`
}
