import { AppError } from '../errors.js'
import { countRows, listTables } from './catalog-queries.js'
import { trustedPath, withSql, type Connection } from './connection.js'

interface TableRows { schema: string, name: string, rows: number }

/**
 * Compares a loaded database with what the backup counted at its snapshot.
 * @returns the rows of each table
 * @throws AppError DUMP_INVALID naming the first table that differs
 */
export async function verifyLoad (connection: Connection, database: string, expected: readonly TableRows[], signal: AbortSignal): Promise<TableRows[]> {
  const found = await withSql(connection, { database, searchPath: trustedPath }, async sql => {
    await sql`SELECT set_config('row_security', 'off', false)`
    return await countRows(sql, await listTables(sql), signal)
  })
  const key = ({ schema, name }: TableRows) => `${schema}.${name}`
  const rows = new Map(found.map(table => [key(table), table.rows]))
  for (const table of expected) {
    const loaded = rows.get(key(table))
    if (loaded !== table.rows) {
      throw new AppError('DUMP_INVALID', `After loading, the table ${key(table)} has ${loaded ?? 'no'} rows in place of ${table.rows}.`)
    }
  }
  const known = new Set(expected.map(key))
  const stranger = found.find(table => table.rows > 0 && !known.has(key(table)))
  if (stranger !== undefined) throw new AppError('DUMP_INVALID', `After loading, the table ${key(stranger)} has rows that the backup does not know of.`)
  return found
}
