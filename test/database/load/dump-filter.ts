import t, { type Test } from 'tap'
import { isDefaultPrivileges } from '../../../src/database/load/dump-entries.js'
import {
  changeDump,
  encloseStatements,
  freezeCopies,
  removeEntries,
  removeRestrict
} from '../../../src/database/load/dump-filter.js'

const sizes = [1, 2, 7, 64, 1000, 4096, Infinity]

/** What a filter makes of a text that reaches it in chunks of that size. */
async function filtered(
  filter: (dump: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
  text: string,
  size: number
): Promise<string> {
  const bytes = Buffer.from(text)
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, size === Infinity ? undefined : at + size)
  }
  const parts: Buffer[] = []
  for await (const part of filter(chunks())) parts.push(Buffer.from(part))
  return Buffer.concat(parts).toString()
}

async function becomes(
  t: Test,
  filter: Parameters<typeof filtered>[0],
  text: string,
  expected: string,
  what: string
): Promise<void> {
  for (const size of sizes) t.equal(await filtered(filter, text, size), expected, `${what}, in chunks of ${size}`)
}

const head = '--\n-- PostgreSQL database dump\n--\n\n'
const rows = '\\restrict key\n\\unrestrict key\n\\.\n'

t.test("only pg_dump's own pair of \\restrict lines goes, wherever the chunks end", async t => {
  const long = `CREATE TABLE a (t text);\nCOPY a FROM stdin;\n${'é'.repeat(3000)}\n${rows}`
  for (const body of ['SELECT 1;\n', `COPY a FROM stdin;\n${rows}`, long]) {
    await becomes(
      t,
      removeRestrict,
      `${head}\\restrict key\n\n${body}\n\\unrestrict key\n\n`,
      `${head}\n${body}\n`,
      `${body.length} bytes`
    )
  }
})

t.test('what is no such pair stays for psql to refuse', async t => {
  const body = 'SELECT 1;\n'
  const unchanged = {
    nothing: '',
    'no lines of that kind': `${head}${body}`,
    'first line after a statement': `${head}${body}\\restrict key\n${body}\\unrestrict key\n`,
    'first line beyond the head': `${'-- a comment\n'.repeat(400)}\\restrict key\n${body}\\unrestrict key\n`,
    'a key with other characters': `${head}\\restrict k;y\n${body}\\unrestrict k;y\n`
  }
  for (const [what, text] of Object.entries(unchanged)) await becomes(t, removeRestrict, text, text, what)
  await becomes(
    t,
    removeRestrict,
    `${head}\\restrict one\n${body}\\unrestrict two\n`,
    `${head}${body}\\unrestrict two\n`,
    'another key at the end'
  )
  await becomes(
    t,
    removeRestrict,
    `${head}\\restrict one\n${body}\\unrestrict one\n\\! id\n`,
    `${head}${body}\\unrestrict one\n\\! id\n`,
    'more after the end'
  )
  await becomes(
    t,
    removeRestrict,
    `${head}\\restrict one\n\\restrict one\n${body}\\unrestrict one\n\\unrestrict one\n`,
    `${head}\\restrict one\n${body}\\unrestrict one\n`,
    'two pairs'
  )
})

const entry = (name: string, type: string, body: string): string =>
  `--\n-- Name: ${name}; Type: ${type}; Schema: public; Owner: me\n--\n\n${body}\n\n`
const table = entry('a', 'TABLE', 'CREATE TABLE a (t text);')
const privileges = entry(
  'DEFAULT PRIVILEGES FOR TABLES',
  'DEFAULT ACL',
  'ALTER DEFAULT PRIVILEGES FOR ROLE me GRANT SELECT ON TABLES TO you;\nALTER DEFAULT PRIVILEGES FOR ROLE me GRANT INSERT ON TABLES TO "--";'
)
const lookalike = entry('DEFAULT PRIVILEGES FOR EVER', 'TABLE', 'CREATE TABLE "DEFAULT PRIVILEGES FOR EVER" ();')
const end = '--\n-- PostgreSQL database dump complete\n--\n\n'
const withoutPrivileges = (dump: AsyncIterable<Buffer>): AsyncIterable<Buffer> =>
  changeDump(dump, [removeEntries(isDefaultPrivileges)])

t.test('entries of one kind go, and all others stay', async t => {
  const cases: Record<string, [string, string]> = {
    none: [head + table + end, head + table + end],
    one: [head + table + privileges + table + end, head + table + table + end],
    'several in a row': [head + table + privileges + privileges + privileges + end, head + table + end],
    'the last': [head + table + privileges, head + table],
    'a table that is named so': [head + lookalike + privileges + lookalike + end, head + lookalike + lookalike + end],
    'among many': [head + table.repeat(200) + privileges + table.repeat(200) + end, head + table.repeat(400) + end],
    'cut off': [`${head}${table}--\n-- Name: DEFAULT PRIV`, `${head}${table}--\n-- Name: DEFAULT PRIV`]
  }
  // The line end before an entry's first line is taken out with it, and that before the next one's stays.
  for (const [what, [text, expected]] of Object.entries(cases)) {
    const squeezed = (dump: string): string => dump.replaceAll(/\n+/g, '\n').replace(/\n$/, '')
    for (const size of sizes)
      t.equal(
        squeezed(await filtered(withoutPrivileges, text, size)),
        squeezed(expected),
        `${what}, in chunks of ${size}`
      )
  }
})

t.test('rows that look like an entry are rows', async t => {
  const rows = `COPY public.a (t) FROM stdin;\n--\n-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: -; Owner: me\n--\nCOPY b FROM stdin;\n\\\\.\n\\.\n\n\n`
  const empty = 'COPY public.b (t) FROM stdin;\n\\.\n\n\n'
  await becomes(
    t,
    withoutPrivileges,
    `${head}${rows}${empty}${rows}${end}`,
    `${head}${rows}${empty}${rows}${end}`,
    'rows'
  )
  for (const size of sizes) {
    const left = await filtered(withoutPrivileges, `${head}${rows}${table}${privileges}${table}${empty}${end}`, size)
    t.ok(
      left.startsWith(`${head}${rows}`) && left.endsWith(`${empty}${end}`) && !left.includes('ALTER DEFAULT'),
      `an entry between rows, in chunks of ${size}`
    )
  }
})

t.test('nothing changes in a dump without such entries, not even a byte', async t => {
  const copy = `COPY a FROM stdin;\n--\n-- Name: b; Type: DEFAULT ACL; \n\\.\n${'x'.repeat(5000)}\n`
  await becomes(t, withoutPrivileges, head + table + copy + end, head + table + copy + end, 'rows')
})

t.test('what looks like an entry within a name, a text or a body is none', async t => {
  const named = entry(
    't',
    'TABLE',
    'CREATE TABLE public.t (\n    "x\n--\n-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: -; Owner: me\n--\n" text\n);'
  )
  const text = entry('TABLE t', 'COMMENT', `COMMENT ON TABLE public.t IS 'it''s\n\n${privileges}';`)
  const body = entry(
    'f()',
    'FUNCTION',
    `CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $_$\n${privileges}$_$;`
  )
  const columns = `COPY public.t ("x\n\n${privileges.replaceAll('"', '""')}", "COPY y FROM stdin;\n") FROM stdin;\n1\t2\n\\.\n\n\n`
  const dump = head + named + text + body + columns
  await becomes(t, withoutPrivileges, dump + end, dump + end, 'all')
  for (const size of sizes) {
    const left = await filtered(withoutPrivileges, dump + privileges + end, size)
    t.equal(left, dump + end, `with one behind, in chunks of ${size}`)
  }
})

t.test('an object that bears the name of such an entry is none', async t => {
  const named = (name: string, schema: string): string =>
    `--\n-- Name: ${name}; Type: TABLE; Schema: ${schema}; Owner: -\n--\n\nCREATE TABLE a ();\n\n`
  for (const [name, schema] of [
    ['DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: -; Owner: me', 'public'],
    ['DEFAULT PRIVILEGES FOR TABLES', 'public; Type: DEFAULT ACL; Schema: public']
  ] as const)
    await becomes(t, withoutPrivileges, head + named(name, schema) + end, head + named(name, schema) + end, name)
})

t.test('where the next table is made is not set by the entry before it', async t => {
  const settings = 'SET default_tablespace = fast;\n\nSET default_table_access_method = heap;\n\n'
  for (const size of sizes) {
    const left = await filtered(withoutPrivileges, head + privileges + settings + table + end, size)
    t.equal(
      left.replaceAll(/\n+/g, '\n'),
      (head + settings + table + end).replaceAll(/\n+/g, '\n'),
      `in chunks of ${size}`
    )
  }
})

t.test('statements are put around those of an entry, and around nothing else', async t => {
  const enclosed = (dump: AsyncIterable<Buffer>): AsyncIterable<Buffer> =>
    changeDump(dump, [
      encloseStatements(({ type }) => type === 'MATERIALIZED VIEW DATA', { before: 'BEFORE;\n', after: 'AFTER;\n' })
    ])
  const refresh = 'REFRESH MATERIALIZED VIEW public."x\n--\n-- Name: y";'
  const of = (statement: string): string =>
    head + table + entry('x -- -- Name: y', 'MATERIALIZED VIEW DATA', statement) + table + end
  await becomes(t, enclosed, of(refresh), of(`BEFORE;\n${refresh}\nAFTER;\n`), 'a view')
})

const dataOf = (name: string, copy: string, rows = ''): string =>
  `--\n-- Data for Name: ${name}; Type: TABLE DATA; Schema: public; Owner: me\n--\n\n${copy}\n${rows}\\.\n\n\n`
const copyOf = (name: string, end = ''): string => `COPY public.${name} (id, t) FROM stdin${end};`

const frozen = (dump: AsyncIterable<Buffer>): AsyncIterable<Buffer> => changeDump(dump, [freezeCopies()])

t.test("each COPY of pg_dump's freezes its rows", async t => {
  const dump = (end: string): string =>
    head +
    table +
    dataOf('a', copyOf('a', end)) +
    dataOf('b c', copyOf('"b\nc"', end), '1\tx\n') +
    table +
    dataOf('d', copyOf('d', end), '1\tx\n'.repeat(3000))
  await becomes(t, frozen, dump('') + end, dump(' WITH (FREEZE)') + end, 'tables')
  await becomes(t, frozen, dump(''), dump(' WITH (FREEZE)'), 'tables at the very end')
})

t.test("what is not pg_dump's COPY stays as it is", async t => {
  const lookalike = dataOf('a', copyOf('a')).replaceAll('\\', '\\\\')
  const unchanged = {
    'a COPY without an entry': `${head}${table}${copyOf('a')}\n1\tx\n\\.\n${end}`,
    'an entry with something between': head + dataOf('a', `-- load via partition root public.p\n${copyOf('a')}`),
    'the second in an entry': head + dataOf('a', `SELECT 1;\n${copyOf('a')}`),
    'another kind of data': `${head}--\n-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -\n--\n\n${copyOf('a')}\n\\.\n`,
    'a COPY with options': head + dataOf('a', copyOf('a', ' WITH (FORMAT csv)')),
    'cut off': `${head}${table}--\n-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: me\n--\n\nCOPY public.a (id`
  }
  for (const [what, text] of Object.entries(unchanged)) await becomes(t, frozen, text, text, what)
  const rows = (end: string): string => head + dataOf('a', copyOf('a', end), lookalike) + dataOf('b', copyOf('b', end))
  await becomes(t, frozen, rows(''), rows(' WITH (FREEZE)'), 'rows that look like an entry')
})
