import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { withSql } from '../../src/database/connection/connection.js'
import { labelOf, quoteIdentifier as q, quoteLiteral, quoteTable } from '../../src/database/identifiers.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { testJob } from './job.js'
import { createTestDatabase } from './postgres.js'
import { seeded } from './random-tenants.js'
import { coreOf, createFolders, databaseFingerprint, leftovers, organizationId } from './restore-site.js'
import { parseConnectionUrl } from '../../src/database/connection/connection.js'

/**
 * Of every kind that a person, a tool or a migration has made; each at most 40 bytes, but for the longest that there
 * is.
 */
export const oddNames = [
  'dbo.notes',
  '.',
  'a..b',
  '"',
  'a"b',
  '""',
  '"a"."b"',
  "'",
  "it''s",
  '\\',
  '\\.',
  'x\n\\.\ny',
  'two\nlines',
  'x\r\ny',
  '\t',
  ' ',
  ' a ',
  '%',
  '%I',
  '%s%%',
  '$1',
  '$$',
  '$tag$',
  '${x}',
  'ü',
  '€ 5',
  '\u{1f600}',
  '日本',
  'e\u0301',
  'Upper',
  'UPPER',
  'select',
  'table',
  'user',
  'null',
  '1st',
  '42',
  ';',
  'a;b',
  '--',
  'a -- b',
  '/*',
  '*/',
  ':var',
  ":'var'",
  ':"var"',
  '@x',
  '#',
  '!',
  '?',
  '*',
  '|',
  '&',
  '=',
  'a=b',
  'postgres://x',
  '(',
  ')',
  '{}',
  '[0]',
  ',',
  'a,b',
  '<>',
  '~',
  '^',
  '`id`',
  '-',
  '+',
  '_',
  'x\nCOPY y FROM stdin;',
  'x\n--\n-- Name: DEFAULT PRIVILEGES FOR',
  '; Type: DEFAULT ACL; ',
  'x\n--\n-- Name: EXTENSION y; Type: COMMENT; ',
  'x\n-- Data for Name: y; Type: TABLE DATA',
  '\\restrict',
  '\n\\unrestrict x\n',
  'xmin',
  'oid',
  'merge row',
  'row',
  't',
  'p',
  'l',
  'archive_1',
  'plan_1',
  'n'.repeat(63)
]

const notColumns = new Set(['xmin', 'oid', 'merge row'])

export const oddModes = ['swap', 'merge', 'in-place'] as const
export type OddMode = (typeof oddModes)[number]

/**
 * One cycle (create, change, rehearse, restore, undo) of a database in which everything bears such names.
 * @returns how many names were in it
 */
export async function oddCycle(t: Test, mode: OddMode, seed: number): Promise<number> {
  const random = seeded(seed)
  const used = new Set<string>()
  /** Each name once, so that a failure has one reason. */
  const name = (isFit: (name: string) => boolean = () => true): string => {
    const left = oddNames.filter(candidate => !used.has(candidate) && isFit(candidate))
    const chosen = left.length > 0 ? left[random(left.length)]! : `more ${used.size}`
    used.add(chosen)
    return chosen
  }
  const column = (): string => name(candidate => !notColumns.has(candidate))
  const short = (): string => name(candidate => Buffer.byteLength(candidate) <= 40)
  const {
    url,
    sql,
    adminUrl,
    name: database,
    user
  } = await createTestDatabase(t, {
    suffix: short(),
    ...(mode === 'in-place' ? { createdb: false, createrole: false } : {})
  })
  const grantee = `${user.slice(0, 17)}${short()}`
  const admin = parseConnectionUrl(adminUrl)
  await withSql(admin, {}, async own => {
    await own.unsafe(`CREATE ROLE ${q(grantee)}`)
  })

  const [one, two] = [name(), name()]
  const root = { schema: one, name: name() }
  const items = { schema: two, name: name() }
  const notes = { schema: one, name: name() }
  const global = { schema: two, name: name() }
  const shared = { schema: two, name: name() }
  const left = { schema: one, name: name() }
  const parts = { schema: one, name: name() }
  const sequence = { schema: two, name: name() }
  const kind = { schema: one, name: name() }
  const [id, title, key, org, value, unique, rest] = [
    column(),
    column(),
    column(),
    column(),
    column(),
    column(),
    column()
  ]
  const labels = [name(), name()]
  const note = quoteLiteral(oddNames.join('\n'))
  const shout = quoteTable({ schema: one, name: name() })
  await sql.unsafe(
    [
      `CREATE SCHEMA ${q(one)}`,
      `CREATE SCHEMA ${q(two)}`,
      `CREATE TYPE ${quoteTable(kind)} AS ENUM (${labels.map(quoteLiteral).join(', ')})`,
      `CREATE TABLE ${quoteTable(root)} (${q(id)} text CONSTRAINT ${q(name())} PRIMARY KEY, ${q(title)} text)`,
      `CREATE TABLE ${quoteTable(global)} (${q(key)} int PRIMARY KEY)`,
      `CREATE SEQUENCE ${quoteTable(sequence)}`,
      `CREATE TABLE ${quoteTable(items)} (${q(key)} int DEFAULT nextval(${quoteLiteral(quoteTable(sequence))}) CONSTRAINT ${q(name())} PRIMARY KEY,
      ${q(org)} text NOT NULL CONSTRAINT ${q(name())} REFERENCES ${quoteTable(root)} ON DELETE CASCADE, ${q(value)} ${quoteTable(kind)},
      ${q(unique)} text CONSTRAINT ${q(name())} UNIQUE, ${q(rest)} int CONSTRAINT ${q(name())} REFERENCES ${quoteTable(global)},
      CONSTRAINT ${q(name())} CHECK (${q(unique)} <> ''))`,
      `CREATE TABLE ${quoteTable(notes)} (${q(key)} int NOT NULL CONSTRAINT ${q(name())} REFERENCES ${quoteTable(items)} ON DELETE CASCADE, ${q(title)} text)`,
      `CREATE TABLE ${quoteTable(shared)} (${q(key)} int PRIMARY KEY, ${q(org)} text NOT NULL)`,
      `CREATE TABLE ${quoteTable(left)} (${q(org)} text NOT NULL REFERENCES ${quoteTable(root)})`,
      `CREATE TABLE ${quoteTable(parts)} (${q(org)} text NOT NULL REFERENCES ${quoteTable(root)}, ${q(value)} int) PARTITION BY LIST (${q(org)})`,
      `CREATE TABLE ${quoteTable({ schema: two, name: name() })} PARTITION OF ${quoteTable(parts)} FOR VALUES IN ('acme')`,
      `CREATE TABLE ${quoteTable({ schema: two, name: name() })} PARTITION OF ${quoteTable(parts)} FOR VALUES IN ('globex')`,
      // Two tables whose names are the same when they are put together with a dot.
      'CREATE SCHEMA "a"',
      'CREATE SCHEMA "a.b"',
      ...[
        { schema: 'a', name: 'b.c' },
        { schema: 'a.b', name: 'c' }
      ].map(
        table =>
          `CREATE TABLE ${quoteTable(table)} (id int PRIMARY KEY, org text NOT NULL REFERENCES ${quoteTable(root)}, t text)`
      ),
      `CREATE INDEX ${q(name())} ON ${quoteTable(items)} (${q(org)}, ${q(value)})`,
      `CREATE VIEW ${quoteTable({ schema: one, name: name() })} AS SELECT ${q(key)}, ${q(unique)} FROM ${quoteTable(items)}`,
      `CREATE FUNCTION ${shout}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN RETURN new; END $body$`,
      `CREATE TRIGGER ${q(name())} BEFORE UPDATE ON ${quoteTable(items)} FOR EACH ROW EXECUTE FUNCTION ${shout}()`,
      `GRANT SELECT ON ${quoteTable(items)} TO ${q(grantee)}`,
      `ALTER DEFAULT PRIVILEGES IN SCHEMA ${q(one)} GRANT SELECT ON TABLES TO ${q(grantee)}`,
      `COMMENT ON TABLE ${quoteTable(notes)} IS ${note}`,
      `INSERT INTO ${quoteTable(root)} VALUES ('acme', 'Acme')${mode === 'merge' ? ", ('globex', 'Globex')" : ''}`,
      `INSERT INTO ${quoteTable(global)} VALUES (1), (2)`,
      `INSERT INTO ${quoteTable(items)} (${q(org)}, ${q(value)}, ${q(unique)}, ${q(rest)}) SELECT 'acme', ${quoteLiteral(labels[0]!)}, ${note} || n, 1 FROM generate_series(1, 9) n`,
      `INSERT INTO ${quoteTable(notes)} SELECT ${q(key)}, line FROM ${quoteTable(items)}, unnest(string_to_array(${note}, E'\\n')) line`,
      `INSERT INTO ${quoteTable(shared)} VALUES (1, 'acme')`,
      `INSERT INTO ${quoteTable(parts)} VALUES ('acme', 1)`,
      'INSERT INTO "a"."b.c" SELECT n, \'acme\', \'left\' FROM generate_series(1, 3) n',
      'INSERT INTO "a.b"."c" SELECT n, \'acme\', \'right\' FROM generate_series(1, 5) n'
    ].join(';\n')
  )

  const folders = {
    ...(await createFolders(t, url)),
    scope: mode === 'merge' ? ('organization' as const) : ('instance' as const)
  }
  const tenancyFile = join(folders.backupDir, '..', 'tenancy.json')
  await writeFile(
    tenancyFile,
    JSON.stringify({ tables: { [labelOf(shared)]: { owner: org }, [labelOf(left)]: { exclude: true } } })
  )
  const core = coreOf(folders, {
    TENANT_TABLE: labelOf(root),
    ...(mode === 'merge' ? { TENANCY_FILE: tenancyFile } : {})
  })
  const connection = core.database.connection()
  const before = await databaseFingerprint(connection)
  const { id: backupId } = await createBackup(
    core,
    { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
    testJob()
  )
  await sql.unsafe(
    [
      `DELETE FROM ${quoteTable(items)} WHERE ${q(key)} < 3`,
      `UPDATE ${quoteTable(items)} SET ${q(value)} = ${quoteLiteral(labels[1]!)} WHERE ${q(key)} = 5`,
      `DELETE FROM ${quoteTable(parts)}`,
      `UPDATE ${quoteTable(shared)} SET ${q(key)} = 2`,
      `INSERT INTO ${quoteTable(notes)} VALUES (7, 'more')`,
      'DELETE FROM "a"."b.c" WHERE id = 1',
      'UPDATE "a.b"."c" SET t = \'changed\' WHERE id < 3'
    ].join(';\n')
  )
  const changed = await databaseFingerprint(connection)
  await sql.end({ timeout: 1 })
  const request = {
    organizationId,
    backupId,
    validateChecksum: true,
    rollbackOnFailure: true,
    dryRun: true,
    startedBy: 't'
  }
  const rehearsal = await restoreBackup(core, request, testJob({ core }))
  t.equal(rehearsal.report.database?.mode, mode)
  const told = new Map(rehearsal.report.database!.tables.map(table => [table.table, table]))
  t.equal(told.get('a."b.c"')?.rows, 3, 'the one of two tables that look the same')
  t.equal(told.get('"a.b".c')?.rows, 5, 'and the other')
  if (mode !== 'in-place')
    t.match(
      [told.get('a."b.c"'), told.get('"a.b".c'), told.get(labelOf(items))],
      [
        { added: 1, changed: 0 },
        { added: 0, changed: 2 },
        { added: 2, changed: 1 }
      ]
    )
  const { restoreId } = await restoreBackup(core, { ...request, dryRun: false }, testJob({ core }))
  t.equal(await databaseFingerprint(connection), before, 'restored')
  await undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core }))
  t.equal(await databaseFingerprint(connection), changed, 'undone')
  t.same(await leftovers(core, user), [])
  t.equal(connection.database, database)
  return used.size
}
