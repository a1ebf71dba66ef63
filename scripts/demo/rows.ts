import type { Sql } from 'postgres'
import { quoteIdentifier } from '../../src/database/identifiers.js'

/** A row of an organization, as text; `place` is where PostgreSQL keeps it and which transaction wrote it. */
export interface Row {
  table: string
  text: string
  place: string
}

/**
 * Every row of an organization. In the sample data its id stands in each of them, so that this needs to know nothing of
 * the foreign keys that the service goes by.
 */
export async function rowsOf(sql: Sql, organizationId: string): Promise<Row[]> {
  const tables = await sql<
    { name: string }[]
  >`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`
  const rows: Row[] = []
  for (const { name } of tables) {
    const found = await sql.unsafe<Omit<Row, 'table'>[]>(
      `
      SELECT ROW(t.*)::text AS text, t.ctid || ' ' || t.xmin AS place FROM ${quoteIdentifier(name)} t WHERE ROW(t.*)::text ~ $1 ORDER BY 1`,
      [`\\m${organizationId}\\M`]
    )
    rows.push(...found.map(({ text, place }) => ({ table: name, text, place })))
  }
  return rows
}
