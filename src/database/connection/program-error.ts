import { AppError, systemCode } from '../../errors.js'
import { ProgramError } from '../../io/process.js'
import { noConnect, outOfLocks, outOfMemory, unavailableAs } from './database-error.js'

/**
 * What libpq says of a connection, with the SQLSTATE or system code of the same. The most exact comes first: a server
 * that is full or starting is also one that could not be connected to. libpq's own words are English (LC_MESSAGES); the
 * server's need not be, and then the general ones behind them fit.
 */
const words: ReadonlyArray<[RegExp, string]> = [
  [
    /too many clients already|remaining connection slots are reserved|too many connections for (?:role|database)/,
    '53300'
  ],
  [/permission denied for database/, noConnect],
  [/password authentication failed/, '28P01'],
  [
    /no pg_hba\.conf entry|pg_hba\.conf rejects|is not permitted to log in|FATAL: {1,2}role "[^"]*" does not exist|(?:Peer|Ident|certificate) authentication failed/i,
    '28000'
  ],
  [/FATAL: {1,2}database "[^"]*" does not exist/, '3D000'],
  [/max_locks_per_transaction/, outOfLocks],
  [/ERROR: {1,2}out of memory|FATAL: {1,2}out of memory/, outOfMemory],
  [/the database system is (?:starting up|shutting down|in recovery mode|not (?:yet )?accepting connections)/, '57P03'],
  [/Connection refused|No such file or directory\n\s*Is the server running/, 'ECONNREFUSED'],
  [/could not translate host name/, 'ENOTFOUND'],
  [/connection to server (?:at|on socket) .*(?:timeout expired|timed out)/i, 'ETIMEDOUT'],
  // What our own session has exported is gone only with that session.
  [/invalid snapshot identifier|snapshot "[^"]*" does not exist/, 'CONNECTION_CLOSED'],
  [
    /connection to server (?:was lost|on socket|at)|server closed the connection|terminating connection|no connection to the server|connection not open|SSL connection has been closed|could not (?:receive|send) data (?:from|to) server/,
    'CONNECTION_CLOSED'
  ]
]

/** How the system answers when a program is gone, or may not or can't be run. */
const notRun: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENOEXEC'])

/**
 * DATABASE_UNAVAILABLE when pg_dump or psql failed for want of a connection, of memory or of locks,
 * DATABASE_TOOLS_MISSING when it has not even begun; null when it failed of something else.
 */
export function lostConnection(error: unknown): AppError | null {
  if (!(error instanceof ProgramError)) return null
  if (notRun.has(systemCode(error.cause) ?? ''))
    return new AppError('DATABASE_TOOLS_MISSING', 'client-tool-not-run', error.message, { cause: error })
  const found = words.find(([pattern]) => pattern.test(error.stderr))
  return found === undefined ? null : unavailableAs(found[1], error)
}
