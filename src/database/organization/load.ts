import { pipeline } from 'node:stream/promises'
import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { databaseError } from '../connection/connection.js'
import { lostConnection } from '../connection/program-error.js'
import { openArchivedRows, type ArchivedRows, type ArchivedRowsReader } from './archived-rows.js'
import type { MergeTable } from './drift.js'
import { countedRows } from './named-rows.js'
import { quoteColumns, quoteLiteral } from '../identifiers.js'

/** Numbers the archive's rows; a name that no column of an application has. */
export const rowNumber = '"merge row"'

/** ANALYZE of the temporary tables then reads 3,000 rows of each, enough to choose how to join them. */
export const sampleSettings = 'SET default_statistics_target = 10;'

/**
 * Copies the archive's rows from the scratch database into temporary tables of the session, byte by byte.
 * @throws AppError ARCHIVE_INVALID, RESTORE_CONFLICT, DATABASE_UNAVAILABLE
 */
export async function loadRows(
  session: postgres.ReservedSql,
  source: ArchivedRows,
  tables: readonly MergeTable[],
  signal: AbortSignal
): Promise<void> {
  const [{ encoding }] = await session<[{ encoding: string }]>`SELECT current_setting('client_encoding') AS encoding`
  const reader = openArchivedRows(source, encoding, signal)
  try {
    for (const merged of tables) {
      signal.throwIfAborted()
      const { table, columns, archive, rows } = merged
      await createMergeTables(session, merged, `SELECT ${quoteColumns(columns)} FROM ${table.source} WITH NO DATA`)
      if (rows > 0) await copyRows(session, reader, merged, signal)
      await session.unsafe(`ANALYZE ${archive}`)
      const [loaded] = await session.unsafe<Array<{ rows: string }>>(`SELECT count(*) AS rows FROM ${archive}`)
      if (Number(loaded!.rows) !== rows) {
        throw new AppError(
          'ARCHIVE_INVALID',
          'archive-row-count',
          `The archive holds ${countedRows(Number(loaded!.rows), table.label)}, its metadata says ${rows}.`
        )
      }
    }
  } finally {
    reader.close()
  }
}

/** The temporary tables that a merge of one table works with; the archive's begins with these rows. */
export async function createMergeTables(
  session: postgres.Sql,
  { archive, plan }: MergeTable,
  rows: string
): Promise<void> {
  await session.unsafe(`CREATE TEMPORARY TABLE ${bare(archive)} ON COMMIT DROP AS ${rows}`)
  await session.unsafe(`ALTER TABLE ${archive} ADD COLUMN ${rowNumber} bigint GENERATED ALWAYS AS IDENTITY`)
  await session.unsafe(
    `CREATE TEMPORARY TABLE ${bare(plan)} (operation "char" NOT NULL, ${rowNumber} bigint, relation oid, place tid, later boolean NOT NULL DEFAULT false) ON COMMIT DROP`
  )
}

async function copyRows(
  session: postgres.ReservedSql,
  source: ArchivedRowsReader,
  merged: MergeTable,
  signal: AbortSignal
): Promise<void> {
  const { table, columns, archive } = merged
  try {
    await writeCopy(session, `COPY ${archive} (${quoteColumns(columns)}) FROM STDIN`, () => source.rowsOf(merged))
  } catch (error) {
    signal.throwIfAborted()
    const lost = lostConnection(error) ?? databaseError(error)
    if (lost.code === 'DATABASE_UNAVAILABLE') throw lost
    throw new AppError(
      'RESTORE_CONFLICT',
      'rows-do-not-fit',
      `The archive's rows of ${table.label} do not fit the table as it is now.`,
      {
        remedy:
          'Have a developer compare the types of its columns (the values of an enum, the checks of a domain) with those at the time of the backup, then restore again.',
        cause: error
      }
    )
  }
}

/** Ends when the server has taken the last row. postgres.js tells a failure after the last byte to the query alone. */
async function writeCopy(
  session: postgres.ReservedSql,
  statement: string,
  rows: () => AsyncGenerator<Buffer>
): Promise<void> {
  const query = session.unsafe(statement)
  const writable = await query.writable()
  const refused = new Promise<never>((_resolve, reject) => {
    ;(query as unknown as { reject: (error: Error) => void }).reject = reject
  })
  refused.catch(() => {})
  await Promise.race([refused, pipeline(rows(), writable)])
}

function bare(name: string): string {
  return name.slice('pg_temp.'.length)
}

/** For the same organization in the same database one merge at a time. */
export function advisoryLock(organizationId: string): string {
  return `SELECT pg_advisory_xact_lock(hashtextextended(${quoteLiteral(`dumbassets-backup merge ${organizationId}`)}, 0))`
}
