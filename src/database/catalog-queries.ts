import type { Sql } from 'postgres'
import { quoteTable, type QualifiedName } from './identifiers.js'
import { ownSchema } from './load/marker.js'

/**
 * Tables that a dump carries rows of: ordinary ones and partitions (a partitioned table itself holds none), not those
 * of the system, of temporary schemas or of extensions.
 * @param owned only the current user's own
 */
export async function listTables(sql: Sql, { owned = false } = {}): Promise<QualifiedName[]> {
  return await sql<QualifiedName[]>`
    SELECT n.nspname AS schema, c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', ${ownSchema})
      AND (NOT ${owned} OR pg_catalog.pg_get_userbyid(c.relowner) = current_user)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`
}

/** Rows of each table as the current transaction sees them. */
export async function countRows(
  sql: Sql,
  tables: readonly QualifiedName[],
  signal?: AbortSignal
): Promise<Array<QualifiedName & { rows: number }>> {
  const counted = []
  for (const { schema, name } of tables) {
    signal?.throwIfAborted()
    const [row] = await sql.unsafe<[{ rows: string }]>(
      `SELECT count(*) AS rows FROM ONLY ${quoteTable({ schema, name })}`
    )
    counted.push({ schema, name, rows: Number(row.rows) })
  }
  return counted
}

/**
 * Roles that own something in this database, are granted something in it or have settings for it; not PostgreSQL's own.
 */
export async function listRoles(sql: Sql): Promise<string[]> {
  const rows = await sql<Array<{ name: string }>>`
    SELECT DISTINCT r.rolname AS name
    FROM pg_catalog.pg_roles r
    WHERE r.rolname !~ '^pg_' AND (
      r.oid IN (SELECT refobjid FROM pg_catalog.pg_shdepend
        WHERE refclassid = 'pg_catalog.pg_authid'::regclass
          AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
      OR r.oid IN (SELECT setrole FROM pg_catalog.pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
      OR r.oid = (SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database()))
    ORDER BY name`
  return rows.map(({ name }) => name)
}

export interface Extension {
  name: string
  version: string
}

/** Installed extensions but for plpgsql, which every database has. */
export async function listExtensions(sql: Sql): Promise<Extension[]> {
  return await sql<Extension[]>`
    SELECT extname AS name, extversion AS version FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY extname`
}

/** SHA-256 over every column of every table: equal when two databases have the same tables, columns and types. */
export async function schemaFingerprint(sql: Sql): Promise<string> {
  const [row] = await sql<[{ fingerprint: string }]>`
    SELECT encode(sha256(convert_to(coalesce(string_agg(concat_ws('|', n.nspname, c.relname, a.attname,
      pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull), E'\n'
      ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attname COLLATE "C"), ''), 'UTF8')), 'hex') AS fingerprint
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', ${ownSchema})`
  return row.fingerprint
}
