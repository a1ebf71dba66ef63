import type postgres from 'postgres'
import { AppError, systemCode } from '../../errors.js'
import { openSql, type Connection } from '../connection/connection.js'
import { describeSession, type Session } from '../sessions.js'

const lookEveryMs = 1000

export interface BlockerWatch {
  /**
   * The error of a wait that was given up, with the tables and the sessions that were seen last; any other as it is.
   */
  explain(error: unknown): unknown
  stop(): Promise<void>
}

/**
 * Looks from a session of its own at what another one waits for: when that gives up, its transaction is over and with
 * it the knowledge of who stood in the way. Connects when the first look is due, so a short restore opens no connection
 * for it.
 */
export function watchBlockers(connection: Connection, pid: number): BlockerWatch {
  const client = openSql(connection)
  let seen: string | null = null
  let looking = Promise.resolve()
  let isLooking = false
  const timer = setInterval(() => {
    if (isLooking) return
    isLooking = true
    looking = look(client, pid)
      .then(found => {
        seen = found ?? seen
      })
      // Who can't be seen is not named; what became of the restore is told by its own session.
      .catch(() => {})
      .finally(() => {
        isLooking = false
      })
  }, lookEveryMs)
  return {
    explain: error =>
      seen !== null && gaveUpWaiting(error)
        ? new AppError('DATABASE_BUSY', 'blocked-by-sessions', seen, {
            remedy: 'End the sessions that are named or wait until their transactions have ended, then try again.',
            cause: error
          })
        : error,
    async stop() {
      clearInterval(timer)
      // A look is short, and postgres.js 3.4.9 throws where it can't be caught when it is cut off while it connects.
      await client.end({ timeout: 5 })
      await looking
    }
  }
}

function gaveUpWaiting(error: unknown): boolean {
  return systemCode(error) === '55P03' || (error instanceof AppError && systemCode(error.cause) === '55P03')
}

/** A session that waits for a row holds its tuple lock, which tells the table. */
async function look(sql: postgres.Sql, pid: number): Promise<string | null> {
  const [waiting] = await sql<[{ tables: string | null; prepared: boolean; blockers: number[] }]>`
    SELECT (SELECT string_agg(DISTINCT n.nspname || '.' || c.relname, ', ') FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.pid = ${pid} AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (NOT l.granted OR l.locktype = 'tuple')) AS tables,
      blockers @> ARRAY[0] AS prepared, blockers
    FROM pg_blocking_pids(${pid}) AS blockers`
  if (waiting.blockers.length === 0) return null
  const sessions = await sql<Session[]>`
    SELECT pid, usename::text AS role, application_name AS application FROM pg_stat_activity WHERE pid = ANY(${waiting.blockers}::integer[]) ORDER BY pid`
  // Those have no session; pg_blocking_pids gives 0 for them.
  const prepared = waiting.prepared
    ? await sql<
        Array<{ gid: string; owner: string }>
      >`SELECT gid, owner::text AS owner FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid`
    : []
  const names = [
    ...sessions.map(describeSession),
    ...prepared.map(({ gid, owner }) => `the prepared transaction ${gid} of ${owner}`)
  ]
  if (names.length === 0) return null
  return `${waiting.tables ?? 'What the restore needs'} stayed locked by ${names.join(', ')}.`
}
