import type { Sql } from 'postgres'
import { AppError } from '../../errors.js'
import { databaseError, type Connection } from '../connection/connection.js'
import { withMaintenance } from '../maintenance.js'

/** How far a dump may go while it is loaded. Its own statements could lift any limit that is set in its session. */
export interface LoadLimits {
  /** That the database may grow by. */
  maxBytes: number
  maxMs: number
  /** Between two looks at the database's size; a second unless told. */
  everyMs?: number
}

const slackBytes = 1 << 30
const slackMs = 15 * 60_000

/**
 * Limits that an honest dump stays far below: four times the size that the database had, and 10 s for each MB of the
 * dump.
 * @param databaseBytes what the metadata say of the database's size
 * @param dumpBytes of the compressed dump
 * @param timeoutMs in place of what follows from the dump's size
 */
export function limitsFor(
  databaseBytes: number,
  { dumpBytes, trusted, timeoutMs }: { dumpBytes: number; trusted: boolean; timeoutMs: number | null }
): LoadLimits {
  // A stranger's metadata may say anything; hundred times its size is what a dump of ordinary rows unpacks to at most.
  const expected = trusted ? databaseBytes : Math.min(databaseBytes, dumpBytes * 100)
  return { maxBytes: slackBytes + 4 * expected, maxMs: timeoutMs ?? slackMs + dumpBytes / 100 }
}

/**
 * Lets `load` fill the database, with a signal that ends it where it goes beyond the limits.
 * @throws AppError LOAD_LIMIT_EXCEEDED
 */
export async function withinLimits<T>(
  connection: Connection,
  database: string,
  { maxBytes, maxMs, everyMs = 1000 }: LoadLimits,
  signal: AbortSignal,
  load: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const stop = new AbortController()
  const timer = setTimeout(
    () => {
      stop.abort(
        new AppError(
          'LOAD_LIMIT_EXCEEDED',
          'load-time',
          `Loading the dump takes longer than ${Math.round(maxMs / 1000)} s.`
        )
      )
      // More than a timer can count is no limit.
    },
    Math.min(maxMs, 0x7fffffff)
  )
  try {
    return await withMaintenance(connection, async sql => {
      const look = async (): Promise<number> =>
        await sizeOf(sql, database).catch((error: unknown) => {
          throw databaseError(error)
        })
      const before = await look()
      const loading = load(AbortSignal.any([signal, stop.signal]))
      const ended = loading.then(
        () => true,
        () => true
      )
      try {
        while (!(await Promise.race([ended, after(everyMs)]))) {
          if ((await look()) - before <= maxBytes) continue
          stop.abort(
            new AppError('LOAD_LIMIT_EXCEEDED', 'load-bytes', `Loading the dump makes more than ${maxBytes} bytes.`)
          )
          break
        }
      } catch (error) {
        // Without the watch the load must not go on.
        stop.abort(error)
      }
      return await loading
    })
  } finally {
    clearTimeout(timer)
  }
}

/** With the temporary files of its sessions, where we may see those (a superuser, or a member of pg_monitor). */
async function sizeOf(sql: Sql, database: string): Promise<number> {
  const [row] = await sql<[{ size: string | null; able: boolean }]>`
    SELECT (SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = ${database}) AS size,
      pg_catalog.has_function_privilege('pg_catalog.pg_ls_tmpdir()', 'EXECUTE') AS able`
  if (!row.able) return Number(row.size ?? 0)
  const [files] = await sql<[{ size: string | null }]>`
    SELECT sum(f.size) AS size FROM pg_catalog.pg_ls_tmpdir() f JOIN pg_catalog.pg_stat_activity a ON f.name LIKE 'pgsql\\_tmp' || a.pid || '.%'
    WHERE a.datname = ${database}`
  return Number(row.size ?? 0) + Number(files.size ?? 0)
}

async function after(ms: number): Promise<false> {
  return await new Promise(resolve => {
    setTimeout(() => {
      resolve(false)
    }, ms).unref()
  })
}
