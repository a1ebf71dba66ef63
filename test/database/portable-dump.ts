import { chmod, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checksumDatabase } from '../../sample/checksums.js'
import { toEnvironment } from '../../src/database/connection/connection.js'
import { portableDump } from '../../src/database/portable-dump.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { runProgram } from '../../src/io/process.js'
import { testFolder } from '../support/archive.js'
import { forge } from '../support/forge.js'
import { createTestDatabase, type TestDatabaseOptions } from '../support/postgres.js'
import { haveBadDay, readArchived, setUpTenants } from '../support/tenants.js'

const sizes = [1, 7, 64, 1000, Infinity]

async function portable(text: string, size = Infinity, major = 14): Promise<string> {
  const bytes = Buffer.from(text)
  async function* chunks(): AsyncGenerator<Buffer> {
    // As the thread that reads a pipe does it: the memory of a chunk is used again.
    const memory = Buffer.alloc(Math.min(size, bytes.length))
    for (let at = 0; at < bytes.length; at += size)
      yield memory.subarray(0, bytes.copy(memory, 0, at, Math.min(at + size, bytes.length)))
  }
  const parts: Buffer[] = []
  for await (const part of portableDump(chunks(), major)) parts.push(Buffer.from(part))
  return Buffer.concat(parts).toString()
}

async function becomes(t: Test, text: string, expected: string, what: string, major?: number): Promise<void> {
  for (const size of sizes) t.equal(await portable(text, size, major), expected, `${what}, in chunks of ${size}`)
}

const header =
  '--\n-- PostgreSQL database dump\n--\n\n\\restrict key\n\n-- Dumped from database version 14.23\n-- Dumped by pg_dump version 18.6\n\n'
const settings = (line: string): string =>
  `SET statement_timeout = 0;\n${line}SET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\nSET row_security = off;\n\n`
const newer = 'SET transaction_timeout = 0;\n'
const conditional = (name: string, value: string): string =>
  `SELECT pg_catalog.set_config('${name}', '${value}', false) WHERE pg_catalog.current_setting('${name}', true) IS NOT NULL;\n`
const head = header + settings(newer)
const cleanHead = header + settings(conditional('transaction_timeout', '0'))
const entry = (name: string, type: string, body: string): string =>
  `--\n-- Name: ${name}; Type: ${type}; Schema: public; Owner: -\n--\n\n${body}\n\n`
const data = (rows: string): string =>
  `--\n-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: -\n--\n\nCOPY public.a (t) FROM stdin;\n${rows}\\.\n\n\n`
const end = '--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict key\n\n'
const table = entry('a', 'TABLE', 'CREATE TABLE public.a (\n    t text\n);')

t.test('a setting in the head is set only where the server has it', async t => {
  await becomes(t, head + table + end, cleanHead + table + end, 'the one of PostgreSQL 17')
  await becomes(
    t,
    header + settings("SET some_future = 'on';\nSET other = off;\n") + end,
    header + settings(conditional('some_future', 'on') + conditional('other', 'off')) + end,
    'one of a later version'
  )
  await becomes(t, header + settings('') + table + end, header + settings('') + table + end, 'none')
  const body = entry(
    'f()',
    'FUNCTION',
    `CREATE FUNCTION public.f() RETURNS void LANGUAGE plpgsql AS $$ begin\n${newer}end $$;`
  )
  await becomes(t, head + body + end, cleanHead + body + end, "in a function it is the function's")
})

t.test("the second head of an organization's script is one too, and rows are rows", async t => {
  const rows = `COPY public.a (t) FROM stdin;\n${head}x\\\\n--\n-- Name: a; Type: TABLE; \n\\\\.\n\\.\n\n`
  const copy = 'COPY public.b (t) FROM stdin;\n\\.\n\n'
  await becomes(
    t,
    head + table + rows + copy + rows + head + table + end,
    cleanHead + table + rows + copy + rows + cleanHead + table + end,
    'a script'
  )
})

t.test("what the server keeps for itself in a column's options goes", async t => {
  const options = (text: string): string =>
    text === '' ? '\n' : `ALTER TABLE ONLY public."a b" ALTER COLUMN "T""x" SET (${text});\n`
  const cases: Array<[string, string]> = [
    ['pg_attver=27725632', ''],
    ['pg_attver=1, n_distinct=5', 'n_distinct=5'],
    ['n_distinct=-0.5', 'n_distinct=-0.5']
  ]
  for (const [given, left] of cases) {
    const of = (text: string): string =>
      head +
      entry(
        'a b',
        'TABLE',
        `CREATE TABLE public."a b" (\n    "T""x" text\n);\n${options(text)}ALTER TABLE ONLY public."a b" REPLICA IDENTITY FULL;`
      ) +
      end
    for (const major of [14, 17])
      t.equal(
        await portable(of(given), 64, major),
        of(left).replace(newer, conditional('transaction_timeout', '0')),
        given
      )
  }
  const foreign = (text: string): string =>
    table + entry('f', 'FOREIGN TABLE', `CREATE FOREIGN TABLE public.f (\n    t text\n)\nSERVER s;\n${text}`)
  t.equal(
    await portable(foreign('ALTER FOREIGN TABLE ONLY public.f ALTER COLUMN t SET (pg_attver=1);\n')),
    foreign('\n')
  )
})

t.test('before PostgreSQL 15 no sequence of an identity column is told to be LOGGED', async t => {
  const identity = (word: string): string =>
    entry(
      'u_id_seq',
      'SEQUENCE',
      `ALTER TABLE public.u ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (\n    SEQUENCE NAME public."U_id_seq"\n${word}    START WITH 1\n    CACHE 1\n);`
    )
  await becomes(t, cleanHead + identity('    LOGGED\n') + end, cleanHead + identity('') + end, '14', 14)
  await becomes(t, cleanHead + identity('    LOGGED\n') + end, cleanHead + identity('    LOGGED\n') + end, '15', 15)
})

t.test('all behind the first data entry stays, and a long entry does', async t => {
  const rest =
    data(`${head}\n`) +
    data('') +
    head +
    entry('a', 'TABLE', 'ALTER TABLE ONLY public.a ALTER COLUMN t SET (pg_attver=1);') +
    end
  await becomes(t, head + table + rest, cleanHead + table + rest, 'data')
  const long = `SELECT '${`\nCOPY x\n${'x'.repeat(9_000)}`.repeat(500)}';\n`
  const text = (start: string): string =>
    `${start}${entry('a', 'VIEW', long)}COPY public.a (t) FROM stdin;\n${head}\\.\n\n${start}${end}`
  for (const size of [1 << 18, Infinity])
    t.ok((await portable(text(head), size)) === text(cleanHead), `in chunks of ${size}`)
})

/** The real programs, but pg_dump writes what one of a newer version adds. */
async function newerClient(t: Test): Promise<string> {
  const { pgDump, psql } = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: 12 })
  const folder = await testFolder(t, 'newer-')
  await symlink(psql, join(folder, 'psql'))
  const edits = [
    's/^SET idle_in_transaction_session_timeout = 0;$/&\\nSET transaction_timeout = 0;/',
    '/^CREATE TABLE public.users (/,/^);/ s/^);$/&\\nALTER TABLE ONLY public.users ALTER COLUMN id SET (pg_attver=27725632);/'
  ]
  await writeFile(
    join(folder, 'pg_dump'),
    `#!/bin/sh\n'${pgDump}' "$@" | sed ${edits.map(edit => `-e '${edit}'`).join(' ')}\n`
  )
  await chmod(join(folder, 'pg_dump'), 0o755)
  return folder
}

const modes: Array<{ mode: string; ids: string[]; database: TestDatabaseOptions }> = [
  { mode: 'swap', ids: ['acme'], database: {} },
  { mode: 'in-place', ids: ['acme'], database: { createdb: false, createrole: false } },
  { mode: 'merge', ids: ['acme', 'globex'], database: {} }
]

for (const { mode, ids, database } of modes) {
  t.test(`${mode}: what a newer pg_dump writes is kept in words that the server takes`, async t => {
    const binDir = await newerClient(t)
    const tenants = await setUpTenants(t, { ids, database, env: { PG_BIN_DIR: binDir } })
    const before = await tenants.state()
    const backup = await tenants.create()
    const { sql } = await readArchived(tenants, backup)
    t.notMatch(sql, /^SET transaction_timeout|pg_attver/m)
    t.match(sql, /current_setting\('transaction_timeout', true\)/)

    const empty = await createTestDatabase(t)
    await runProgram(
      join(binDir, 'psql'),
      ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=/dev/null', '--file=-'],
      { env: toEnvironment(empty.connection), input: sql }
    )
    if (mode !== 'merge')
      t.same(await checksumDatabase(empty.sql), await checksumDatabase(tenants.database.sql), 'by hand')

    // As it was kept before.
    const old = await forge(tenants.core, backup, {
      files: true,
      sql: dump =>
        dump
          .replaceAll(/^SELECT pg_catalog.set_config\('transaction_timeout'.*$/gm, 'SET transaction_timeout = 0;')
          .replace(
            /^CREATE TABLE public.users \([^;]*;\n/m,
            '$&ALTER TABLE ONLY public.users ALTER COLUMN id SET (pg_attver=27725632);\n'
          )
    })
    await haveBadDay(tenants)
    const damaged = await tenants.state()
    t.equal((await tenants.restore(old, { dryRun: true })).report.database?.mode, mode)
    const { restoreId } = await tenants.restore(old)
    t.same(await tenants.state(), before)
    // In two of the modes this loads a backup of the newer pg_dump's.
    await tenants.post(`restores/${restoreId}/undo`)
    t.same(await tenants.state(), damaged)
  })
}
