import type postgres from 'postgres'
import { quoteLiteral } from '../identifiers.js'
import { isTenant, type TenantGraph } from './tenant-table.js'

/** The sequences that give the tables' columns their values, quoted. */
export async function sequencesOf(
  sql: postgres.Sql,
  tables: readonly number[]
): Promise<Array<{ sequence: string; table: number; column: string }>> {
  return await sql<Array<{ sequence: string; table: number; column: string }>>`
    SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(s.relname) AS sequence, d.table, a.attname::text AS column
    FROM (
      SELECT objid AS sequence, refobjid AS table, refobjsubid AS number FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refobjsubid > 0
      UNION
      SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
      WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass) d
      JOIN pg_class s ON s.oid = d.sequence JOIN pg_namespace n ON n.oid = s.relnamespace
      JOIN pg_attribute a ON a.attrelid = d.table AND a.attnum = d.number
    WHERE s.relkind = 'S' AND d.table = ANY(${tables as number[]}::oid[])
    ORDER BY 1, 2, 3`
}

/** What puts the sequences of a script where they are now. */
export async function sequenceStatements(sql: postgres.Sql, graph: TenantGraph): Promise<string[]> {
  const found = await sequencesOf(
    sql,
    graph.tables.filter(isTenant).map(({ oid }) => oid)
  )
  const statements: string[] = []
  for (const sequence of new Set(found.map(({ sequence }) => sequence))) {
    const [state] = await sql.unsafe<Array<{ last_value: string; is_called: boolean }>>(
      `SELECT last_value, is_called FROM ${sequence}`
    )
    statements.push(`SELECT pg_catalog.setval(${quoteLiteral(sequence)}, ${state!.last_value}, ${state!.is_called});`)
  }
  return statements
}

/** Sequences of integer columns that are behind the highest value given, and can reach it. */
export async function laggingSequences(
  sql: postgres.Sql,
  tables: readonly number[],
  highest: (table: number, column: string) => Promise<string | null>
): Promise<Array<{ sequence: string; value: string; steps: number }>> {
  const lagging = []
  for (const { sequence, table, column } of await sequencesOf(sql, tables)) {
    const value = await highest(table, column)
    if (value === null) continue
    const [state] = await sql.unsafe<Array<{ gap: string; step: string; roomy: boolean }>>(`
      SELECT ${quoteLiteral(value)}::numeric - CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS gap, seqincrement AS step,
        seqmax - seqincrement >= ${quoteLiteral(value)}::numeric AS roomy
      FROM ${sequence}, pg_sequence WHERE seqrelid = ${quoteLiteral(sequence)}::regclass AND seqincrement > 0 AND seqmax >= ${quoteLiteral(value)}::numeric`)
    if (state === undefined || Number(state.gap) <= 0) continue
    // The last step may lead beyond the value, and past the sequence's end.
    lagging.push({ sequence, value, steps: state.roomy ? Math.ceil(Number(state.gap) / Number(state.step)) : Infinity })
  }
  return lagging
}

/**
 * Moves the sequences of integer columns past the highest value given, never back. nextval can't overtake another
 * session; setval could, but not over so many values within one statement.
 * @param highest the highest value that the column is about to hold, or null
 */
export async function advanceSequences(
  sql: postgres.Sql,
  tables: readonly number[],
  highest: (table: number, column: string) => Promise<string | null>
): Promise<void> {
  for (const { sequence, value, steps } of await laggingSequences(sql, tables, highest)) {
    await sql.unsafe(
      steps <= 10_000
        ? `SELECT count(nextval(${quoteLiteral(sequence)})) FROM generate_series(1, ${steps})`
        : `SELECT setval(${quoteLiteral(sequence)}, ${quoteLiteral(value)}::bigint)`
    )
  }
}
