import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { readPieces, type DumpEntry, type DumpPiece } from '../../../src/database/load/dump-pieces.js'

/** One character a byte. */
interface Part {
  kind: DumpPiece['kind']
  text: string
  entry?: DumpEntry | null
}

const runs = 400
let [pieces, bytes] = [0, 0]
t.teardown(() => {
  t.comment(`${runs} scripts, ${pieces} pieces, ${bytes} bytes`)
})

/**
 * The pieces of the bytes, which come in chunks of these sizes in turn, all in the same memory; what comes in parts is
 * put together.
 */
async function partsOf(text: string, sizes: readonly number[]): Promise<Part[]> {
  const dump = Buffer.from(text, 'latin1')
  async function* chunks(): AsyncGenerator<Buffer> {
    const memory = Buffer.alloc(Math.max(...sizes))
    for (let [at, turn] = [0, 0]; at < dump.length; turn += 1) {
      const length = dump.copy(memory, 0, at, at + sizes[turn % sizes.length]!)
      yield memory.subarray(0, length)
      memory.fill("'")
      at += length
    }
  }
  const parts: Part[] = []
  for await (const some of readPieces(chunks())) {
    for (const piece of some) {
      const part = {
        kind: piece.kind,
        text: piece.bytes.toString('latin1'),
        ...(piece.kind === 'header' ? { entry: piece.entry } : {})
      }
      const last = parts.at(-1)
      if (last !== undefined && last.kind === part.kind && (part.kind === 'other' || part.kind === 'rows'))
        last.text += part.text
      else parts.push(part)
    }
  }
  return parts
}

const lookalikes = [
  '\n--\n-- Name: y; Type: COMMENT; Schema: -; Owner: -\n--\n',
  '\nCOPY y FROM stdin;\n',
  '\n\\.\n',
  '--',
  '/*',
  '*/',
  '$$',
  '$a$',
  '$',
  "'",
  '"',
  ';',
  '\\',
  '(',
  ')',
  '\n',
  '\r',
  "E'",
  ' E',
  '\xe9\xff',
  'x',
  ' '
]
const nasty = fc.array(fc.constantFrom(...lookalikes), { maxLength: 6 }).map(parts => parts.join(''))
const name = nasty.map(text => `"${text.replaceAll('"', '""')}x"`)
const table = fc.tuple(name, name).map(names => names.join('.'))
const plain = nasty.map(text => `'${text.replaceAll("'", "''")}'`)
const escaped = fc
  .tuple(fc.constantFrom('E', 'e'), nasty)
  .map(
    ([start, text]) =>
      `${start}'${text.replaceAll('\\', '\\\\').replaceAll("'", (_, at: number) => (at % 2 === 0 ? "''" : "\\'"))}'`
  )
const dollars = fc
  .tuple(fc.constantFrom('$$', '$a$', '$_b1$', '$\xe9$'), nasty)
  .map(([tag, text]) => `${tag}${text.replaceAll('$', '')}$c$${tag}`)
const gap = fc.constantFrom(' ', '\n', ' -- a;\'"$$\n', ' /* ; /* \' */ " */ ', '\t')
const other = fc.constantFrom(
  'a$$b',
  '$1',
  '(a; b)',
  '+-',
  '/',
  '1e',
  'e',
  '"a""b"',
  '::text',
  "U&'x'",
  ':x',
  '[1:2]',
  'FROM'
)
const token = fc.oneof(name, plain, escaped, dollars, other)

const statement: fc.Arbitrary<Part> = fc
  .tuple(
    fc.constantFrom('SELECT', 'CREATE TABLE', 'SET', 'COPY (SELECT x FROM stdin) TO', 'COPYx', '"COPY"'),
    fc.array(fc.tuple(gap, token), { maxLength: 5 })
  )
  .map(([start, tokens]) => ({ kind: 'statement', text: `${start}${tokens.flat().join('')} ;` }))
const rows = fc
  .array(
    nasty.map(line => line.replaceAll(/^\\\.$/gm, 'y')),
    { maxLength: 4 }
  )
  .map(lines => lines.map(line => `${line}\n`).join(''))
const copy: fc.Arbitrary<Part[]> = fc
  .tuple(table, fc.array(name, { maxLength: 3 }), fc.constantFrom('', ' WITH (FREEZE)'), rows)
  .map(([table, columns, options, lines]) => [
    { kind: 'copy', text: `COPY ${table} (${columns.join(', ')}) FROM stdin${options};` },
    { kind: 'rows', text: `\n${lines}\\.\n` }
  ])
const label = nasty.map(text => `${text.replaceAll(/[\r\n]/g, ' ').replaceAll(/[^ -~]/g, '')}x`)
const header: fc.Arbitrary<Part> = fc
  .tuple(
    label,
    fc.constantFrom('TABLE', 'TABLE DATA', 'DEFAULT ACL'),
    fc.option(label.map(text => text.replaceAll('; Type: ', ''))),
    fc.constantFrom('', 'Data for ')
  )
  .map(([name, type, schema, what]) => ({
    kind: 'header',
    text: `--\n-- ${what}Name: ${name}; Type: ${type}; Schema: ${schema ?? '-'}; Owner: -\n--\n`,
    entry: { name, type, schema, isData: what !== '' }
  }))
const title: Part = { kind: 'header', text: '--\n-- PostgreSQL database dump\n--\n', entry: null }
const between: fc.Arbitrary<Part> = fc
  .constantFrom('\n', '\n\n\n', ';\n', "-- a; 'b\n", '--x\n', "/* -- ' */", '\\restrict \'"x\n', ' ')
  .map(text => ({ kind: 'other', text }))
const script = fc
  .array(fc.oneof(statement, copy, header, fc.constant(title), between), { maxLength: 12 })
  .map(parts => parts.flat())

t.test('a script is cut where it was put together, whatever its names and texts hold', async t => {
  await fc.assert(
    fc.asyncProperty(
      script,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      async (parts, sizes) => {
        const expected: Part[] = []
        for (const part of parts) {
          const last = expected.at(-1)
          if (part.kind === 'other' && last?.kind === 'other') last.text += part.text
          else expected.push({ ...part })
        }
        const text = parts.map(part => part.text).join('')
        pieces += expected.length
        bytes += text.length
        for (const by of [sizes, [1], [1 << 16]])
          if (!isDeepStrictEqual(await partsOf(text, by), expected)) return false
        return true
      }
    ),
    { seed: 1, numRuns: runs }
  )
  t.ok(pieces > 4 * runs)
})

t.test('what is never ended is not held, and stays as it is', async t => {
  const long = Buffer.alloc(1 << 20, 'x')
  for (const start of [
    "SELECT '",
    'SELECT "',
    'SELECT $a$',
    "SELECT E'",
    'SELECT (',
    '--\n-- ',
    '/*',
    '\\',
    '$',
    '',
    'COPY a (',
    'COPY a FROM stdin;\n'
  ]) {
    let [held, mostHeld, given] = [0, 0, 0]
    async function* chunks(): AsyncGenerator<Buffer> {
      for (const chunk of [Buffer.from(start), ...Array<Buffer>(6).fill(long)]) {
        held += chunk.length
        mostHeld = Math.max(mostHeld, held)
        yield chunk
      }
    }
    for await (const some of readPieces(chunks())) {
      const length = some.reduce((sum, { bytes }) => sum + bytes.length, 0)
      given += length
      held -= length
    }
    t.equal(given, start.length + 6 * long.length, JSON.stringify(start))
    t.ok(mostHeld <= 3 * long.length, `${JSON.stringify(start)}: ${mostHeld} bytes`)
  }
})
