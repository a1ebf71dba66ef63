const newline = 0x0a
const pieceStart = Buffer.from('\n--\n-- ')
const dataEntry = Buffer.from('\n--\n-- Data for Name: ')
const copyStart = Buffer.from('\nCOPY ')
const copyEnd = Buffer.from(' FROM stdin;')
const endOfRows = Buffer.from('\n\\.\n')
/** Far more than the longest entry of a schema that is changed here. */
const mostHeld = 4 << 20

/** What pg_dump sets at the beginning of a dump and every server of version 12 or newer knows. */
const knownSettings = new Set(['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'client_encoding',
  'standard_conforming_strings', 'check_function_bodies', 'xmloption', 'client_min_messages', 'escape_string_warning', 'row_security',
  'default_tablespace', 'default_table_access_method'])

const identifier = '(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
const qualified = `${identifier}(?:\\.${identifier})?`
const columnOptions = new RegExp(`^(ALTER (?:FOREIGN )?TABLE ONLY ${qualified} ALTER COLUMN ${identifier} SET )\\(([^()\\n]*)\\);\\n`, 'gm')
const identityPersistence = new RegExp(`( AS IDENTITY \\(\\n {4}SEQUENCE NAME ${qualified}\\n) {4}(?:UN)?LOGGED\\n`, 'g')

/**
 * The dump in words that the server takes although its pg_dump is of another version (pg_dump's source, REL_18):
 * - a setting in the dump's head is only set where the server has it: pg_dump 17 and newer write transaction_timeout for
 *   every server;
 * - an identity column's sequence is not told to be LOGGED where servers before 15 do not know the word;
 * - a column has no option that the server keeps for itself: 17.12 marks columns with pg_attver, which only a pg_dump of
 *   that minor release or newer leaves out.
 * Rows are passed over, and so is all behind pg_dump's first data entry.
 * @param dump plain SQL as pg_dump writes it; the memory of each chunk is used no more once the next is asked for
 */
export async function * portableDump (dump: AsyncIterable<Buffer>, serverMajor: number): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  /** So much of it holds no start of another piece. */
  let searched = 0
  let inside: 'entry' | 'long entry' | 'rows' | 'data' = 'entry'
  for await (const chunk of dump) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    while (inside !== 'data') {
      if (inside === 'rows') {
        const end = held.indexOf(endOfRows)
        const through = end === -1 ? Math.max(0, held.length - endOfRows.length + 1) : end + endOfRows.length - 1
        yield held.subarray(0, through)
        held = held.subarray(through)
        if (end === -1) break
        inside = 'entry'
      }
      const next = nextPiece(held, searched)
      searched = next.kind === null ? next.at : 0
      if (next.kind === null && held.length > mostHeld) inside = 'long entry'
      if (next.kind === null && inside === 'entry') break
      const piece = held.subarray(0, next.at)
      yield inside === 'entry' ? portableText(piece, serverMajor) : piece
      held = held.subarray(next.at)
      searched = 0
      if (next.kind === null) break
      inside = next.kind
    }
    if (inside === 'data') {
      yield held
      held = Buffer.alloc(0)
    } else {
      held = Buffer.from(held)
    }
  }
  yield inside === 'entry' ? portableText(held, serverMajor) : held
}

/** Where another piece of the text begins, and its kind; without a kind: how much of the text holds no such place. */
function nextPiece (text: Buffer, from: number): { at: number, kind: 'entry' | 'rows' | 'data' | null } {
  const entry = text.indexOf(pieceStart, Math.max(1, from))
  for (let copy = text.indexOf(copyStart, from); copy !== -1 && (entry === -1 || copy < entry); copy = text.indexOf(copyStart, copy + 1)) {
    const lineEnd = text.indexOf(newline, copy + 1)
    if (lineEnd === -1) return { at: copy, kind: null }
    if (text.subarray(lineEnd - copyEnd.length, lineEnd).equals(copyEnd)) return { at: lineEnd, kind: 'rows' }
  }
  if (entry === -1) return { at: Math.max(from, text.length - pieceStart.length + 1), kind: null }
  // Whether it is a data entry shows behind its first words.
  if (text.length < entry + dataEntry.length) return { at: entry, kind: null }
  return { at: entry, kind: text.subarray(entry, entry + dataEntry.length).equals(dataEntry) ? 'data' : 'entry' }
}

function portableText (piece: Buffer, serverMajor: number): Buffer {
  // One character a byte, so that no encoding can change anything.
  const text = piece.toString('latin1')
  const type = /^\n--\n-- Name: .*; Type: ([A-Z ]+); /.exec(text)?.[1]
  let portable = text
  if (/^\n?--\n-- PostgreSQL database dump\n/.test(text)) portable = text.replace(/^SET ([a-z_]+) = ('[^'\\\n]*'|\w+);$/gm, setWhereKnown)
  else if (type === 'SEQUENCE' && serverMajor < 15) portable = text.replace(identityPersistence, '$1')
  else if (type !== undefined && /(TABLE|VIEW)$/.test(type) && text.includes('(pg_')) portable = text.replace(columnOptions, withoutInternal)
  return portable === text ? piece : Buffer.from(portable, 'latin1')
}

function setWhereKnown (line: string, name: string, value: string): string {
  if (knownSettings.has(name)) return line
  return `SELECT pg_catalog.set_config('${name}', ${value.startsWith('\'') ? value : `'${value}'`}, false) WHERE pg_catalog.current_setting('${name}', true) IS NOT NULL;`
}

function withoutInternal (_statement: string, start: string, options: string): string {
  const kept = options.split(', ').filter(option => !option.startsWith('pg_'))
  return kept.length === 0 ? '' : `${start}(${kept.join(', ')});\n`
}
