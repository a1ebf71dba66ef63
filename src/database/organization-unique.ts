import type postgres from 'postgres'
import type { TableChange } from './organization-diff.js'
import { updatedColumns, type MergeTable } from './organization-drift.js'
import { rowNumber } from './organization-load.js'

/** A unique index, in terms that can be evaluated on live and on archived rows alike. */
export interface UniqueIndex {
  name: string
  /** Columns or expressions. */
  terms: string[]
  operators: string[]
  /** The condition of a partial index. */
  predicate: string | null
  /** Checked as each row is written, so that two rows can't exchange their values. */
  immediate: boolean
  nullsDistinct: boolean
  /** Every column that takes part. */
  columns: string[]
}

/** The table's unique indexes but for those that need a column which the archive does not have. */
export async function uniqueIndexes (session: postgres.Sql, { table, columns }: MergeTable): Promise<UniqueIndex[]> {
  const indexes = await session<UniqueIndex[]>`
    SELECT c.relname::text AS name, i.indimmediate AS immediate, pg_get_expr(i.indpred, i.indrelid) AS predicate,
      pg_get_indexdef(i.indexrelid) !~ 'NULLS NOT DISTINCT' AS "nullsDistinct",
      (SELECT array_agg(DISTINCT a.attname::text) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.refobjid = i.indrelid AND d.refobjsubid > 0 AND (
          (d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid)
          OR (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u')))))
        AS columns,
      terms.*
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid, LATERAL (
      SELECT array_agg(pg_get_indexdef(i.indexrelid, u.position::int, true) ORDER BY u.position) AS terms,
        array_agg('OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' ORDER BY u.position) AS operators
      FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS u(opclass, position)
        JOIN pg_opclass p ON p.oid = u.opclass
        JOIN pg_amop e ON e.amopfamily = p.opcfamily AND e.amopstrategy = 3 AND e.amoplefttype = p.opcintype AND e.amoprighttype = p.opcintype
        JOIN pg_operator o ON o.oid = e.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
      WHERE u.position <= i.indnkeyatts) terms
    WHERE i.indrelid = ${table.oid} AND i.indisunique AND i.indisvalid
    ORDER BY c.relname COLLATE "C"`
  return indexes.filter((index) => (index.columns ?? []).every((column) => columns.includes(column)))
}

/** The planned operations that give a row another value of the index: an update that leaves its columns alone does not. */
export function operationsOn (merged: MergeTable, { columns }: UniqueIndex, { added, changed }: TableChange): Array<'i' | 'u'> {
  const updated = updatedColumns(merged)
  return [...(added > 0 ? ['i' as const] : []), ...(changed > 0 && columns.some((column) => updated.includes(column)) ? ['u' as const] : [])]
}

/**
 * FROM: archived rows that are to be written by these operations (a), live rows that hold the same value now (l), in the way of
 * each other.
 */
export function sameValues (merged: MergeTable, index: UniqueIndex, operations: ReadonlyArray<'i' | 'u'>): string {
  const values = (extra: string, from: string): string =>
    `(SELECT ${extra}, ${index.terms.map((term, position) => `(${term}) AS "merge term ${position}"`).join(', ')}
      FROM ${from}${index.predicate === null ? '' : ` WHERE ${index.predicate}`})`
  const condition = index.operators.map((operator, position) => `l."merge term ${position}" ${operator} a."merge term ${position}"`).join(' AND ')
  return `${values(rowNumber, merged.archive)} a
    JOIN ${merged.plan} written ON written.${rowNumber} = a.${rowNumber} AND written.operation IN (${operations.map((operation) => `'${operation}'`).join(', ')})
    JOIN ${values('tableoid AS "merge relation", ctid AS "merge place"', merged.table.source)} l ON ${condition}`
}
