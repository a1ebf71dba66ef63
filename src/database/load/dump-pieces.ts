import { skipToken, type Lexer } from './dump-tokens.js'

const endOfRows = Buffer.from('\n\\.\n')
const headerStart = Buffer.from('--\n-- ')
const headerEnd = Buffer.from('\n--\n')
/** Far more than the names of an object, its schema and its owner, or a function's arguments. */
const longestHeader = 1 << 16
/** Far more than any statement that is changed; a COPY names at most 1600 columns. A longer one comes in parts. */
const longestStatement = 1 << 20

/**
 * An object of a dump, as pg_dump announces it in a comment: `-- Name: items; Type: TABLE; Schema: public; Owner: -`.
 */
export interface DumpEntry {
  type: string
  schema: string | null
  name: string
  isData: boolean
}

/**
 * Together the pieces are the dump, byte for byte.
 * - header: a comment of pg_dump's between statements that begins an entry, or one without a name: the dump's own head
 *   and its
 *   end. Its entry reaches to the next header;
 * - statement: from its first word through its semicolon;
 * - copy: a statement that rows follow;
 * - rows: from the end of the statement's line through `\.` and its line's end, in as many parts as it comes in;
 * - other: white space and comments between statements, psql's own commands, and the parts of a statement that is too
 *   long.
 */
export type DumpPiece =
  | { kind: 'header'; bytes: Buffer; entry: DumpEntry | null }
  | { kind: 'statement' | 'copy' | 'rows' | 'other'; bytes: Buffer }

interface Cutter {
  lexer: Lexer
  inRows: boolean
  /** The statement's first word, or '' where it begins with none; null between statements. */
  first: string | null
  depth: number
  /** Of a COPY, outside of brackets. */
  previousWord: string
  readsRows: boolean
  /** Its beginning has been passed on. */
  isCut: boolean
  /** The rest of the dump is passed on as it comes. */
  isOver: boolean
}

/**
 * Reads a dump as psql does, so that no name, text, function or row is taken for an entry. The pieces of a chunk come
 * together, and are in its memory: they must be used before the next are asked for. A body of BEGIN ATOMIC is cut at
 * its semicolons, which changes nothing: it holds neither comments nor COPY.
 * @param dump plain SQL as pg_dump writes it, in any encoding of a server; of a forged one the worst is that it is cut
 * wrongly
 * @param isEnd whether all behind the header of that entry is `other`
 */
export async function* readPieces(
  dump: AsyncIterable<Buffer>,
  isEnd: (entry: DumpEntry) => boolean = () => false
): AsyncGenerator<DumpPiece[]> {
  const cutter: Cutter = {
    lexer: { at: 0, inside: null },
    inRows: false,
    first: null,
    depth: 0,
    previousWord: '',
    readsRows: false,
    isCut: false,
    isOver: false
  }
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of dump) {
    const text = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const { pieces, rest } = cut(cutter, text, false, isEnd)
    if (pieces.length > 0) yield pieces
    held = Buffer.from(rest)
  }
  const { pieces } = cut(cutter, held, true, isEnd)
  if (pieces.length > 0) yield pieces
}

/** @returns the rest is the beginning of a piece, which the next chunk continues */
function cut(
  cutter: Cutter,
  text: Buffer,
  isWhole: boolean,
  isEnd: (entry: DumpEntry) => boolean
): { pieces: DumpPiece[]; rest: Buffer } {
  const { lexer } = cutter
  const pieces: DumpPiece[] = []
  let start = 0
  const give = (kind: 'statement' | 'copy' | 'rows' | 'other', end: number): void => {
    if (end > start) pieces.push({ kind, bytes: text.subarray(start, end) })
    start = end
  }
  while (!cutter.isOver) {
    if (cutter.inRows) {
      const found = text.indexOf(endOfRows, start)
      // The last bytes can be the first of the end.
      give(
        'rows',
        found === -1 ? Math.max(start, text.length - (isWhole ? 0 : endOfRows.length - 1)) : found + endOfRows.length
      )
      lexer.at = start
      if (found === -1) break
      cutter.inRows = false
    }
    const before = lexer.at
    const header = cutter.first === null && lexer.inside === null ? headerAt(text, before, isWhole) : null
    if (header === 'unknown') break
    if (header !== null) {
      give('other', before)
      pieces.push(header)
      lexer.at = start = before + header.bytes.length
      cutter.isOver = header.entry !== null && isEnd(header.entry)
      continue
    }
    const token = skipToken(lexer, text, isWhole)
    if (token === null) break
    if (token === 'nothing' || token === 'comment') continue
    if (cutter.first === null) {
      if (token === 'semicolon') continue
      give('other', before)
      Object.assign(cutter, {
        first: token === 'word' ? wordAt(text, before, lexer.at) : '',
        depth: 0,
        previousWord: '',
        readsRows: false,
        isCut: false
      })
    }
    if (token === 'open') cutter.depth += 1
    if (token === 'close' && cutter.depth > 0) cutter.depth -= 1
    if (cutter.first === 'COPY' && cutter.depth === 0) {
      const word = token === 'word' ? wordAt(text, before, lexer.at) : ''
      cutter.readsRows ||= word === 'STDIN' && cutter.previousWord === 'FROM'
      cutter.previousWord = word
    }
    if (token === 'semicolon' && cutter.depth === 0) {
      give(cutter.isCut ? 'other' : cutter.readsRows ? 'copy' : 'statement', lexer.at)
      cutter.first = null
      cutter.inRows = cutter.readsRows
    }
  }
  if (cutter.first === null) give('other', lexer.at)
  else if (isWhole || cutter.isCut || lexer.at - start > longestStatement) {
    give('other', lexer.at)
    cutter.isCut = true
  }
  if (isWhole || cutter.isOver) give('other', text.length)
  lexer.at = cutter.isOver ? 0 : lexer.at - start
  return { pieces, rest: text.subarray(start) }
}

function headerAt(text: Buffer, at: number, isWhole: boolean): (DumpPiece & { kind: 'header' }) | 'unknown' | null {
  if (
    text[at] !== headerStart[0] ||
    text.compare(
      headerStart,
      0,
      Math.min(headerStart.length, text.length - at),
      at,
      Math.min(at + headerStart.length, text.length)
    ) !== 0
  )
    return null
  const looked = text.subarray(at, at + longestHeader)
  const isLooked = isWhole || looked.length === longestHeader
  const end = looked.indexOf(headerEnd, headerStart.length)
  if (end === -1) return isLooked ? null : 'unknown'
  const bytes = looked.subarray(0, end + headerEnd.length)
  const lines = bytes.toString().split('\n')
  return lines.slice(0, -1).every(line => line.startsWith('--'))
    ? { kind: 'header', bytes, entry: entryOf(lines) }
    : null
}

/**
 * Names have no line's end in it (pg_dump's source, sanitize_line), but all else: the last words that look like those
 * before type and schema are pg_dump's own, unless the schema has such a name.
 */
function entryOf(lines: readonly string[]): DumpEntry | null {
  for (const line of lines) {
    const match = /^-- (Data for |Statistics for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: /.exec(line)
    if (match === null) continue
    const [, what, name = '', type = '', schema = ''] = match
    return { type, schema: schema === '-' ? null : schema, name, isData: what === 'Data for ' }
  }
  return null
}

/** In capitals; of a long one only its beginning. */
function wordAt(text: Buffer, start: number, end: number): string {
  return text.toString('latin1', start, Math.min(end, start + 16)).toUpperCase()
}
