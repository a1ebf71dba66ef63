import type { Sql } from 'postgres'
import { ownableObjects, type OwnedObject } from '../owners.js'

/**
 * What of a database is not dropped when its user drops all that it owns (DROP OWNED), or goes along without a word.
 */
export interface StayingObjects {
  user: string
  /** Objects of other roles, without the schema public. */
  objects: OwnedObject[]
  /** Tables among them. */
  tables: Array<{ schema: string; name: string; identity: string }>
  /** Names of extensions that another role has made. */
  extensions: Set<string>
  /** What others lose, one sentence each. */
  losses: string[]
}

/** Reads them from the database that `sql` is connected to, as the user who is going to drop what it owns. */
export async function readStayingObjects(sql: Sql): Promise<StayingObjects> {
  const [{ user }] = await sql<[{ user: string }]>`SELECT current_user::text AS user`
  const objects = (await ownableObjects(sql)).filter(
    ({ type, identity, owner }) => owner !== user && !(type === 'schema' && identity === 'public')
  )
  const tables = await sql<StayingObjects['tables']>`
    SELECT n.nspname::text AS schema, c.relname::text AS name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS identity
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_get_userbyid(c.relowner) <> current_user AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`
  const extensions = await sql<Array<{ name: string }>>`
    SELECT extname::text AS name FROM pg_catalog.pg_extension WHERE pg_catalog.pg_get_userbyid(extowner) <> current_user`
  return {
    user,
    objects,
    tables: [...tables],
    extensions: new Set(extensions.map(({ name }) => name)),
    losses: [...(await lostDefaults(sql, user)), ...(await lostPublications(sql))]
  }
}

/**
 * DROP OWNED takes the user out of the default privileges of other roles, for which it needs no right of theirs
 * (shdepDropOwned).
 */
async function lostDefaults(sql: Sql, user: string): Promise<string[]> {
  const roles = await sql<Array<{ role: string }>>`
    SELECT DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole)) AS role
    FROM pg_catalog.pg_default_acl d CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
    WHERE pg_catalog.pg_get_userbyid(a.grantee) = current_user AND pg_catalog.pg_get_userbyid(d.defaclrole) <> current_user ORDER BY 1`
  return roles.map(
    ({ role }) =>
      `The default privileges of the role ${role} lose what they grant to ${user}: run ALTER DEFAULT PRIVILEGES FOR ROLE ${role} ... GRANT ... TO ${user} again after the restore.`
  )
}

/** A table takes its place in a publication with it. */
async function lostPublications(sql: Sql): Promise<string[]> {
  const publications = await sql<Array<{ name: string; owner: string }>>`
    SELECT DISTINCT pg_catalog.quote_ident(p.pubname) AS name, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(p.pubowner)) AS owner
    FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
    WHERE pg_catalog.pg_get_userbyid(p.pubowner) <> current_user AND pg_catalog.pg_get_userbyid(c.relowner) = current_user ORDER BY 1`
  return publications.map(
    ({ name, owner }) =>
      `The publication ${name} of the role ${owner} loses the tables of this database: run ALTER PUBLICATION ${name} ADD TABLE ... again after the restore.`
  )
}
