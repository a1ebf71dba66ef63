import { readPieces, type DumpEntry } from './dump-pieces.js'

const newline = 0x0a

/**
 * The entry that the line of a dump belongs to, as psql numbers lines.
 * @param line from 1 on
 */
export async function entryAt(dump: AsyncIterable<Buffer>, line: number): Promise<DumpEntry | null> {
  let entry: DumpEntry | null = null
  let ended = 0
  for await (const pieces of readPieces(dump)) {
    for (const piece of pieces) {
      if (piece.kind === 'header') entry = piece.entry ?? entry
      const table = piece.kind === 'copy' ? copiedTable(piece.bytes.toString()) : null
      // An organization's rows have no comment of pg_dump's.
      if (table !== null && (entry?.type !== 'TABLE DATA' || entry.name !== table.name)) entry = table
      ended += lineEnds(piece.bytes)
      if (ended >= line) return entry
    }
  }
  return ended + 1 === line ? entry : null
}

function lineEnds(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) count += 1
  return count
}

/** Such as `the table public.items`. */
export function describeEntry({ type, schema, name }: DumpEntry): string {
  const whose =
    type === 'TABLE DATA'
      ? 'rows of'
      : type === 'MATERIALIZED VIEW DATA'
        ? 'rows of the materialized view'
        : type.toLowerCase()
  return `the ${whose} ${schema === null ? '' : `${schema}.`}${name}`
}

export function isDefaultPrivileges({ type, name }: DumpEntry): boolean {
  return type === 'DEFAULT ACL' && /^DEFAULT PRIVILEGES FOR [A-Z ]+$/.test(name)
}

export function isExtensionComment({ type, schema, name }: DumpEntry): boolean {
  return type === 'COMMENT' && schema === null && name.startsWith('EXTENSION ')
}

/** The comment and the privileges of schema public, and not a schema of that name. */
export function isOfPublicSchema({ type, schema, name }: DumpEntry): boolean {
  return type !== 'SCHEMA' && schema === null && name === 'SCHEMA public'
}

/** With a name as in SQL, in its own lines. */
function copiedTable(statement: string): DumpEntry | null {
  const match = /^COPY ("(?:[^"]|"")*"|[^." ]+)\.("(?:[^"]|"")*"|[^." ]+) /.exec(statement)
  if (match === null) return null
  const [, schema = '', name = ''] = match
  return { type: 'TABLE DATA', schema: unquoted(schema), name: unquoted(name), isData: true }
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}
