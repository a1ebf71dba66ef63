import type { Sql } from 'postgres'
import { AppError } from '../../errors.js'
import { databaseError, withSql, type Connection } from '../connection/connection.js'
import { quoteLiteral } from '../identifiers.js'

/**
 * Schema of what this service itself keeps in a database, only while a restore needs it; never part of a dump. Where a
 * restore is one PostgreSQL transaction, a row in here tells after a crash whether that was committed: pg_xact_status
 * alone can't, since transaction ids that were never flushed are used again.
 */
export const ownSchema = 'dumbassets_backup'

const markers = `${ownSchema}.committed_restores`

/** Held from a marker's writing to its commit, since two transactions can't create the schema at once. */
const lock = 'SELECT pg_catalog.pg_advisory_xact_lock(4920614207331857513)'

/**
 * The restore's own, so that a session that asks for its marker waits until its transaction has ended one way or the
 * other.
 */
function restoreLock(restoreId: string, shared: '' | '_shared' = ''): string {
  return `SELECT pg_catalog.pg_advisory_xact_lock${shared}(pg_catalog.hashtextextended(${quoteLiteral(`dumbassets-backup restore ${restoreId}`)}, 0))`
}

/** Statements that write the restore's marker: the last of the restore's own transaction before its COMMIT. */
export function markerStatements(restoreId: string): string {
  return `${lock};
${restoreLock(restoreId)};
SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE pg_catalog.current_setting('synchronous_commit') = 'off';
CREATE SCHEMA IF NOT EXISTS ${ownSchema};
CREATE TABLE IF NOT EXISTS ${markers} (restore_id uuid PRIMARY KEY);
INSERT INTO ${markers} VALUES (${quoteLiteral(restoreId)});`
}

/**
 * Whether the restore's transaction was committed. After a crash of ours it may still be ending, which is waited for.
 */
export async function hasMarker(connection: Connection, restoreId: string): Promise<boolean> {
  return await guarded(
    async () =>
      await withSql(connection, {}, async sql => {
        await sql.unsafe(restoreLock(restoreId, '_shared'))
        return (
          (await isThere(sql)) &&
          (await sql.unsafe(`SELECT FROM ${markers} WHERE restore_id = ${quoteLiteral(restoreId)}`)).length > 0
        )
      })
  )
}

/**
 * Commits the transaction that holds the restore's marker, or finds out whether it has been. The answer to a COMMIT can
 * be lost after it has happened.
 * @param commit null after a crash, when the transaction is gone with its session
 * @throws AppError the failure when it is certain that nothing was committed, else RESTORE_UNFINISHED
 */
export async function commitOnce(
  connection: Connection,
  restoreId: string,
  commit: (() => Promise<void>) | null
): Promise<void> {
  let failure: unknown
  if (commit === null) {
    failure = new AppError(
      'DATABASE_ERROR',
      'transaction-lost',
      "The restore's transaction ended with the service before it was committed.",
      { remedy: 'Restore again.' }
    )
  } else {
    try {
      await commit()
      return
    } catch (error) {
      failure = error
    }
  }
  let committed: boolean
  try {
    committed = await hasMarker(connection, restoreId)
  } catch (error) {
    throw new AppError(
      'RESTORE_UNFINISHED',
      'commit-unknown',
      "The database can't be asked now whether it has committed the restore.",
      { cause: new AggregateError([failure, error]) }
    )
  }
  if (!committed) throw failure
}

/** Removes the restore's marker, and the schema when it was the last one. Idempotent. */
export async function removeMarker(connection: Connection, restoreId: string): Promise<void> {
  await guarded(
    async () =>
      await withSql(connection, {}, async sql => {
        if (!(await isThere(sql))) return
        await sql.begin(async transaction => {
          await transaction.unsafe(lock)
          await transaction.unsafe(`DELETE FROM ${markers} WHERE restore_id = ${quoteLiteral(restoreId)}`)
          const [others] = await transaction.unsafe(`SELECT FROM ${markers} LIMIT 1`)
          if (others === undefined) await transaction.unsafe(`DROP SCHEMA ${ownSchema} CASCADE`)
        })
      })
  )
}

async function isThere(sql: Sql): Promise<boolean> {
  const [table] = await sql<[{ there: boolean }]>`SELECT pg_catalog.to_regclass(${markers}) IS NOT NULL AS there`
  return table.there
}

async function guarded<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw databaseError(error)
  }
}
