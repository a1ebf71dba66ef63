import type { Sql } from 'postgres'
import { AppError, type Problem } from '../errors.js'
import { ownSchema } from './load/marker.js'

interface Found extends Problem {
  label: string
}

/** Words for a table whose policies would leave rows out of a backup. */
export function hiddenRows(table: string): string {
  return `Row level security of ${table} hides rows from the service's database user: give it BYPASSRLS, or let it own the table without FORCE ROW LEVEL SECURITY.`
}

/**
 * Whether the user may read all that a dump of the whole database reads, asked of the catalog: pg_dump stops at the
 * first thing that it may not, and says so in the server's language.
 * @throws AppError PREFLIGHT_FAILED naming everything
 */
export async function requireReadable(sql: Sql): Promise<void> {
  const [{ user }] = await sql<[{ user: string }]>`SELECT pg_catalog.quote_ident(current_user) AS user`
  const found = [
    ...(await sql<Found[]>`
      SELECT pg_catalog.format('The database user may not use the schema %s: run GRANT USAGE ON SCHEMA %1$s TO %s.', pg_catalog.quote_ident(n.nspname), ${user}::text) AS message, 'schema-not-usable' AS reason
      FROM pg_catalog.pg_namespace n
      WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', ${ownSchema}) AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'S'))
      ORDER BY n.nspname`),
    ...(await sql<Found[]>`
      SELECT CASE WHEN pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN NULL
        WHEN c.relkind = 'S' THEN pg_catalog.format('The database user may not read the sequence %I.%I: run GRANT SELECT ON SEQUENCE %1$I.%2$I TO %s.', n.nspname, c.relname, ${user}::text)
        ELSE pg_catalog.format('The database user may not read the table %I.%I: run GRANT SELECT ON TABLE %1$I.%2$I TO %s.', n.nspname, c.relname, ${user}::text) END AS message,
        CASE WHEN pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN 'hidden-rows' ELSE 'not-readable' END AS reason, n.nspname || '.' || c.relname AS label
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', ${ownSchema})
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        AND (NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') OR (c.relkind <> 'S' AND pg_catalog.row_security_active(c.oid)))
      ORDER BY n.nspname, c.relname`.then(rows =>
      rows.map(row => ({ reason: row.reason, message: row.message ?? hiddenRows(row.label) }))
    )),
    ...(await sql<Found[]>`
      SELECT pg_catalog.format('The database user may not read the large object %s: run GRANT SELECT ON LARGE OBJECT %1$s TO %s.', l.oid, ${user}::text) AS message, 'not-readable' AS reason
      FROM pg_catalog.pg_largeobject_metadata l
      WHERE NOT pg_catalog.pg_has_role(l.lomowner, 'USAGE') AND pg_catalog.current_setting('lo_compat_privileges') = 'off'
        AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(l.lomacl) a
          WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
      ORDER BY l.oid LIMIT 20`)
  ].map(({ reason, message }): Problem => ({ reason, message }))
  if (found.length === 0) return
  throw new AppError(
    'PREFLIGHT_FAILED',
    'unreadable-objects',
    `The database user can't read all that a backup of the whole database holds. ${found.map(({ message }) => message).join(' ')}`,
    {
      errors: found,
      remedy: 'Have the owner of the objects or a superuser run what is named, then try again.'
    }
  )
}
