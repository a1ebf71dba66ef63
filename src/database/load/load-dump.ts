import { randomBytes } from 'node:crypto'
import { finished, pipeline } from 'node:stream/promises'
import { AppError, systemCode } from '../../errors.js'
import { ProgramError, startProgram } from '../../io/process.js'
import { toEnvironment, type Connection } from '../connection/connection.js'
import { beginStatement } from '../connection/session-settings.js'
import { lostConnection } from '../connection/program-error.js'
import { describeEntry, entryAt, isDefaultPrivileges } from './dump-entries.js'
import { changeDump, freezeCopies, removeEntries, removeRestrict } from './dump-filter.js'
import type { DumpEntry } from './dump-pieces.js'
import { makePortable } from '../portable-dump.js'
import type { PostgresTools } from '../postgres-tools.js'
import { wayFor } from './remedies.js'
import { noLoadSettings, refreshSettings, settingStatements, type LoadSettings } from '../value-settings.js'
import type { Loader } from './scratch.js'

export interface Load {
  database: string
  loader: Loader | null
  /** Plain SQL as pg_dump writes it. */
  sql: AsyncIterable<Buffer>
  /**
   * The dump changes default privileges, which the loader may not do for another role: they are put back from the
   * metadata.
   */
  hasDefaultPrivileges: boolean
  /** All of it or nothing, unless the dump ends the transaction itself. */
  inOneTransaction?: boolean
  /** The same text once more, to find out what failed. */
  again?: () => AsyncIterable<Buffer>
  /** What the application's sessions compute by; our own plain values unless told. */
  settings?: LoadSettings
  signal: AbortSignal
}

/**
 * Loads a dump with psql. psql's own commands can run programs, so they are off from before the dump's first byte
 * (`\restrict`, psql manual) with a key that the dump can't know.
 * @throws AppError DUMP_INVALID, DISK_FULL, DATABASE_TOOLS_MISSING (a psql without \restrict)
 */
export async function loadDump(connection: Connection, tools: PostgresTools, load: Load): Promise<void> {
  const { database, loader, signal } = load
  const program = startProgram(
    tools.psql,
    ['--no-psqlrc', '--quiet', '--no-password', '--set=ON_ERROR_STOP=1', '--output=/dev/null', '--file=-'],
    { env: toEnvironment(connection, loader === null ? { database } : { database, ...loader }), signal }
  )
  const output = finished(program.stdout.resume())
  try {
    await pipeline(restricted(tools, load), program.stdin)
    await program.done
    await output
  } catch (error) {
    signal.throwIfAborted()
    if (!endedEarly(error)) {
      program.kill()
      throw error
    }
    // When psql ends early, writing to it fails first; what psql says is the reason.
    const reason = await program.done.then(
      () => error,
      (ended: unknown) => ended
    )
    const { again } = load
    throw await loadFailed(
      reason,
      again === undefined ? undefined : async line => await entryAt(restricted(tools, { ...load, sql: again() }), line)
    )
  }
}

/** What psql is fed with: the dump between `\\restrict` and `\\unrestrict`, without what the loader may not do. */
export async function* restricted(
  { serverMajor }: Pick<PostgresTools, 'serverMajor'>,
  { sql, loader, hasDefaultPrivileges, inOneTransaction = false, settings = noLoadSettings }: Load
): AsyncGenerator<Buffer> {
  const key = randomBytes(32).toString('hex')
  yield Buffer.from(`${beginStatement}${settingStatements(settings.throughout)}\\restrict ${key}\n`)
  if (inOneTransaction) yield Buffer.from('BEGIN;\n')
  yield* changeDump(removeRestrict(sql), [
    makePortable(serverMajor),
    ...(loader !== null && hasDefaultPrivileges ? [removeEntries(isDefaultPrivileges)] : []),
    ...refreshSettings(settings),
    ...(inOneTransaction ? [freezeCopies()] : [])
  ])
  yield Buffer.from(`\n\\unrestrict ${key}\n${inOneTransaction ? 'COMMIT;\n' : ''}`)
}

/** Whether writing failed because psql had ended, so that psql's own error is the one that counts. */
export function endedEarly(error: unknown): boolean {
  return (
    error instanceof ProgramError ||
    ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'].includes(systemCode(error) ?? '')
  )
}

/** Of PostgreSQL, and of PgBouncer, Odyssey and Supavisor, which know neither the role nor its database. */
const loaderRefused = new RegExp(
  '(?:failed|error): (?:FATAL|ERROR): +[^\\n]*(?:pg_hba\\.conf|authentication failed|not permitted to log in|no such (?:user|database)|' +
    '(?:user|role|database|tenant)[^\\n]* (?:not found|does not exist)|server login failed|SASL|unsupported startup parameter|permission denied for database)',
  'i'
)

/**
 * What psql's failure means.
 * @param entryOf tells what stands at a line of psql's input
 * @returns an AppError, or the error itself when it is not psql's
 */
export async function loadFailed(
  error: unknown,
  entryOf: (line: number) => Promise<DumpEntry | null> = async () => null
): Promise<unknown> {
  if (!(error instanceof ProgramError)) return error
  if (/invalid command \\restrict/.test(error.stderr)) {
    return new AppError(
      'DATABASE_TOOLS_MISSING',
      'psql-without-restrict',
      "This psql can't keep a dump from running programs.",
      {
        remedy: 'Update the PostgreSQL client tools to a minor release of August 2025 or later.',
        cause: error
      }
    )
  }
  if (/No space left on device|could not extend file|disk full/i.test(error.stderr)) {
    return new AppError('DISK_FULL', 'database-disk-full', 'The disk of the database server is full.', { cause: error })
  }
  if (/ERROR: .*temp_file_limit.*\d ?kB/.test(error.stderr)) {
    return new AppError(
      'LOAD_LIMIT_EXCEEDED',
      'load-temporary-files',
      'Loading the dump makes more temporary files than it may.',
      { cause: error }
    )
  }
  if (error.signal !== undefined)
    return new AppError(
      'DATABASE_ERROR',
      'psql-killed',
      `psql was ended by ${error.signal} while it loaded the dump.`,
      { cause: error }
    )
  if (loaderRefused.test(error.stderr)) {
    return new AppError(
      'DATABASE_UNAVAILABLE',
      'loader-role-refused',
      'The database server, or a pooler before it, does not let in the role that the dump is loaded as: each restore makes one, dab_loader_..., with a password.',
      {
        remedy:
          'Let DATABASE_URL lead to the server itself, and add a line to pg_hba.conf that lets every role in with scram-sha-256 from this machine. Or take CREATEROLE from the database user: then dumps are loaded as that user.',
        cause: error
      }
    )
  }
  if (/canceling statement due to lock timeout/.test(error.stderr)) {
    return new AppError(
      'DATABASE_BUSY',
      'table-locked',
      'A table stayed locked for too long by another session, or by a prepared transaction.',
      {
        remedy: 'End who holds the lock (pg_locks, pg_prepared_xacts), then restore again.',
        cause: error
      }
    )
  }
  const lost = lostConnection(error)
  if (lost !== null) return lost
  // The line that names the error; the lines after it can hold rows.
  const line = /(?:ERROR|FATAL): {1,2}(.*)/.exec(error.stderr)?.[1] ?? error.stderr.split('\n')[0] ?? ''
  const number = /^psql:<stdin>:(\d+): /m.exec(error.stderr)?.[1]
  // A dump that is damaged or whose reading fails keeps its own error.
  const entry = number === undefined ? null : await entryOf(Number(number)).catch(() => null)
  if (entry === null)
    return new AppError('DUMP_INVALID', 'load-failed', `The dump could not be loaded: ${line.slice(0, 300)}`, {
      cause: error
    })
  const object = describeEntry(entry)
  return new AppError(
    'DUMP_INVALID',
    'load-failed',
    `The dump could not be loaded, since it fails at ${object}: ${line.slice(0, 300)}`,
    {
      remedy: `For the operator: ${wayFor(entry, line)}. Do that with ${object} in the application's database, then make another backup. To get at the rows of this one, load its dump by hand, as src/archive/FORMAT.md says, with ${object} changed.`,
      cause: error
    }
  )
}
