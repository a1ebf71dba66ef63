const newline = 0x0a
/** Lines of statements are short where they matter here; of a row only its beginning is looked at. */
const lookedAt = 4096

/** An object of a dump, as pg_dump announces it in a comment: `-- Name: items; Type: TABLE; Schema: public; Owner: -`. */
export interface DumpEntry { type: string, schema: string | null, name: string }

/**
 * The entry that the line of a dump belongs to, as psql numbers lines. Rows of a COPY can look like anything.
 * @param line from 1 on
 */
export async function entryAt (dump: AsyncIterable<Buffer>, line: number): Promise<DumpEntry | null> {
  let entry: DumpEntry | null = null
  let inRows = false
  let number = 0
  for await (const text of linesOf(dump)) {
    number += 1
    if (inRows) inRows = text !== '\\.'
    else {
      entry = parseEntry(text) ?? entry
      const table = copiedTable(text)
      // An organization's rows have no comment of pg_dump's.
      if (table !== null && (entry?.type !== 'TABLE DATA' || entry.name !== table.name)) entry = table
      inRows = table !== null
    }
    if (number >= line) return entry
  }
  return null
}

/** Such as `the table public.items`. */
export function describeEntry ({ type, schema, name }: DumpEntry): string {
  const whose = (type === 'TABLE DATA' ? 'rows of' : type === 'MATERIALIZED VIEW DATA' ? 'rows of the materialized view' : type.toLowerCase())
  return `the ${whose} ${schema === null ? '' : `${schema}.`}${name}`
}

function parseEntry (line: string): DumpEntry | null {
  const match = /^-- (?:Data for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: /.exec(line)
  if (match === null) return null
  const [, name = '', type = '', schema = ''] = match
  return { type, schema: schema === '-' ? null : schema, name }
}

function copiedTable (line: string): DumpEntry | null {
  const match = /^COPY ("(?:[^"]|"")*"|[^." ]+)\.("(?:[^"]|"")*"|[^." ]+) .*FROM stdin(?: WITH \(FREEZE\))?;$/.exec(line)
  if (match === null) return null
  const [, schema = '', name = ''] = match
  return { type: 'TABLE DATA', schema: unquoted(schema), name: unquoted(name) }
}

function unquoted (name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}

/** The beginning of each line; all but the ends of rows is UTF-8 or near it. */
async function * linesOf (dump: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of dump) {
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      const rest = chunk.subarray(from, end)
      yield (held.length === 0 ? rest : Buffer.concat([held, rest])).subarray(0, lookedAt).toString()
      held = Buffer.alloc(0)
      from = end + 1
    }
    if (held.length < lookedAt) held = Buffer.concat([held, chunk.subarray(from, from + lookedAt)])
  }
  yield held.toString()
}
