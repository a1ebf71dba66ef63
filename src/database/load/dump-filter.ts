import { AppError } from '../../errors.js'

const newline = 0x0a
const headBytes = 4096
const tailBytes = 1024
const nextEntry = Buffer.from('\n--\n')
const copyStart = Buffer.from('\nCOPY ')
const copyEnd = Buffer.from(' FROM stdin;')
const dataEntry = Buffer.from('\n-- Data for Name: ')
/** Far more than a table's name and those of its columns. */
const headerBytes = 1 << 18
const endOfRows = Buffer.from('\n\\.\n')

/**
 * The dump without pg_dump's own `\restrict` and `\unrestrict` lines, which psql refuses inside another `\restrict`.
 * Only the one line in the dump's head and its counterpart at the very end are taken out: a row of a COPY may begin alike.
 * @throws AppError DUMP_INVALID on a NUL: psql drops a line's rest behind one without a word, and pg_dump writes none
 */
export async function * removeRestrict (dump: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let key: string | undefined
  let headSeen = false
  for await (const chunk of dump) {
    if (chunk.includes(0)) throw new AppError('DUMP_INVALID', 'The dump could not be loaded: it holds a NUL, which is in no dump of PostgreSQL\'s.')
    if (headSeen && chunk.length >= tailBytes) {
      // The tail is in this one, so nothing need be copied.
      yield held
      held = chunk
      continue
    }
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (!headSeen) {
      if (held.length < headBytes) continue
      ({ held, key } = withoutHead(held))
      headSeen = true
    }
    if (held.length > tailBytes) {
      yield held.subarray(0, -tailBytes)
      held = Buffer.from(held.subarray(-tailBytes))
    }
  }
  if (!headSeen) ({ held, key } = withoutHead(held))
  yield withoutTail(held, key)
}

function withoutHead (dump: Buffer): { held: Buffer, key: string | undefined } {
  const match = /^((?:--.*\n|\n)*)\\restrict ([0-9A-Za-z]+)\n/.exec(dump.subarray(0, headBytes).toString('latin1'))
  if (match === null) return { held: dump, key: undefined }
  const [line, before, key] = match as unknown as [string, string, string]
  return { held: Buffer.concat([dump.subarray(0, before.length), dump.subarray(line.length)]), key }
}

function withoutTail (dump: Buffer, key: string | undefined): Buffer {
  if (key === undefined) return dump
  const line = `\n\\unrestrict ${key}\n`
  const start = dump.lastIndexOf(line)
  if (start === -1 || dump.subarray(start + line.length).some(byte => byte !== newline)) return dump
  return dump.subarray(0, start + 1)
}

/** The dump without the entries whose comment line starts with `start` and holds `kind`. */
export function removeEntries (dump: AsyncIterable<Buffer>, start: string, kind: string): AsyncGenerator<Buffer> {
  return changeEntries(dump, { start, kind }, null)
}

/** The dump with statements before and behind each entry whose comment line starts with `start` and holds `kind`. */
export function encloseEntries (dump: AsyncIterable<Buffer>, start: string, kind: string, statements: { before: string, after: string }): AsyncGenerator<Buffer> {
  return changeEntries(dump, { start, kind }, statements)
}

/**
 * An entry reaches to the next entry's `--` line. Rows of a COPY are passed over: they can hold anything.
 * @param enclosed null removes the entries
 */
async function * changeEntries (
  dump: AsyncIterable<Buffer>, { start, kind }: { start: string, kind: string }, enclosed: { before: string, after: string } | null
): AsyncGenerator<Buffer> {
  const entryStart = Buffer.from(`\n--\n${start}`)
  let held: Buffer = Buffer.alloc(0)
  let inside: 'statements' | 'rows' | 'entry' = 'statements'
  for await (const chunk of dump) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    for (;;) {
      if (inside !== 'statements') {
        const end = inside === 'rows' ? endOfRows : nextEntry
        const found = held.indexOf(end)
        // What may be the beginning of the end stays.
        const through = found === -1 ? Math.max(0, held.length - end.length + 1) : inside === 'rows' ? found + end.length - 1 : found
        if (inside === 'rows' || enclosed !== null) yield held.subarray(0, through)
        held = held.subarray(through)
        if (found === -1) break
        if (inside === 'entry' && enclosed !== null) yield Buffer.from(`\n${enclosed.after}`)
        inside = 'statements'
      }
      const [entry, copy] = [held.indexOf(entryStart), held.indexOf(copyStart)]
      const found = entry === -1 || (copy !== -1 && copy < entry) ? copy : entry
      if (found === -1) {
        const keep = Math.min(held.length, entryStart.length)
        yield held.subarray(0, held.length - keep)
        held = held.subarray(held.length - keep)
        break
      }
      const lineEnd = held.indexOf(newline, found + (found === entry ? entryStart.length : copyStart.length))
      if (lineEnd === -1) {
        yield held.subarray(0, found)
        held = held.subarray(found)
        break
      }
      const line = held.subarray(found, lineEnd)
      const isMeant = found === entry && line.includes(kind)
      yield held.subarray(0, isMeant ? found : lineEnd)
      // From the comment's last line on, so that its own closing `--` is not taken for the next entry.
      const closed = isMeant ? lineEnd + 3 : lineEnd
      if (isMeant && enclosed !== null) {
        yield Buffer.from(`\n${enclosed.before}`)
        yield held.subarray(found, closed)
      }
      if (isMeant) inside = 'entry'
      else if (found === copy && line.subarray(-copyEnd.length).equals(copyEnd)) inside = 'rows'
      held = held.subarray(closed)
    }
    held = Buffer.from(held)
  }
  if (inside !== 'entry' || enclosed !== null) yield held
  if (inside === 'entry' && enclosed !== null) yield Buffer.from(`\n${enclosed.after}`)
}

/**
 * The dump with FREEZE at each COPY that pg_dump has written, which PostgreSQL takes only in the transaction that made the
 * table (manual, COPY): rows need no visiting then to be marked as committed. Rows are passed over, and so is all behind
 * a data entry that does not look as expected.
 */
export async function * freezeCopies (dump: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let inside: 'statements' | 'rows' | 'unknown' = 'statements'
  for await (const chunk of dump) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    while (inside !== 'unknown') {
      const start = inside === 'rows' ? endOfRows : dataEntry
      const found = held.indexOf(start)
      // What may be the beginning of one stays.
      const through = found === -1 ? Math.max(0, held.length - start.length + 1) : inside === 'rows' ? found + start.length - 1 : found
      yield held.subarray(0, through)
      held = held.subarray(through)
      if (found === -1) break
      if (inside === 'rows') {
        inside = 'statements'
        continue
      }
      const header = /^\n-- Data for Name: .*; Type: TABLE DATA; .*\n--\n\nCOPY .* FROM stdin(?=;\n)/.exec(held.toString('latin1', 0, headerBytes))
      if (header === null) {
        if (held.length < headerBytes) break
        inside = 'unknown'
        continue
      }
      yield held.subarray(0, header[0].length)
      yield Buffer.from(' WITH (FREEZE)')
      held = held.subarray(header[0].length)
      inside = 'rows'
    }
    if (inside === 'unknown') {
      yield held
      held = Buffer.alloc(0)
    }
  }
  yield held
}
