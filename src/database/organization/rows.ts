import { AppError } from '../../errors.js'
import { ProgramError, startProgram, type RunningProgram } from '../../io/process.js'
import { toEnvironment, type Connection } from '../connection/connection.js'
import { beginScript } from '../connection/session-settings.js'
import { dumpFailed } from '../instance-dump.js'
import { lockWaitMs } from './schema.js'
import type { PostgresTools } from '../postgres-tools.js'
import { usePath } from '../search-path.js'
import type { Snapshot } from '../snapshot.js'
import { isTenant, type TenantGraph, type TenantTable } from '../tenancy/tenant-table.js'
import { quoteColumns, quoteLiteral } from '../identifiers.js'
import { ownedRows, storedColumns } from '../tenancy/tenant-rows.js'
import { sequenceStatements } from '../tenancy/tenant-sequences.js'

export interface RowsOptions {
  connection: Connection
  tools: PostgresTools
  snapshot: Snapshot
  graph: TenantGraph
  organizationId: string
  encoding: string
  loadPath: string
  signal: AbortSignal
}

export interface RowsProgram {
  /** The COPY blocks and the sequences' positions. */
  script(): AsyncGenerator<Buffer>
  kill(): void
}

const ready = 'ready'

/** Names are written in full, and no policy leaves a row out: then it is an error. */
export const transferSettings = "SET search_path = ''; SET row_security = off;"

/**
 * For the few large queries of a backup or restore: sorts and joins of an organization's rows stay in memory, its rows
 * are found by index although they are spread (the default price of that is a rotating disk's), and nothing is compiled
 * first.
 */
export const workSettings = "SET work_mem = '64MB'; SET random_page_cost = 1.1; SET jit = off;"

/** Starts psql on the statements that it reads from stdin, to write rows and marks between them in this encoding. */
export function startRowWriter(
  tools: PostgresTools,
  connection: Connection,
  encoding: string,
  signal: AbortSignal
): RunningProgram {
  const program = startProgram(
    tools.psql,
    ['--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--no-password', '--set=ON_ERROR_STOP=1', '--file=-'],
    { env: { ...toEnvironment(connection), PGCLIENTENCODING: encoding }, signal }
  )
  // psql may end before it has read all; why it did is what `done` says.
  program.stdin.on('error', () => {})
  return program
}

/**
 * Starts the one psql that writes the organization's rows; returns when it has the snapshot and its locks.
 * @throws AppError DATABASE_BUSY, DUMP_FAILED
 */
export async function startRows(options: RowsOptions): Promise<RowsProgram> {
  const { connection, tools, snapshot, graph, organizationId, encoding, loadPath, signal } = options
  const tables = graph.tables.filter(isTenant)
  const script = [
    beginScript,
    transferSettings,
    usePath(loadPath),
    workSettings,
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;',
    `SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot.id)};`,
    `SET lock_timeout = ${lockWaitMs};`,
    ...tables.map(({ source }) => `LOCK TABLE ${source} IN ACCESS SHARE MODE;`),
    `SELECT ${quoteLiteral(ready)};`,
    ...tables.flatMap(table => copyBlock(graph, table, organizationId)),
    ...(await sequenceStatements(snapshot.sql, graph)).map(statement => `SELECT ${quoteLiteral(statement)};`),
    'COMMIT;'
  ].join('\n')
  const program = startRowWriter(tools, connection, encoding, signal)
  program.stdin.end(`${script}\n`)
  const output = program.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const first = await output.next()
  if (first.done === true || !first.value.toString('latin1').startsWith(`${ready}\n`)) {
    program.kill()
    throw rowsFailed(await program.done.catch((error: unknown) => error), signal)
  }
  return {
    async *script() {
      try {
        yield first.value.subarray(ready.length + 1)
        for (let next = await output.next(); next.done !== true; next = await output.next()) yield next.value
        await program.done
      } catch (error) {
        throw rowsFailed(error, signal)
      }
    },
    kill() {
      // Output of psql that is never read would keep the pipe open for ever.
      program.stdout.destroy()
      program.kill()
    }
  }
}

function copyBlock(graph: TenantGraph, table: TenantTable, organizationId: string): string[] {
  const columns = storedColumns(table)
  const order =
    table.key === null ? `ROW(${quoteColumns(columns, 't')})::text COLLATE "C"` : quoteColumns(table.key, 't')
  return [
    `SELECT ${quoteLiteral(`COPY ${table.relation} (${quoteColumns(columns)}) FROM stdin;`)};`,
    `COPY (SELECT ${quoteColumns(columns, 't')} ${ownedRows(graph, table, 't', organizationId)} ORDER BY ${order}) TO STDOUT;`,
    `SELECT ${quoteLiteral('\\.\n')};`
  ]
}

function rowsFailed(error: unknown, signal: AbortSignal): unknown {
  signal.throwIfAborted()
  if (error instanceof ProgramError && error.stderr.includes('lock timeout')) {
    return new AppError('DATABASE_BUSY', 'structure-locked', 'Another session changes the structure of a table.', {
      remedy: 'Wait until the migration or maintenance that runs on the database has ended, then try again.',
      cause: error
    })
  }
  return dumpFailed(error)
}
