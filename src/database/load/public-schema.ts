import type { Sql } from 'postgres'
import { quoteIdentifier } from '../identifiers.js'

/**
 * What keeps the schema `public` through a DROP OWNED and makes it the one that a dump starts from. pg_dump never
 * creates this schema, and writes its privileges and its comment as differences from a new database's (getNamespaces in
 * pg_dump.c).
 */
export interface PublicSchema {
  /** Statements for before the user's objects are dropped. */
  before: string
  /** Statements for after that. */
  after: string
  /** The schema is another role's, so it stays as it is, and the dump can't change its privileges or its comment. */
  isForeign: boolean
}

interface Found {
  owner: string
  isOurs: boolean
  isManaged: boolean
  grantees: string[]
}

/** PostgreSQL 14 and later: the owner of the database is its only member. */
const databaseOwner = 'pg_database_owner'

/**
 * Plans it for the database that `sql` is connected to, as the user who owns that.
 * @param wanted the owner at the time of the backup: a role, or null for the database's owner; undefined: as it is now
 */
export async function planPublicSchema(sql: Sql, wanted: string | null | undefined): Promise<PublicSchema> {
  const [session] = await sql<[{ user: string; lendable: boolean }]>`
    SELECT current_user::text AS user, coalesce((SELECT pg_catalog.pg_has_role(oid, 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = ${databaseOwner}), false) AS lendable`
  const [found] = await sql<Found[]>`
    SELECT pg_catalog.pg_get_userbyid(n.nspowner)::text AS owner, pg_catalog.pg_get_userbyid(n.nspowner) = current_user AS "isOurs",
      pg_catalog.pg_has_role(n.nspowner, 'USAGE') AS "isManaged",
      ARRAY(SELECT DISTINCT r.rolname::text FROM pg_catalog.aclexplode(n.nspacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee) AS grantees
    FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'`
  if (found !== undefined && !found.isManaged) return { before: '', after: '', isForeign: true }
  // A schema that is not dropped keeps what other roles have in it, such as the extensions that a superuser made.
  const isLent = found?.isOurs === true && session.lendable
  const stays = found !== undefined && (!found.isOurs || isLent)
  const owner = ownerAfter(wanted, found?.owner ?? session.user, session)
  return {
    before: isLent ? `ALTER SCHEMA public OWNER TO ${databaseOwner};\n` : '',
    after: [
      ...(stays ? [] : ['CREATE SCHEMA public']),
      `ALTER SCHEMA public OWNER TO ${quoteIdentifier(owner)}`,
      `REVOKE ALL ON SCHEMA public FROM ${['PUBLIC', ...(found?.grantees ?? []).map(quoteIdentifier)].join(', ')} CASCADE`,
      `GRANT ALL ON SCHEMA public TO ${quoteIdentifier(owner)}`,
      'GRANT USAGE ON SCHEMA public TO PUBLIC',
      "COMMENT ON SCHEMA public IS 'standard public schema'"
    ]
      .map(statement => `${statement};\n`)
      .join(''),
    isForeign: false
  }
}

/** A schema can't be given to a third role without being a member of that role; then the owner stays. */
function ownerAfter(
  wanted: string | null | undefined,
  now: string,
  { user, lendable }: { user: string; lendable: boolean }
): string {
  if (wanted === databaseOwner && lendable) return databaseOwner
  return wanted === null && (now === databaseOwner || now === user) ? user : now
}
