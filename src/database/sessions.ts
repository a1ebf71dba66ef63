import type { Sql } from 'postgres'
import { AppError } from '../errors.js'
import { preparedTransactions } from './attachments.js'
import { quoteLiteral } from './identifiers.js'

/** A session of the server, as pg_stat_activity shows it to every role. */
export interface Session {
  pid: number
  role: string | null
  application: string | null
}

/** Such as `session 4711 of bob (psql)`, for an administrator who is to end it. */
export function describeSession({ pid, role, application }: Session): string {
  return `session ${pid} of ${role ?? 'the server'}${application ? ` (${application})` : ''}`
}

/** Whether the user may end a session `a` of the role `r`. */
const mayEnd = `(pg_catalog.pg_has_role(r.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))
  AND (NOT r.rolsuper OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))`

/** The sessions in the database that the user may not end. */
export async function lastingSessions(sql: Sql, database: string): Promise<Session[]> {
  return await sql.unsafe<Session[]>(`
    SELECT a.pid, a.usename AS role, a.application_name AS application
    FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
    WHERE a.datname = ${quoteLiteral(database)} AND NOT (${mayEnd}) ORDER BY a.pid`)
}

/**
 * Ends the sessions in these databases that the user may end; one that it may not must not keep it from ending the
 * others. Autovacuum's workers are not among them: RENAME and DROP end those themselves (PostgreSQL's source,
 * CountOtherDBBackends).
 * @returns how many were told to end
 */
export async function endSessions(sql: Sql, databases: readonly string[]): Promise<number> {
  const ended = await sql`
    SELECT pg_catalog.pg_terminate_backend(a.pid)
    FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
    WHERE a.datname = ANY (${databases as string[]}) AND a.pid <> pg_catalog.pg_backend_pid()
      AND ${sql.unsafe(mayEnd)}`
  return ended.length
}

/**
 * Who keeps databases from being renamed or dropped (SQLSTATE 55006).
 * @param what could not be done, such as `The databases could not be exchanged`
 */
export async function databasesInUse(
  sql: Sql,
  databases: readonly string[],
  what: string,
  cause: unknown
): Promise<AppError> {
  const prepared = await preparedTransactions(sql, databases)
  if (prepared.length > 0) {
    return new AppError(
      'DATABASE_BUSY',
      'prepared-transactions',
      `${what}: prepared transactions stay in them: ${prepared.map(quoteLiteral).join(', ')}.`,
      {
        remedy: 'End them, with COMMIT PREPARED or ROLLBACK PREPARED and the name, then restore again.',
        cause
      }
    )
  }
  const sessions = await sql<Session[]>`
    SELECT pid, usename AS role, application_name AS application FROM pg_catalog.pg_stat_activity
    WHERE datname = ANY (${databases as string[]})`
  const names = sessions.length === 0 ? 'a session that has meanwhile ended' : sessions.map(describeSession).join(', ')
  return cannotEnd(what, names, cause)
}

/** @param names of the sessions */
export function cannotEnd(what: string, names: string, cause?: unknown): AppError {
  return new AppError('DATABASE_BUSY', 'sessions-remain', `${what}: ${names} could not be ended.`, {
    remedy: "End the sessions that are named (a superuser's can only be ended by a superuser), then restore again.",
    cause
  })
}
