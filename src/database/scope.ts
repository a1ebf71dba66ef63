import type { Sql } from 'postgres'
import { quoteIdentifier } from './connection.js'

/**
 * How many organizations the database holds: the rows of the tenant table, 0 when there is no such table.
 * @param tenantTable plain, or `schema.table`
 */
export async function countOrganizations (sql: Sql, tenantTable: string): Promise<number> {
  const quoted = tenantTable.split('.').map(quoteIdentifier).join('.')
  const [found] = await sql<[{ exists: boolean }]>`SELECT pg_catalog.to_regclass(${quoted}) IS NOT NULL AS exists`
  if (!found.exists) return 0
  const [row] = await sql<[{ count: string }]>`SELECT count(*) AS count FROM ${sql.unsafe(quoted)}`
  return Number(row.count)
}
