import type { Sql } from 'postgres'

/** What a restore needs to know of the server and of the user that it works as. */
export interface ServerFacts {
  major: number
  isSuperuser: boolean
  canCreateDatabase: boolean
  canCreateRole: boolean
  /** How many locks the server has room for, as a rule. */
  lockSlots: number
  /**
   * wal_level is minimal: what a transaction writes into tables that it has made itself is flushed at its end and not
   * logged.
   */
  skipsWal: boolean
  roles: Set<string>
  /** Extensions that can be installed here, and whether an ordinary database owner may do it. */
  extensions: Map<string, { trusted: boolean }>
  /** The live database; null when it is not there. */
  live: { owner: string; ownedByUs: boolean; sizeBytes: number } | null
}

/** Reads the facts from beside the live database, which may be broken or gone. */
export async function readServerFacts(sql: Sql, database: string): Promise<ServerFacts> {
  const [user] = await sql<
    [{ major: string; super: boolean; createdb: boolean; createrole: boolean; minimal: boolean; locks: number }]
  >`
    SELECT current_setting('server_version_num')::int / 10000 AS major, rolsuper AS super, rolsuper OR rolcreatedb AS createdb,
      rolsuper OR rolcreaterole AS createrole,
      current_setting('wal_level') = 'minimal' AS minimal,
      current_setting('max_locks_per_transaction')::int
        * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS locks
    FROM pg_catalog.pg_roles WHERE rolname = current_user`
  const [live] = await sql<Array<{ owner: string; ours: boolean; size: string }>>`
    SELECT r.rolname AS owner, pg_catalog.pg_has_role(d.datdba, 'USAGE') AS ours, pg_catalog.pg_database_size(d.oid) AS size
    FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = ${database}`
  const roles = await sql<Array<{ name: string }>>`SELECT rolname AS name FROM pg_catalog.pg_roles`
  // The column is there from version 13 on.
  const extensions = await sql<Array<{ name: string; trusted: boolean }>>`
    SELECT name, bool_or(coalesce((to_jsonb(v) ->> 'trusted')::boolean, false)) AS trusted
    FROM pg_catalog.pg_available_extension_versions v GROUP BY name`
  return {
    major: Number(user.major),
    isSuperuser: user.super,
    canCreateDatabase: user.createdb,
    canCreateRole: user.createrole,
    lockSlots: user.locks,
    skipsWal: user.minimal,
    roles: new Set(roles.map(({ name }) => name)),
    extensions: new Map(extensions.map(({ name, trusted }) => [name, { trusted }])),
    live: live === undefined ? null : { owner: live.owner, ownedByUs: live.ours, sizeBytes: Number(live.size) }
  }
}
