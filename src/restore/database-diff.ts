import type { Sql } from 'postgres'
import { listTables } from '../database/catalog-queries.js'
import { databaseError, trustedPath, withSql, type Connection } from '../database/connection/connection.js'
import { labelOf, quoteColumns, quoteLiteral, quoteTable, type QualifiedName } from '../database/identifiers.js'
import { storedColumnList } from '../database/stored-columns.js'
import type { TableReport } from './report.js'

interface Digest {
  rows: number
  sum: string
}
interface Row {
  key: string
  content: string
}

/**
 * Not `t::text`, which would be a column of that name, or a cast that the archive brings along and that would run as
 * us.
 */
async function rowText(sql: Sql, table: QualifiedName): Promise<string> {
  const [row] = await sql.unsafe<[{ columns: string }]>(
    `SELECT ${storedColumnList(`${quoteLiteral(quoteTable(table))}::pg_catalog.regclass`)} AS columns`
  )
  return `ROW(${row.columns})::text`
}

/**
 * What exchanging two databases would change, table by table. A table whose rows add up to the same hash is unchanged;
 * the others are walked through on both sides in the order of their key, in constant memory.
 */
export async function compareDatabases(
  connection: Connection,
  { live, restored, searchPath = trustedPath }: { live: string; restored: string; searchPath?: string }
): Promise<TableReport[]> {
  try {
    return await withSql(
      connection,
      { database: live },
      async before =>
        await withSql(connection, { database: restored, searchPath }, async after => {
          for (const sql of [before, after]) await sql`SELECT set_config('row_security', 'off', false)`
          return await compareTables(before, after)
        })
    )
  } catch (error) {
    throw databaseError(error)
  }
}

async function compareTables(before: Sql, after: Sql): Promise<TableReport[]> {
  const live = new Map((await listTables(before)).map(table => [labelOf(table), table]))
  const reports: TableReport[] = []
  for (const table of await listTables(after)) {
    const there = live.delete(labelOf(table))
    reports.push({
      table: labelOf(table),
      ...(there
        ? await compareTable(before, after, table).catch(async error => ({
            rows: (await digest(after, table)).rows,
            note: notCompared(error)
          }))
        : await onlyRestored(after, table))
    })
  }
  for (const table of live.values()) {
    const note = 'The table is not in the backup and would go.'
    const counted = await digest(before, table).then(
      ({ rows }) => ({ added: 0, changed: 0, removed: rows, unchanged: 0, note }),
      (error: unknown) => ({ note: `${note} ${notCompared(error)}` })
    )
    reports.push({ table: labelOf(table), rows: 0, ...counted })
  }
  return reports.sort((a, b) => (a.table < b.table ? -1 : 1))
}

/**
 * A table that the user may not read, or that is damaged, refuses no restore, and so no dry run.
 * @throws AppError when no table can be asked
 */
function notCompared(error: unknown): string {
  const { code, message } = databaseError(error)
  if (code === 'DATABASE_UNAVAILABLE') throw error
  return `The rows that are there now can't be compared: ${message}`
}

type Changes = Omit<TableReport, 'table'>

async function onlyRestored(after: Sql, table: QualifiedName): Promise<Changes> {
  const { rows } = await digest(after, table)
  return {
    rows,
    added: rows,
    changed: 0,
    removed: 0,
    unchanged: 0,
    note: 'The table is not in the database now and would come back.'
  }
}

async function compareTable(before: Sql, after: Sql, table: QualifiedName): Promise<Changes> {
  const [old, restored] = await Promise.all([digest(before, table), digest(after, table)])
  if (old.rows === restored.rows && old.sum === restored.sum) {
    return { rows: restored.rows, added: 0, changed: 0, removed: 0, unchanged: restored.rows }
  }
  const keys = await Promise.all([primaryKey(before, table), primaryKey(after, table)])
  const key = keys[1].length > 0 && keys[0].join() === keys[1].join() ? keys[1] : null
  const counts = await walk(rowsOf(before, table, key), rowsOf(after, table, key), key === null)
  return { rows: restored.rows, ...counts, comparedBy: key === null ? 'content' : 'key' }
}

/** Number of rows and a sum of their hashes, which does not depend on their order. */
async function digest(sql: Sql, table: QualifiedName): Promise<Digest> {
  const [row] = await sql.unsafe<[{ rows: string; sum: string }]>(
    `SELECT count(*) AS rows, coalesce(sum(hashtextextended(${await rowText(sql, table)}, 0)::numeric), 0)::text AS sum FROM ONLY ${quoteTable(table)} t`
  )
  return { rows: Number(row.rows), sum: row.sum }
}

async function primaryKey(sql: Sql, { schema, name }: QualifiedName): Promise<string[]> {
  const columns = await sql<Array<{ name: string }>>`
    SELECT a.attname AS name
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
    WHERE i.indisprimary AND n.nspname = ${schema} AND c.relname = ${name} ORDER BY k.position`
  return columns.map(column => column.name)
}

/**
 * Rows as hashes of their key and of their content, in the order of the former; without a key the content is the key.
 */
async function* rowsOf(sql: Sql, table: QualifiedName, key: string[] | null): AsyncGenerator<Row> {
  const content = `md5(${await rowText(sql, table)})`
  const keyText = key === null ? content : `md5(ROW(${quoteColumns(key, 't')})::text)`
  const cursor = sql
    .unsafe<Row[]>(
      `SELECT ${keyText} COLLATE "C" AS key, ${content} COLLATE "C" AS content
    FROM ONLY ${quoteTable(table)} t ORDER BY 1, 2`
    )
    .cursor(2000)
  for await (const rows of cursor) yield* rows
}

async function walk(
  before: AsyncGenerator<Row>,
  after: AsyncGenerator<Row>,
  byContent: boolean
): Promise<Pick<Required<TableReport>, 'added' | 'changed' | 'removed' | 'unchanged'>> {
  const counts = { added: 0, changed: 0, removed: 0, unchanged: 0 }
  let [old, restored] = [await before.next(), await after.next()]
  while (old.done !== true || restored.done !== true) {
    const order =
      old.done === true
        ? 1
        : restored.done === true
          ? -1
          : old.value.key < restored.value.key
            ? -1
            : old.value.key > restored.value.key
              ? 1
              : 0
    if (order < 0) {
      counts.removed += 1
      old = await before.next()
    } else if (order > 0) {
      counts.added += 1
      restored = await after.next()
    } else {
      counts[byContent || (old.value as Row).content === (restored.value as Row).content ? 'unchanged' : 'changed'] += 1
      ;[old, restored] = [await before.next(), await after.next()]
    }
  }
  return counts
}
