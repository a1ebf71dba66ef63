import type { Sql } from 'postgres'
import type { AppError } from '../errors.js'
import { databaseError, openSql, type Connection } from './connection/connection.js'
import { markSession } from './connection/direct.js'
import { beginSession, type SessionKind } from './connection/session-settings.js'

/** A database can't be created, renamed or dropped from within itself, so such work is done from one of these. */
const candidates = ['postgres', 'template1']

/**
 * Hands `use` a session beside the application's database, of the server itself.
 * @throws AppError DATABASE_UNAVAILABLE when no maintenance database lets us in, CONFIG_INVALID when a pooler answers
 */
export async function withMaintenance<Result>(
  connection: Connection,
  use: (sql: Sql) => Promise<Result>,
  kind: SessionKind = 'own'
): Promise<Result> {
  const sql = await openMaintenance(connection, kind)
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

async function openMaintenance(connection: Connection, kind: SessionKind): Promise<Sql> {
  let failure: AppError | undefined
  for (const database of candidates.filter(name => name !== connection.database)) {
    const { marked, requireMark } = markSession(connection)
    const sql = openSql(marked, { database, kind })
    try {
      await requireMark(sql)
      await beginSession(sql, kind)
      // What a journal goes by must not be lost with a server that was told to commit without waiting for the disk.
      await sql`SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`
      return sql
    } catch (error) {
      failure = databaseError(error)
      await sql.end({ timeout: 5 })
      if (failure.code === 'CONFIG_INVALID') break
    }
  }
  throw failure!
}

/** The OID of the database of that name, or null. */
export async function databaseOid(sql: Sql, name: string): Promise<string | null> {
  const [row] = await sql<
    Array<{ oid: string }>
  >`SELECT oid::text AS oid FROM pg_catalog.pg_database WHERE datname = ${name}`
  return row?.oid ?? null
}
