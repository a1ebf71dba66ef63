import { AppError } from '../errors.js'
import { ProgramError, startProgram } from '../io/process.js'
import { toEnvironment, type Connection } from './connection/connection.js'
import { lostConnection } from './connection/program-error.js'
import { ownSchema } from './load/marker.js'
import type { PostgresTools } from './postgres-tools.js'


/** A change of a table that queued up behind our snapshot waits for us, and pg_dump for it: the only reason it ever waits. */
const lockWaitMs = 5_000

/**
 * The whole database as plain SQL, at the snapshot. Without owners, since the role that loads it may own nothing else;
 * subscriptions are left out, since a second database must not start to replicate.
 * @throws AppError DUMP_FAILED, DATABASE_UNAVAILABLE, DATABASE_BUSY after the last byte, when pg_dump did not end well
 */
export async function * dumpInstance (
  connection: Connection, tools: PostgresTools, snapshotId: string, signal: AbortSignal
): AsyncGenerator<Buffer> {
  const program = startProgram(tools.pgDump, [
    '--format=plain', '--no-owner', '--no-subscriptions', '--no-password', '--no-sync', `--lock-wait-timeout=${lockWaitMs}`, `--snapshot=${snapshotId}`,
    `--exclude-schema=${ownSchema}`
  ], { env: toEnvironment(connection), signal })
  try {
    yield * program.stdout as AsyncIterable<Buffer>
    await program.done
  } catch (error) {
    signal.throwIfAborted()
    throw dumpFailed(error)
  } finally {
    program.kill()
  }
}

/** What the end of pg_dump or psql means; its own words name tables and privileges, never rows. */
export function dumpFailed (error: unknown): AppError {
  const reason = error instanceof ProgramError ? error.stderr.split('\n').filter(line => /error:/i.test(line)).join(' ') : ''
  if (/lock timeout/i.test(reason)) {
    return new AppError('DATABASE_BUSY', 'A table is about to be changed by another session, which would wait for the dump as the dump for it.', {
      remedy: 'Wait until the migration or maintenance that runs on the database has ended, then try again.', cause: error
    })
  }
  return lostConnection(error) ?? new AppError('DUMP_FAILED', `pg_dump failed${reason === '' ? '' : `: ${reason.slice(0, 500)}`}`, { cause: error })
}
