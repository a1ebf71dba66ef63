import { quoteLiteral, withSql, type Connection } from './connection.js'

/**
 * Schema of what this service itself keeps in a database, only while a restore needs it; never part of a dump. Where a
 * restore is one PostgreSQL transaction, a row in here tells after a crash whether that was committed: pg_xact_status
 * alone can't, since transaction ids that were never flushed are used again.
 */
export const ownSchema = 'dumbassets_backup'

/** Statements that write the restore's marker; part of the restore's own transaction. */
export function markerStatements (restoreId: string): string {
  return `CREATE SCHEMA IF NOT EXISTS ${ownSchema};
CREATE TABLE IF NOT EXISTS ${ownSchema}.committed_restores (restore_id uuid PRIMARY KEY);
INSERT INTO ${ownSchema}.committed_restores VALUES (${quoteLiteral(restoreId)});`
}

/** Whether the restore's transaction was committed. */
export async function hasMarker (connection: Connection, restoreId: string): Promise<boolean> {
  return await withSql(connection, {}, async sql => {
    const [table] = await sql<[{ there: boolean }]>`SELECT pg_catalog.to_regclass(${`${ownSchema}.committed_restores`}) IS NOT NULL AS there`
    if (!table.there) return false
    return (await sql`SELECT FROM ${sql(ownSchema)}.committed_restores WHERE restore_id = ${restoreId}`).length > 0
  })
}

/** Removes all markers; no restore may be under way. Idempotent. */
export async function removeMarkers (connection: Connection): Promise<void> {
  await withSql(connection, {}, async sql => { await sql.unsafe(`DROP SCHEMA IF EXISTS ${ownSchema} CASCADE`) })
}
