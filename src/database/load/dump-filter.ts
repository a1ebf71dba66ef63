import { AppError } from '../../errors.js'
import { readPieces, type DumpEntry, type DumpPiece } from './dump-pieces.js'

const newline = 0x0a
const headBytes = 4096
const tailBytes = 1024
/** Smaller pieces are joined: a write to psql's pipe costs more than the copy. */
const smallPart = 1 << 14

/**
 * The dump without pg_dump's own `\restrict` and `\unrestrict` lines, which psql refuses inside another `\restrict`.
 * Only the one line in the dump's head and its counterpart at the very end are taken out: a row of a COPY may begin
 * alike.
 * @throws AppError DUMP_INVALID on a NUL: psql drops a line's rest behind one without a word, and pg_dump writes none
 */
export async function* removeRestrict(dump: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let key: string | undefined
  let headSeen = false
  for await (const chunk of dump) {
    if (chunk.includes(0))
      throw new AppError(
        'DUMP_INVALID',
        'dump-holds-nul',
        "The dump could not be loaded: it holds a NUL, which is in no dump of PostgreSQL's."
      )
    if (headSeen && chunk.length >= tailBytes) {
      // The tail is in this one, so nothing need be copied.
      yield held
      held = chunk
      continue
    }
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (!headSeen) {
      if (held.length < headBytes) continue
      ;({ held, key } = withoutHead(held))
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

function withoutHead(dump: Buffer): { held: Buffer; key: string | undefined } {
  const match = /^((?:--.*\n|\n)*)\\restrict ([0-9A-Za-z]+)\n/.exec(dump.subarray(0, headBytes).toString('latin1'))
  if (match === null) return { held: dump, key: undefined }
  const [line, before, key] = match as unknown as [string, string, string]
  return { held: Buffer.concat([dump.subarray(0, before.length), dump.subarray(line.length)]), key }
}

function withoutTail(dump: Buffer, key: string | undefined): Buffer {
  if (key === undefined) return dump
  const line = `\n\\unrestrict ${key}\n`
  const start = dump.lastIndexOf(line)
  if (start === -1 || dump.subarray(start + line.length).some(byte => byte !== newline)) return dump
  return dump.subarray(0, start + 1)
}

/** Returns the pieces that take a piece's place. It is given the pieces of one dump in their order. */
export type DumpChange = (piece: DumpPiece) => DumpPiece[]

/**
 * The dump as the changes leave it, one after the other.
 * @param dump the memory of each chunk is used no more once the next is asked for
 * @param isEnd whether all behind the header of that entry stays
 */
export async function* changeDump(
  dump: AsyncIterable<Buffer>,
  changes: readonly DumpChange[],
  isEnd?: (entry: DumpEntry) => boolean
): AsyncGenerator<Buffer> {
  for await (const pieces of readPieces(dump, isEnd)) {
    yield* joined(changes.reduce((changed, change) => changed.flatMap(change), pieces))
  }
}

function* joined(pieces: readonly DumpPiece[]): Generator<Buffer> {
  let small: Buffer[] = []
  for (const { bytes } of pieces) {
    if (bytes.length < smallPart) {
      small.push(bytes)
      continue
    }
    if (small.length > 0) yield Buffer.concat(small)
    small = []
    yield bytes
  }
  if (small.length > 0) yield Buffer.concat(small)
}

/** Takes out the entries that are meant. The settings that pg_dump writes at an entry's end are the next one's. */
export function removeEntries(isMeant: (entry: DumpEntry) => boolean): DumpChange {
  let inside = false
  return piece => {
    if (piece.kind === 'header') inside = piece.entry !== null && isMeant(piece.entry)
    if (!inside) return [piece]
    return isEntrySetting(piece) ? [piece, other('\n')] : []
  }
}

/** Puts statements before and behind each statement of the entries that are meant. */
export function encloseStatements(
  isMeant: (entry: DumpEntry) => boolean,
  { before, after }: { before: string; after: string }
): DumpChange {
  let inside = false
  return piece => {
    if (piece.kind === 'header') inside = piece.entry !== null && isMeant(piece.entry)
    if (!inside || piece.kind !== 'statement' || isEntrySetting(piece)) return [piece]
    return [other(before), piece, other(`\n${after}`)]
  }
}

/**
 * Adds FREEZE to each COPY that pg_dump has written, which PostgreSQL takes only in the transaction that made the table
 * (manual, COPY): rows need no visiting then to be marked as committed. Where a comment of pg_dump's is in between, the
 * rows go to a partitioned table, which takes none.
 */
export function freezeCopies(): DumpChange {
  let isNext = false
  return piece => {
    if (piece.kind === 'header') isNext = piece.entry?.type === 'TABLE DATA'
    else if (piece.kind !== 'other' || !isBlank(piece.bytes)) {
      const isMeant = isNext && piece.kind === 'copy' && piece.bytes.subarray(-copyEnd.length).equals(copyEnd)
      isNext = false
      if (isMeant) return [{ kind: 'copy', bytes: Buffer.concat([piece.bytes.subarray(0, -1), freeze]) }]
    }
    return [piece]
  }
}

const copyEnd = Buffer.from(' FROM stdin;')
const freeze = Buffer.from(' WITH (FREEZE);')

/**
 * Where tables are made and how they are stored, which pg_dump sets before the comment of the entry that it is for
 * (pg_backup_archiver.c).
 */
function isEntrySetting({ kind, bytes }: DumpPiece): boolean {
  return (
    kind === 'statement' && /^SET default_(?:tablespace|table_access_method) = /.test(bytes.toString('latin1', 0, 64))
  )
}

function isBlank(bytes: Buffer): boolean {
  return bytes.length < longestGap && /^\s*$/.test(bytes.toString('latin1'))
}

/** Far more than the line ends between an entry's comment and its first statement. */
const longestGap = 64

function other(text: string): DumpPiece {
  return { kind: 'other', bytes: Buffer.from(text) }
}
