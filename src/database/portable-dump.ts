import { changeDump, type DumpChange } from './load/dump-filter.js'
import type { DumpEntry } from './load/dump-pieces.js'

/** What pg_dump sets at the beginning of a dump and every server of version 12 or newer knows. */
const knownSettings = new Set([
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'client_encoding',
  'standard_conforming_strings',
  'check_function_bodies',
  'xmloption',
  'client_min_messages',
  'escape_string_warning',
  'row_security',
  'default_tablespace',
  'default_table_access_method'
])

const identifier = '(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
const qualified = `${identifier}(?:\\.${identifier})?`
const columnOptions = new RegExp(
  `^(ALTER (?:FOREIGN )?TABLE ONLY ${qualified} ALTER COLUMN ${identifier} SET )\\(([^()\\n]*)\\);$`
)
const identityPersistence = new RegExp(
  `^(ALTER TABLE ${qualified} ALTER COLUMN ${identifier} ADD GENERATED (?:ALWAYS|BY DEFAULT) AS IDENTITY \\(\\n {4}SEQUENCE NAME ${qualified}\\n) {4}(?:UN)?LOGGED\\n`
)

/**
 * The dump in words that the server takes although its pg_dump is of another version (pg_dump's source, REL_18):
 * - a setting in the dump's head is only set where the server has it: pg_dump 17 and newer write transaction_timeout
 *   for
 *   every server;
 * - an identity column's sequence is not told to be LOGGED where servers before 15 do not know the word;
 * - a column has no option that the server keeps for itself: 17.12 marks columns with pg_attver, which only a pg_dump
 *   of
 *   that minor release or newer leaves out.
 * All behind pg_dump's first data entry stays as it is.
 * @param dump plain SQL as pg_dump writes it; the memory of each chunk is used no more once the next is asked for
 */
export function portableDump(dump: AsyncIterable<Buffer>, serverMajor: number): AsyncGenerator<Buffer> {
  return changeDump(dump, [makePortable(serverMajor)], ({ isData }) => isData)
}

/** The same as one of several changes. */
export function makePortable(serverMajor: number): DumpChange {
  let entry: DumpEntry | null = null
  let isOver = false
  return piece => {
    if (piece.kind === 'header') {
      entry = piece.entry
      isOver ||= entry?.isData === true
    }
    if (isOver || piece.kind !== 'statement') return [piece]
    // One character a byte, so that no encoding can change anything.
    const text = piece.bytes.toString('latin1')
    const portable = portableStatement(text, entry?.type ?? null, serverMajor)
    return portable === text ? [piece] : [{ kind: 'statement', bytes: Buffer.from(portable, 'latin1') }]
  }
}

/** @param type of the entry that it is in; null in the head */
function portableStatement(statement: string, type: string | null, serverMajor: number): string {
  if (type === null) return statement.replace(/^SET ([a-z_]+) = ('[^'\\\n]*'|\w+);$/, setWhereKnown)
  if (type === 'SEQUENCE' && serverMajor < 15) return statement.replace(identityPersistence, '$1')
  return /(TABLE|VIEW)$/.test(type) && statement.includes('(pg_')
    ? statement.replace(columnOptions, withoutInternal)
    : statement
}

function setWhereKnown(line: string, name: string, value: string): string {
  if (knownSettings.has(name)) return line
  return `SELECT pg_catalog.set_config('${name}', ${value.startsWith("'") ? value : `'${value}'`}, false) WHERE pg_catalog.current_setting('${name}', true) IS NOT NULL;`
}

function withoutInternal(_statement: string, start: string, options: string): string {
  const kept = options.split(', ').filter(option => !option.startsWith('pg_'))
  return kept.length === 0 ? '' : `${start}(${kept.join(', ')});`
}
