import type { Sql } from 'postgres'
import { quoteLiteral, withSql, type Connection } from './connection.js'

/**
 * Schema of what this service itself keeps in a database, only while a restore needs it; never part of a dump. Where a
 * restore is one PostgreSQL transaction, a row in here tells after a crash whether that was committed: pg_xact_status
 * alone can't, since transaction ids that were never flushed are used again.
 */
export const ownSchema = 'dumbassets_backup'

/** Held from a marker's writing to its commit, since two transactions can't create the schema at once. */
const lock = 'SELECT pg_catalog.pg_advisory_xact_lock(4920614207331857513)'

/** Statements that write the restore's marker: the last of the restore's own transaction before its COMMIT. */
export function markerStatements (restoreId: string): string {
  return `${lock};
CREATE SCHEMA IF NOT EXISTS ${ownSchema};
CREATE TABLE IF NOT EXISTS ${ownSchema}.committed_restores (restore_id uuid PRIMARY KEY);
INSERT INTO ${ownSchema}.committed_restores VALUES (${quoteLiteral(restoreId)});`
}

/** Whether the restore's transaction was committed. */
export async function hasMarker (connection: Connection, restoreId: string): Promise<boolean> {
  return await withSql(connection, {}, async sql => await isThere(sql) &&
    (await sql`SELECT FROM ${sql(ownSchema)}.committed_restores WHERE restore_id = ${restoreId}`).length > 0)
}

/** Removes the restore's marker, and the schema when it was the last one. Idempotent. */
export async function removeMarker (connection: Connection, restoreId: string): Promise<void> {
  await withSql(connection, {}, async sql => {
    if (!await isThere(sql)) return
    await sql.begin(async transaction => {
      await transaction.unsafe(lock)
      await transaction`DELETE FROM ${transaction(ownSchema)}.committed_restores WHERE restore_id = ${restoreId}`
      const [others] = await transaction`SELECT FROM ${transaction(ownSchema)}.committed_restores LIMIT 1`
      if (others === undefined) await transaction.unsafe(`DROP SCHEMA ${ownSchema} CASCADE`)
    })
  })
}

async function isThere (sql: Sql): Promise<boolean> {
  const [table] = await sql<[{ there: boolean }]>`SELECT pg_catalog.to_regclass(${`${ownSchema}.committed_restores`}) IS NOT NULL AS there`
  return table.there
}
