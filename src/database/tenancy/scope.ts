import type { Sql } from 'postgres'
import { quoteIdentifier } from '../connection/connection.js'

export interface Organizations {
  /** There is a tenant table to count in. */
  known: boolean
  all: number
  /** Those that are not the one asked for. */
  others: number
}

/**
 * How many organizations the database holds: the rows of the tenant table, none when there is no such table. It is found as
 * the tenant graph finds it, whatever the search path, and row level security hides none of it.
 * @param tenantTable unquoted, plain or `schema.table`
 */
export async function countOrganizations (sql: Sql, tenantTable: string, organizationId: string): Promise<Organizations> {
  const [table] = await sql<Array<{ schema: string, name: string, key: string | null }>>`
    SELECT n.nspname AS schema, c.relname AS name, (SELECT a.attname FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1) AS key
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (n.nspname || '.' || c.relname = ${tenantTable} OR c.relname = ${tenantTable})
    ORDER BY n.nspname || '.' || c.relname = ${tenantTable} DESC, n.nspname = 'public' DESC, n.nspname COLLATE "C" LIMIT 1`
  if (table === undefined) return { known: false, all: 0, others: 0 }
  // A table that is being migrated must not make the caller wait for ever.
  await sql`SELECT set_config('row_security', 'off', false), set_config('lock_timeout', '10s', false)`
  // Without a key of one column nobody can tell which row is whose, so one of them is taken to be the asked one's.
  const others = table.key === null ? 'greatest(count(*) - 1, 0)' : `count(*) FILTER (WHERE ${quoteIdentifier(table.key)}::text <> $1)`
  const [row] = await sql.unsafe<[{ all: string, others: string }]>(
    `SELECT count(*) AS all, ${others} AS others FROM ${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`, table.key === null ? [] : [organizationId])
  return { known: true, all: Number(row.all), others: Number(row.others) }
}
