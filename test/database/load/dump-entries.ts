import t from 'tap'
import {
  entryAt,
  isDefaultPrivileges,
  isExtensionComment,
  isOfPublicSchema
} from '../../../src/database/load/dump-entries.js'

const lookalike = '--\n-- Name: y; Type: COMMENT; Schema: -; Owner: -\n--\n'
const parts: Array<[string | null, string]> = [
  [null, '--\n-- PostgreSQL database dump\n--\n\nSET row_security = off;\n\n'],
  [
    'TABLE public a',
    `--\n-- Name: a; Type: TABLE; Schema: public; Owner: -\n--\n\nCREATE TABLE public.a (\n    "x\n${lookalike}" text\n);\n\n`
  ],
  [
    'FUNCTION public f()',
    `--\n-- Name: f(); Type: FUNCTION; Schema: public; Owner: -\n--\n\nCREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$\n${lookalike}$$;\n\n`
  ],
  [
    'TABLE DATA public a',
    `--\n-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: -\n--\n\nCOPY public.a ("x\n${lookalike}") FROM stdin;\n${lookalike}\\.\n\n`
  ],
  // An organization's rows have no comment of pg_dump's.
  ['TABLE DATA "public \nb', `COPY """public"."\nb" (x) FROM stdin;\n${lookalike}\\.\n`],
  ['INDEX - i', '--\n-- Name: i; Type: INDEX; Schema: -; Owner: -\n--\n\nCREATE INDEX i ON public.a (x)']
]

t.test('each line of a dump belongs to the entry that it is in', async t => {
  const bytes = Buffer.from(parts.map(([, part]) => part).join(''))
  for (const size of [3, 100, bytes.length]) {
    async function* chunks(): AsyncGenerator<Buffer> {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    }
    const labelAt = async (line: number): Promise<string | null> => {
      const entry = await entryAt(chunks(), line)
      return entry === null ? null : `${entry.type} ${entry.schema ?? '-'} ${entry.name}`
    }
    let line = 1
    for (const [label, part] of parts) {
      const lines = part.replace(/\n$/, '').split('\n').length
      // psql names the line that ends a statement, never the first of several.
      for (const number of [line + 2, line + lines - 1])
        t.equal(await labelAt(number), label, `line ${number}, in chunks of ${size}`)
      line += lines
    }
    t.equal(await labelAt(line), null)
  }
})

t.test('an entry is told by type, schema and name', t => {
  const entry = (type: string, schema: string | null, name: string): Parameters<typeof isDefaultPrivileges>[0] => ({
    type,
    schema,
    name,
    isData: false
  })
  t.ok(isDefaultPrivileges(entry('DEFAULT ACL', 'public', 'DEFAULT PRIVILEGES FOR LARGE OBJECTS')))
  t.notOk(isDefaultPrivileges(entry('TABLE', 'public', 'DEFAULT PRIVILEGES FOR TABLES')))
  t.notOk(isDefaultPrivileges(entry('DEFAULT ACL', 'y', 'DEFAULT PRIVILEGES FOR TABLES; Type: TABLE; Schema: x')))
  t.ok(isExtensionComment(entry('COMMENT', null, 'EXTENSION "uuid-ossp"')))
  t.notOk(isExtensionComment(entry('TABLE', 'public', 'EXTENSION x')))
  for (const type of ['COMMENT', 'ACL']) t.ok(isOfPublicSchema(entry(type, null, 'SCHEMA public')))
  t.notOk(isOfPublicSchema(entry('SCHEMA', null, 'SCHEMA public')), 'a schema of that name')
  t.notOk(isOfPublicSchema(entry('COMMENT', null, 'SCHEMA public2')))
  t.end()
})
