import { buffer } from 'node:stream/consumers'
import type { Sql } from 'postgres'
import { AppError } from '../errors.js'
import { makePipe, type PipedText } from '../io/pipe.js'
import { ProgramError, startProgram, startProgramInto } from '../io/process.js'
import { toEnvironment, type Connection } from './connection/connection.js'
import { missingRight } from './connection/database-error.js'
import { lostConnection } from './connection/program-error.js'
import { ownSchema } from './load/marker.js'
import type { PostgresTools } from './postgres-tools.js'
import { loadPathLine, withLoadPath } from './search-path.js'
import type { Snapshot } from './snapshot.js'

/**
 * A change of a table that queued up behind our snapshot waits for us, and pg_dump for it: the only reason it ever
 * waits.
 */
const lockWaitMs = 5_000

export interface InstanceDumpOptions {
  snapshot: Pick<Snapshot, 'id' | 'encoding'>
  /** The search_path that the dump is loaded with. */
  loadPath: string
  /** As `needsRoots` tells. */
  viaRoots: boolean
}

/**
 * Whether a row can belong to another partition in another database, since its hash is that of a number which
 * PostgreSQL has given in this one. pg_dump finds that out for enums (getPartitioningInfo in pg_dump.c). It must be
 * told of arrays, ranges and composites, which can hold one, and of types such as regclass.
 */
export async function needsRoots(sql: Sql): Promise<boolean> {
  return (
    (
      await sql`
    SELECT FROM pg_catalog.pg_partitioned_table p, unnest(p.partclass) AS part (class) JOIN pg_catalog.pg_opclass c ON c.oid = part.class
    WHERE p.partstrat = 'h' AND c.opcnamespace = 'pg_catalog'::pg_catalog.regnamespace
      AND c.opcname IN ('array_ops', 'record_ops', 'range_ops', 'multirange_ops', 'oid_ops') LIMIT 1`
    ).length > 0
  )
}

/**
 * The whole database as plain SQL, at the snapshot. Without owners, since the role that loads it may own nothing else;
 * subscriptions are left out, since a second database must not start to replicate. In the database's own encoding,
 * which holds every value of it.
 * @throws AppError DUMP_FAILED; its finish() throws AppError DUMP_FAILED, DATABASE_UNAVAILABLE, DATABASE_BUSY when
 * pg_dump did not end well
 */
export async function dumpInstance(
  connection: Connection,
  tools: PostgresTools,
  { snapshot, loadPath, viaRoots }: InstanceDumpOptions,
  signal: AbortSignal
): Promise<PipedText> {
  const { reader, writer } = await makePipe().catch((error: unknown) => {
    throw new AppError('DUMP_FAILED', 'no-pipe', 'No pipe could be made for the dump.', {
      remedy: 'Give the service a folder for temporary files that it can write to (TMPDIR), and the program mkfifo.',
      cause: error
    })
  })
  const program = startProgramInto(writer.fd, tools.pgDump, dumpArguments(snapshot, viaRoots), {
    env: toEnvironment(connection),
    signal
  })
  // pg_dump's end is the only one now, so that the text ends with it.
  await writer.close()
  return {
    descriptor: reader.fd,
    head: [loadPathLine(loadPath)],
    async finish() {
      try {
        await program.done
      } catch (error) {
        signal.throwIfAborted()
        throw dumpFailed(error)
      }
    },
    stop: program.kill,
    close: async () => {
      await reader.close()
    }
  }
}

/** The same script without rows. @throws AppError as dumpInstance does */
export async function dumpInstanceSchema(
  connection: Connection,
  tools: PostgresTools,
  { snapshot, loadPath, viaRoots }: InstanceDumpOptions,
  signal: AbortSignal
): Promise<Buffer> {
  const program = startProgram(tools.pgDump, [...dumpArguments(snapshot, viaRoots), '--schema-only'], {
    env: toEnvironment(connection),
    signal
  })
  try {
    // One character a byte, so that no encoding can change anything.
    const text = (await buffer(program.stdout)).toString('latin1')
    await program.done
    return Buffer.from(withLoadPath(text, loadPath), 'latin1')
  } catch (error) {
    signal.throwIfAborted()
    throw dumpFailed(error)
  } finally {
    program.kill()
  }
}

function dumpArguments({ id, encoding }: InstanceDumpOptions['snapshot'], viaRoots: boolean): string[] {
  return [
    '--format=plain',
    '--no-owner',
    '--no-subscriptions',
    '--no-password',
    '--no-sync',
    `--lock-wait-timeout=${lockWaitMs}`,
    `--snapshot=${id}`,
    `--encoding=${encoding}`,
    `--exclude-schema=${ownSchema}`,
    ...(viaRoots ? ['--load-via-partition-root'] : [])
  ]
}

/** What the end of pg_dump or psql means; its own words name tables and privileges, never rows. */
export function dumpFailed(error: unknown): AppError {
  const reason =
    error instanceof ProgramError
      ? error.stderr
          .split('\n')
          .filter(line => /error:/i.test(line))
          .join(' ')
      : ''
  if (/lock timeout/i.test(reason)) {
    return new AppError(
      'DATABASE_BUSY',
      'dump-deadlock',
      'A table is about to be changed by another session, which would wait for the dump as the dump for it.',
      {
        remedy: 'Wait until the migration or maintenance that runs on the database has ended, then try again.',
        cause: error
      }
    )
  }
  if (/row-level security/.test(reason)) return missingRight(reason.slice(0, 500), error)
  return (
    lostConnection(error) ??
    new AppError('DUMP_FAILED', 'pg-dump-failed', `pg_dump failed${reason === '' ? '' : `: ${reason.slice(0, 500)}`}`, {
      remedy: /permission denied/.test(reason)
        ? 'Have the owner of the object that is named or a superuser grant the right to read it, then try again.'
        : undefined,
      cause: error
    })
  )
}
