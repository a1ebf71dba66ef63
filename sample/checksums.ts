import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Sql } from 'postgres'
import { quoteLiteral, quoteTable } from '../src/database/identifiers.js'
import { storedColumnList } from '../src/database/stored-columns.js'

/** Everything the proof looks at, by name: a table (`public.assets`), `sequences`, `definitions`. */
export type DatabaseChecksums = Record<string, { rows: number; sha256: string }>

/**
 * One SHA-256 for each table's rows, for the sequences, and for the definitions (columns, constraints, indexes, views,
 * functions, triggers, types). Rows are compared as PostgreSQL writes them in text, in an order of their own,
 * so neither the order on disk nor the way they came back matters.
 */
export async function checksumDatabase(sql: Sql): Promise<DatabaseChecksums> {
  const checksums: DatabaseChecksums = {}
  const tables = await sql<{ schema: string; name: string }[]>`
    SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2`
  for (const { schema, name } of tables) {
    const table = quoteTable({ schema, name })
    const [{ columns }] = await sql.unsafe<[{ columns: string }]>(
      `SELECT ${storedColumnList(`${quoteLiteral(table)}::regclass`)} AS columns`
    )
    checksums[`${schema}.${name}`] = await checksumLines(
      sql.unsafe<{ line: string }[]>(`SELECT ROW(${columns})::text COLLATE "C" AS line FROM ${table} t ORDER BY 1`)
    )
  }
  checksums.sequences = await checksumLines(sql<{ line: string }[]>`
    SELECT format('%s.%s %s', schemaname, sequencename, last_value) COLLATE "C" AS line FROM pg_sequences ORDER BY 1`)
  checksums.definitions = await checksumLines(sql<{ line: string }[]>`
    WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema')
    SELECT line COLLATE "C" AS line FROM (
      SELECT format('column %s.%s %s %s %s %s', nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid)) AS line
      FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN ours ON ours.oid = relnamespace
        LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
      WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm')
      UNION ALL SELECT format('constraint %s.%s %s', nspname, conname, pg_get_constraintdef(c.oid)) FROM pg_constraint c JOIN ours ON ours.oid = connamespace
      UNION ALL SELECT indexdef FROM pg_indexes JOIN ours ON nspname = schemaname
      UNION ALL SELECT format('view %s.%s %s', schemaname, viewname, definition) FROM pg_views JOIN ours ON nspname = schemaname
      UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN ours ON ours.oid = pronamespace WHERE prokind IN ('f', 'p')
      UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN ours ON ours.oid = relnamespace WHERE NOT tgisinternal
      UNION ALL SELECT format('enum %s.%s %s %s', nspname, typname, row_number() OVER (PARTITION BY enumtypid ORDER BY enumsortorder), enumlabel)
        FROM pg_enum JOIN pg_type t ON t.oid = enumtypid JOIN ours ON ours.oid = typnamespace
    ) AS definitions ORDER BY 1`)
  return checksums
}

async function checksumLines(query: {
  cursor(rows: number): AsyncIterable<{ line: string }[]>
}): Promise<{ rows: number; sha256: string }> {
  const hash = createHash('sha256')
  let rows = 0
  for await (const batch of query.cursor(5000)) {
    for (const { line } of batch) hash.update(`${line.length} ${line}\n`)
    rows += batch.length
  }
  return { rows, sha256: hash.digest('hex') }
}

export interface FolderChecksum {
  files: number
  bytes: number
  /** Over every path with its kind, permission bits, modification time (files only) and content. */
  sha256: string
}

/**
 * One SHA-256 for a whole folder tree; a missing folder counts as an empty one. Times count in steps of that many
 * seconds.
 */
export async function checksumFolder(folder: string, { timeStep = 1 } = {}): Promise<FolderChecksum> {
  const hash = createHash('sha256')
  const names = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  let files = 0
  let bytes = 0
  for (const name of names.sort()) {
    const info = await stat(path.join(folder, name))
    const mode = (info.mode & 0o7777).toString(8)
    if (info.isDirectory()) {
      hash.update(`folder ${name} ${mode}\n`)
      continue
    }
    const content = await readFile(path.join(folder, name))
    hash.update(
      `file ${name} ${mode} ${Math.floor(info.mtimeMs / 1000 / timeStep)} ${createHash('sha256').update(content).digest('hex')}\n`
    )
    files += 1
    bytes += content.length
  }
  return { files, bytes, sha256: hash.digest('hex') }
}
