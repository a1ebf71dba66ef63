import { AppError } from '../errors.js'
import { databaseError, parseConnectionUrl, withSql } from './connection/connection.js'
import { requireDirect } from './connection/direct.js'
import type { DatabaseStrategy } from './strategy.js'

const oldestMajor = 12

/**
 * A database that someone else runs, named by DATABASE_URL. start() looks once whether it answers; the caller decides
 * whether to go on without it, since connection() is known either way.
 * @throws AppError CONFIG_INVALID for an unusable URL
 */
export function createExternalDatabase ({ url }: { url: string }): DatabaseStrategy {
  const connection = parseConnectionUrl(url)

  return {
    kind: 'external',
    dataDirectory: null,
    async start () {
      await requireDirect(connection)
      const rows = await withSql(connection, {}, async (sql) =>
        await sql<Array<{ number: number, text: string }>>`
          SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text`
      ).catch((error: unknown) => { throw databaseError(error) })
      const { number = 0, text = 'unknown' } = rows[0] ?? {}
      if (Math.floor(number / 10_000) < oldestMajor) {
        throw new AppError('DATABASE_UNAVAILABLE', `The database is PostgreSQL ${text}; ${oldestMajor} or newer is needed.`, {
          remedy: `Upgrade PostgreSQL to version ${oldestMajor} or newer.`
        })
      }
    },
    async stop () {},
    connection: () => connection
  }
}
