import type { Sql } from 'postgres'

/** What hangs on a database itself, so that no dump carries it and no other database can take its place with it. */
export interface Attachments {
  /** Names of transactions that were prepared in it and are neither committed nor rolled back. */
  preparedTransactions: string[]
  /** Logical replication slots that read from it. */
  slots: string[]
  /** Subscriptions that write into it, also those that are disabled. */
  subscriptions: string[]
  isTemplate: boolean
}

/** Asked from any database of the server. */
export async function readAttachments(sql: Sql, database: string): Promise<Attachments> {
  const named = async (rows: Promise<ReadonlyArray<{ name: string }>>): Promise<string[]> =>
    (await rows).map(({ name }) => name)
  const template = await sql`SELECT FROM pg_catalog.pg_database WHERE datname = ${database} AND datistemplate`
  return {
    preparedTransactions: await preparedTransactions(sql, [database]),
    slots: await named(sql<Array<{ name: string }>>`
      SELECT slot_name AS name FROM pg_catalog.pg_replication_slots WHERE database = ${database} ORDER BY slot_name`),
    // Every user may read these columns, but not all of the catalog (manual, "pg_subscription").
    subscriptions: await named(sql<Array<{ name: string }>>`
      SELECT s.subname AS name FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
      WHERE d.datname = ${database} ORDER BY s.subname`),
    isTemplate: template.length > 0
  }
}

export async function preparedTransactions(sql: Sql, databases: readonly string[]): Promise<string[]> {
  const rows = await sql<Array<{ name: string }>>`
    SELECT gid AS name FROM pg_catalog.pg_prepared_xacts WHERE database = ANY (${databases as string[]}) ORDER BY prepared`
  return rows.map(({ name }) => name)
}
