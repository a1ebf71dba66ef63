import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { AppError } from '../../errors.js'
import { ProgramError, startProgram } from '../../io/process.js'
import { codeQuery, type CodeObjects } from '../code-objects.js'
import { databaseError, toEnvironment, trustedPath, withSql, type Connection } from '../connection/connection.js'
import { labelOf, quoteLiteral, quoteTable } from '../identifiers.js'
import { lostConnection } from '../connection/program-error.js'
import { dependentsConflict } from './dependents.js'
import { entryAt, isDefaultPrivileges, isExtensionComment, isOfPublicSchema } from './dump-entries.js'
import { beginStatement } from '../connection/session-settings.js'
import { changeDump, removeEntries, removeRestrict } from './dump-filter.js'
import { otherRolesObject } from './in-the-way.js'
import { endedEarly, loadFailed } from './load-dump.js'
import { markerStatements } from './marker.js'
import type { PublicSchema } from './public-schema.js'
import { storedColumnList } from '../stored-columns.js'
import { countWhole, otherCount } from './verify-load.js'
import { refuseWithOthers, type Census, type Organizations } from '../tenancy/scope.js'
import { makePortable } from '../portable-dump.js'
import type { PostgresTools } from '../postgres-tools.js'
import {
  noLoadSettings,
  plainStatements,
  refreshSettings,
  settingStatements,
  type LoadSettings
} from '../value-settings.js'

export interface InPlaceRequest {
  restoreId: string
  /** Plain SQL as pg_dump writes it; more than once, to find out what failed. */
  sql: () => AsyncIterable<Buffer>
  /** What must be there when it is loaded. */
  tables: ReadonlyArray<{ schema: string; name: string; rows: number }>
  /** No other organization may be in it, from when it is locked on; null: all that are there are replaced. */
  census: Census | null
  /** As it is unless told. */
  publicSchema?: PublicSchema
  /**
   * Default privileges in place of those in the dump, which may be other roles'; null: those of the dump are the user's
   * own.
   */
  defaultPrivileges?: string[] | null
  /** Tell what would run by itself in the database then. */
  listCode: boolean
  /** What the application's sessions compute by; our own plain values unless told. */
  settings?: LoadSettings
  signal: AbortSignal
}

/** A transaction that has replaced everything and waits. Until it ends, readers of the database wait too. */
export interface InPlaceLoad {
  /** A digest of each table's rows, in the order of the request's tables. */
  digests: string[]
  /** Empty unless it was asked for. */
  code: CodeObjects
  /** When the connection breaks meanwhile the error does not tell whether it was committed: the marker does. */
  commit(): Promise<void>
  rollback(): Promise<void>
}

/** The partitioned table at the top that a partition belongs to, in hexadecimal. */
function partitionRoot(schema: string, name: string): string {
  return `(SELECT pg_catalog.encode(pg_catalog.textsend(pg_catalog.pg_partition_root(c.oid)::text), 'hex') FROM pg_catalog.pg_class c WHERE c.oid = ${quoteLiteral(quoteTable({ schema, name }))}::pg_catalog.regclass AND c.relispartition)`
}

/**
 * A query that gives a query as text, which depends on the table's columns: for one value that is the same for the same
 * rows, whatever their order, of the table itself or of all its partitions.
 * @param others what else the given query selects, before and after the value
 */
export function tableDigest(schema: string, name: string, others: { before?: string; after?: string } = {}): string {
  const table = quoteTable({ schema, name })
  const relation = `${quoteLiteral(table)}::pg_catalog.regclass`
  const { before = '', after = '' } = others
  const [start, end] = [
    `SELECT ${before}(SELECT count(*) || ' ' || coalesce(sum(hashtextextended(ROW(`,
    `)::text, 0)::numeric), 0) FROM ${table} t
    WHERE t.tableoid = ${relation} OR (SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = ${relation})) AS digest${after}`
  ]
  return `SELECT ${quoteLiteral(start)} || ${storedColumnList(relation)} || ${quoteLiteral(end)} AS query`
}

/**
 * Loads a dump in place of everything that the user owns in the live database, in one transaction that stays open. The
 * dump runs with the user's own rights. RESTRICT: what another role has built upon ours must not go with it. A dump
 * with a COMMIT of its own would end the transaction midway, for all to see: until the dump has been read, a deferred
 * constraint is violated, so that no COMMIT can succeed. After a ROLLBACK of its own nothing can be written any more.
 * Organizations are counted once their table is locked, which no session gets past until the transaction ends.
 * @throws AppError DUMP_INVALID, RESTORE_CONFLICT, PREFLIGHT_FAILED, DATABASE_BUSY, DISK_FULL,
 * OTHER_ORGANIZATIONS_AFFECTED
 */
export async function loadInPlace(
  connection: Connection,
  tools: PostgresTools,
  request: InPlaceRequest
): Promise<InPlaceLoad> {
  const { settings = noLoadSettings } = request
  const token = randomBytes(16).toString('hex')
  const key = randomBytes(32).toString('hex')
  const guard = `no_commit_${randomBytes(8).toString('hex')}`
  const program = startProgram(
    tools.psql,
    ['--no-psqlrc', '--quiet', '--no-password', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1', '--file=-'],
    { env: toEnvironment(connection), signal: request.signal }
  )
  const answers = readAnswers(program.stdout, token)

  const dump = (): AsyncIterable<Buffer> => ownEntries(request, tools)
  let linesBefore: number | null = null

  async function* script(): AsyncGenerator<Buffer | string> {
    yield `${beginStatement}${settingStatements(settings.throughout)}\\restrict ${key}\nSET default_transaction_read_only = on;\nBEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\nSET LOCAL lock_timeout = '60s';\n`
    yield `SELECT '${token}', 'begin', pg_current_xact_id();\n`
    if (request.census !== null) {
      const { tenantTable, relation, query } = request.census
      yield `SET LOCAL row_security = off;\nLOCK TABLE ${relation} IN ACCESS EXCLUSIVE MODE;\nSELECT '${token}', 'organizations', counted.* FROM (${query}) counted;\n`
      await Promise.race([answers.counted, program.done])
      if (answers.organizations === undefined)
        throw new AppError('DATABASE_ERROR', 'session-ended', 'The session that replaces the database has ended.')
      refuseWithOthers({ tenantTable, ...answers.organizations }, 'this backup would replace the rows of all of them')
    }
    yield `${request.publicSchema?.before ?? ''}DROP OWNED BY CURRENT_USER RESTRICT;\n${request.publicSchema?.after ?? ''}`
    yield `CREATE TEMPORARY TABLE ${guard} (n int CONSTRAINT ${guard}_key UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO ${guard} VALUES (1), (1);\n`
    yield* dump()
    // The digests are compared with those of a session of ours.
    yield `\n\\unrestrict ${key}\nSET client_encoding = 'UTF8';\n${plainStatements()}${(request.defaultPrivileges ?? []).map(statement => `${statement};\n`).join('')}DELETE FROM pg_temp.${guard};\n`
    for (const { schema, name } of request.tables)
      yield `${tableDigest(schema, name, { before: `'${token}', 'table', `, after: `, ${partitionRoot(schema, name)}` })} \\gexec\n`
    yield `SET LOCAL search_path = ${trustedPath};\n`
    if (request.listCode)
      yield `SELECT '${token}', 'code', digest, pg_catalog.encode(pg_catalog.textsend(object), 'hex') FROM (${codeQuery}) code;\n`
    yield `${markerStatements(request.restoreId)}\nSELECT '${token}', 'end', pg_current_xact_id_if_assigned();\n`
  }

  try {
    let lines = 0
    for await (const part of script()) {
      if (program.stdin.destroyed) break
      if (typeof part === 'string') lines += part.split('\n').length - 1
      else linesBefore ??= lines
      if (!program.stdin.write(part)) await Promise.race([once(program.stdin, 'drain'), program.done])
    }
    const ended = answers.ended.then(() => true)
    if (!(await Promise.race([ended, program.done.then(() => false)])))
      throw new AppError('DUMP_INVALID', 'dump-ended-session', 'The dump ended the session that loads it.')
    checkAnswers(answers, request)
  } catch (error) {
    const reason = endedEarly(error)
      ? await program.done.then(
          () => error,
          (ended: unknown) => ended
        )
      : error
    program.kill()
    // The server would go on with the statement that psql was ended in, and with it every lock of ours.
    if (answers.begin !== undefined && (request.signal.aborted || !endedEarly(error)))
      await endTransaction(connection, answers.begin)
    request.signal.throwIfAborted()
    if (reason instanceof AppError) throw reason
    const before = linesBefore
    throw (
      ownFailure(reason, guard) ??
      (await otherRolesObject(connection, reason)) ??
      (await loadFailed(reason, async line =>
        before === null || line <= before ? null : await entryAt(dump(), line - before)
      ))
    )
  }

  return {
    digests: answers.tables.map(({ digest }) => digest),
    code: answers.code,
    async commit() {
      try {
        program.stdin.end('COMMIT;\n')
        await program.done
      } catch (error) {
        throw (
          lostConnection(error) ??
          new AppError('DATABASE_ERROR', 'not-committed', 'The database did not commit the restore.', { cause: error })
        )
      }
    },
    async rollback() {
      program.stdin.destroy()
      program.kill()
      await program.done.catch(() => {})
    }
  }
}

/** The dump without what the user may not change: that stays as it is. */
function ownEntries(
  { sql, publicSchema, defaultPrivileges = null, settings = noLoadSettings }: InPlaceRequest,
  { serverMajor }: PostgresTools
): AsyncIterable<Buffer> {
  return changeDump(removeRestrict(sql()), [
    makePortable(serverMajor),
    // An extension that a superuser made stays where it is, with its comment; one of ours comes back with its own.
    removeEntries(isExtensionComment),
    ...(publicSchema?.isForeign === true ? [removeEntries(isOfPublicSchema)] : []),
    ...(defaultPrivileges === null ? [] : [removeEntries(isDefaultPrivileges)]),
    ...refreshSettings(settings)
  ])
}

/** Ends the session that is in the transaction, if it is still there. The id is that of PostgreSQL's 64 bits. */
async function endTransaction(connection: Connection, transactionId: string): Promise<void> {
  try {
    await withSql(
      connection,
      {},
      async sql =>
        await sql`
      SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
      WHERE backend_xid::text::bigint = (${transactionId}::bigint & 4294967295)`
    )
  } catch (error) {
    throw databaseError(error)
  }
}

/** What psql complains of that is none of the dump's own mistakes. */
function ownFailure(error: unknown, guard: string): AppError | undefined {
  if (!(error instanceof ProgramError)) return undefined
  const { stderr } = error
  if (stderr.includes(`${guard}_key`)) return endsTransaction(error)
  if (!stderr.includes('cannot drop desired object(s) because other objects depend on them')) return undefined
  const lines = [...stderr.matchAll(/^(?:DETAIL: {2})?(\S.* depends on .*)$/gm)].map(([, line = '']) => line)
  return dependentsConflict(lines.join('\n'), error)
}

function endsTransaction(cause?: unknown): AppError {
  return new AppError('DUMP_INVALID', 'dump-ended-transaction', 'The dump ends the transaction that it is loaded in.', {
    cause
  })
}

interface Answers {
  begin?: string
  end?: string
  organizations?: Omit<Organizations, 'tenantTable'>
  counted: Promise<void>
  /** In the order of the request's; the root is that of a partition. */
  tables: Array<{ digest: string; root: string | undefined }>
  code: Map<string, string>
  ended: Promise<void>
}

/** What psql prints for our own queries, told by the token from what the dump's statements print. */
function readAnswers(stdout: NodeJS.ReadableStream, token: string): Answers {
  const lines = createInterface({ input: stdout })
  let isCounted = (): void => {}
  const answers: Answers = {
    counted: new Promise(resolve => {
      isCounted = resolve
    }),
    tables: [],
    code: new Map(),
    ended: new Promise(resolve => {
      lines.on('line', line => {
        const [first, kind, value, object = ''] = line.split('|')
        if (first !== token) return
        if (kind === 'code') answers.code.set(Buffer.from(object, 'hex').toString(), value ?? '')
        if (kind === 'table')
          answers.tables.push({
            digest: value ?? '',
            root: object === '' ? undefined : Buffer.from(object, 'hex').toString()
          })
        if (kind === 'begin') answers.begin = value
        if (kind === 'organizations') {
          answers.organizations = { all: Number(value), others: Number(object) }
          isCounted()
        }
        if (kind === 'end') {
          answers.end = value
          resolve()
        }
      })
    })
  }
  return answers
}

function checkAnswers({ begin, end, tables }: Answers, request: InPlaceRequest): void {
  if (begin === undefined || begin !== end) throw endsTransaction()
  // As verifyLoad compares them.
  const roots = new Map(request.tables.map((table, index) => [labelOf(table), tables[index]?.root]))
  const rows = request.tables.map((table, index) => ({ ...table, rows: Number(tables[index]?.digest.split(' ')[0]) }))
  const loaded = countWhole(rows, table => roots.get(table))
  for (const [table, count] of countWhole(request.tables, table => roots.get(table))) {
    if (loaded.get(table) !== count) throw otherCount(table, loaded.get(table), count)
  }
}
