import type postgres from 'postgres'
import { quoteLiteral } from './connection.js'
import { isTenant, type TenantGraph } from './tenant-graph.js'

/** The sequences that give the tables' columns their values, quoted. */
export async function sequencesOf (sql: postgres.Sql, tables: readonly number[]): Promise<Array<{ sequence: string, table: number, column: string }>> {
  return await sql<Array<{ sequence: string, table: number, column: string }>>`
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
export async function sequenceStatements (sql: postgres.Sql, graph: TenantGraph): Promise<string[]> {
  const found = await sequencesOf(sql, graph.tables.filter(isTenant).map(({ oid }) => oid))
  const statements: string[] = []
  for (const sequence of new Set(found.map(({ sequence }) => sequence))) {
    const [state] = await sql.unsafe<Array<{ last_value: string, is_called: boolean }>>(`SELECT last_value, is_called FROM ${sequence}`)
    statements.push(`SELECT pg_catalog.setval(${quoteLiteral(sequence)}, ${state!.last_value}, ${state!.is_called});`)
  }
  return statements
}
