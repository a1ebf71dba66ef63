import { randomBytes } from 'node:crypto'
import type { Sql } from 'postgres'
import { openSql, type Connection } from './connection.js'
import { databaseError, pooled } from './database-error.js'

/** Any name of two parts is taken, also from a user without rights (PostgreSQL manual, "Customized Options"). */
const parameter = 'dumbassets_backup.session'

/**
 * Tells whether a session is one of the server itself, and not one that a pooler (PgBouncer, Odyssey, pgcat, RDS Proxy,
 * ...) shares out: what we set in such a session (search_path, row_security) would go on in the application's, and so
 * would our advisory locks. The connection asks for a setting that no other has ever had: a server begins the session
 * with it, while a pooler refuses what it can't give to a session that is there already, or drops it without a word. So
 * poolers of every mode are told from the server, with an idle pool and a single client too.
 * @returns the connection to open, and what to ask first in its session; that throws AppError CONFIG_INVALID
 */
export function markSession(connection: Connection): { marked: Connection; requireMark: (sql: Sql) => Promise<void> } {
  const value = randomBytes(16).toString('hex')
  const options = [connection.parameters.options, `-c ${parameter}=${value}`].filter(Boolean).join(' ')
  return {
    marked: { ...connection, parameters: { ...connection.parameters, options } },
    async requireMark(sql) {
      const [row] = await sql.unsafe<[{ value: string | null }]>(
        `SELECT pg_catalog.current_setting('${parameter}', true) AS value`
      )
      if (row.value !== value) throw pooled()
    }
  }
}

/**
 * Refuses a pooler in the place of the server, and leaves nothing in the session that answers.
 * @throws AppError CONFIG_INVALID, DATABASE_UNAVAILABLE
 */
export async function requireDirect(connection: Connection, applicationName?: string): Promise<void> {
  const { marked, requireMark } = markSession(connection)
  const sql = openSql(marked, { applicationName, isProbe: true })
  try {
    await requireMark(sql)
  } catch (error) {
    throw databaseError(error)
  } finally {
    await sql.end({ timeout: 5 })
  }
}
