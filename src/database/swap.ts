import type { Sql } from 'postgres'
import { AppError } from '../errors.js'
import { preparedTransactions } from './attachments.js'
import { databaseError, quoteIdentifier, quoteLiteral, type Connection } from './connection/connection.js'
import { withMaintenance } from './maintenance.js'
import { describeSession, type Session } from './sessions.js'

export interface Rename { from: string, to: string }

const terminateEveryMs = 20

/**
 * Renames databases in one transaction: all of them or none, also through a crash of anybody. Sessions in them are ended
 * meanwhile, since RENAME waits five seconds for them and then gives up; new ones queue until the commit.
 * @returns milliseconds from the first ended session to the commit: how long clients were shut out
 * @throws AppError DATABASE_BUSY naming who could not be ended
 */
export async function renameDatabases (connection: Connection, renames: readonly Rename[]): Promise<number> {
  const names = renames.map(({ from }) => from)
  try {
    return await withMaintenance(connection, async renamer =>
      await withMaintenance(connection, async terminator => {
        const started = performance.now()
        const renaming = renamer.begin(async transaction => {
          for (const { from, to } of renames) {
            await transaction.unsafe(`ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`)
          }
        })
        await terminateUntil(terminator, names, renaming)
        await renaming
        return Math.round(performance.now() - started)
      }))
  } catch (error) {
    if ((error as { code?: unknown }).code !== '55006') throw databaseError(error)
    const { sessions, prepared } = await withMaintenance(connection, async sql => ({
      sessions: await blockingSessions(sql, names), prepared: await preparedTransactions(sql, names)
    }))
    if (prepared.length > 0) {
      throw new AppError('DATABASE_BUSY', `The databases could not be exchanged: prepared transactions stay in them: ${prepared.map(quoteLiteral).join(', ')}.`, {
        remedy: 'End them, with COMMIT PREPARED or ROLLBACK PREPARED and the name, then restore again.', cause: error
      })
    }
    throw new AppError('DATABASE_BUSY', `The databases could not be exchanged: ${sessions} could not be ended.`, {
      remedy: 'End the sessions that are named (a superuser\'s can only be ended by a superuser), then restore again.', cause: error
    })
  }
}

async function terminateUntil (sql: Sql, names: readonly string[], renaming: Promise<unknown>): Promise<void> {
  let over = false
  const settled = renaming.then(() => { over = true }, () => { over = true })
  while (!over) {
    // A session that we may not end must not keep us from ending the others.
    await sql`
      SELECT pg_catalog.pg_terminate_backend(a.pid)
      FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
      WHERE a.datname = ANY (${names as string[]}) AND a.pid <> pg_catalog.pg_backend_pid()
        AND (pg_catalog.pg_has_role(r.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')) AND (NOT r.rolsuper OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))`
    await Promise.race([settled, new Promise(resolve => setTimeout(resolve, terminateEveryMs))])
  }
}

async function blockingSessions (sql: Sql, names: readonly string[]): Promise<string> {
  const sessions = await sql<Session[]>`
    SELECT pid, usename AS role, application_name AS application FROM pg_catalog.pg_stat_activity
    WHERE datname = ANY (${names as string[]})`
  if (sessions.length === 0) return 'a session that has meanwhile ended'
  return sessions.map(describeSession).join(', ')
}

