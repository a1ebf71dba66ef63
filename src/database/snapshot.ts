import { setTimeout } from 'node:timers/promises'
import type { ReservedSql, Sql } from 'postgres'
import { AppError } from '../errors.js'
import { databaseError, openSql, withSql, type Connection } from './connection/connection.js'
import { quoteTable, type QualifiedName } from './identifiers.js'
import { reserveSession } from './connection/reserve-session.js'

export interface Snapshot {
  /** For `pg_dump --snapshot` and SET TRANSACTION SNAPSHOT, as long as the snapshot is open. */
  readonly id: string
  /** Of the database, as PostgreSQL names it. */
  readonly encoding: string
  /** The session that holds the snapshot; its queries see it. One at a time. */
  readonly sql: Sql
  close(): Promise<void>
}

const lockWait = '60s'
const tries = 5
const endLimitMs = 5000

/**
 * Opens a snapshot of the whole database: everything read in it belongs to one moment. All tables are locked against
 * changes of their structure before the snapshot is taken; a table that is rewritten after the snapshot and before
 * pg_dump's own lock would look empty in it (PostgreSQL manual, "Caveats" of MVCC).
 * @param signal ends the wait for a table that another session has locked
 * @throws AppError DATABASE_UNAVAILABLE, DATABASE_BUSY, DATABASE_ERROR, and the reason of the signal
 */
export async function openSnapshot(connection: Connection, signal?: AbortSignal): Promise<Snapshot> {
  const client = openSql(connection)
  let stopped: Promise<void> | null = null
  let stop = (): void => {}
  try {
    signal?.throwIfAborted()
    const session = await reserveSession(client)
    const [{ encoding, ...own }] = await session<[ServerSession & { encoding: string }]>`
      SELECT pid, extract(epoch FROM backend_start)::text AS start, current_setting('server_encoding') AS encoding FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()`
    stop = () => {
      stopped = endSession(connection, client, own)
    }
    signal?.addEventListener('abort', stop, { once: true })
    signal?.throwIfAborted()
    await session.unsafe('SET row_security = off')
    const id = await lockAndExport(session)
    signal?.throwIfAborted()
    return {
      id,
      encoding,
      sql: session,
      async close() {
        // Ends the transaction and its locks with the session, also when a query of it failed.
        await client.end({ timeout: 0 })
      }
    }
  } catch (error) {
    await (stopped ?? client.end({ timeout: 0 }))
    signal?.throwIfAborted()
    if ((error as { code?: unknown }).code === '55P03') {
      throw new AppError(
        'DATABASE_BUSY',
        'structure-locked',
        `A table stayed locked for ${lockWait} by another session that changes its structure.`,
        {
          remedy: 'Wait until the migration or maintenance that runs on the database has ended, then try again.',
          cause: error
        }
      )
    }
    throw databaseError(error)
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/**
 * The server does not notice that a client has gone while its session waits for a lock, so another connection ends
 * that. Where none can be had, the session's own time limit does.
 */
async function endSession(connection: Connection, client: Sql, { pid, start }: ServerSession): Promise<void> {
  const quickly = { ...connection, parameters: { ...connection.parameters, connect_timeout: '3' } }
  const ended = withSql(
    quickly,
    {},
    async sql =>
      await sql`
    SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = ${pid} AND extract(epoch FROM backend_start)::text = ${start}`
  )
  // The caller has its answer by the end of the client, also from a server that has fallen silent.
  await Promise.race([ended.catch(() => {}), setTimeout(endLimitMs, null, { ref: false })])
  await client.end({ timeout: 0 })
}

/** The start tells it from another that has the number by now, or has it on another server behind the same name. */
interface ServerSession {
  pid: number
  start: string
}

async function lockAndExport(session: ReservedSql): Promise<string> {
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const before = await listLockable(session)
    await session.unsafe(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '${lockWait}'`)
    // LOCK takes no snapshot, so the one that the next statement takes sees what the locks protect (manual, LOCK,
    // "Notes").
    for (const table of before) {
      try {
        await session.unsafe(`LOCK TABLE ONLY ${table} IN ACCESS SHARE MODE`)
      } catch (error) {
        if ((error as { code?: unknown }).code !== '42P01') throw error
        break
      }
    }
    const exported = await session<[{ id: string }]>`SELECT pg_export_snapshot() AS id`.catch(() => null)
    if (exported !== null) {
      const after = await listLockable(session)
      if (after.join() === before.join()) return exported[0].id
    }
    await session.unsafe('ROLLBACK')
  }
  throw new AppError(
    'DATABASE_BUSY',
    'tables-change',
    'Tables were created or dropped faster than a snapshot could be taken.',
    {
      remedy: 'Wait until the migration that runs on the database has ended, then try again.'
    }
  )
}

/** The tables that the user may lock, quoted; one that it may not read fails in pg_dump with a clear message. */
async function listLockable(session: ReservedSql): Promise<string[]> {
  const rows = await session<QualifiedName[]>`
    SELECT n.nspname AS schema, c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
    ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`
  return rows.map(quoteTable)
}
