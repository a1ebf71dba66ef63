import t from 'tap'
import type postgres from 'postgres'
import { createBackup } from '../../src/backup/create.js'
import { openArchive } from '../../src/archive/reader.js'
import type { Core } from '../../src/core.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { readDump } from '../../src/restore/read-dump.js'
import { toEnvironment, withSql } from '../../src/database/connection/connection.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { runProgram } from '../../src/io/process.js'
import { testJob } from '../support/job.js'
import { createTestDatabase, type TestDatabaseOptions } from '../support/postgres.js'
import { coreOf, createFolders } from '../support/restore-site.js'

/** Functions that find what they name by the search_path alone, wherever a load calls one. */
const schema = `
  CREATE SCHEMA app;
  CREATE EXTENSION unaccent;
  CREATE FUNCTION slugify(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower(unaccent(v)); END';
  CREATE FUNCTION folded(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT slugify(v)';
  CREATE FUNCTION app.shelf(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left(folded(v), 1)';
  CREATE DOMAIN title AS text CHECK (slugify(VALUE) <> '');
  CREATE TABLE organizations (id text PRIMARY KEY, name text);
  CREATE TABLE documents (
    id int PRIMARY KEY, org text NOT NULL REFERENCES organizations (id), title title, words tsvector NOT NULL DEFAULT '',
    slug text GENERATED ALWAYS AS (slugify(title)) STORED, CONSTRAINT has_shelf CHECK (shelf(title) <> ''));
  CREATE UNIQUE INDEX ON documents (org, folded(title)) WHERE shelf(title) <> '-';
  CREATE INDEX ON documents (shelf(title));
  CREATE STATISTICS shelves ON (shelf(title)), org FROM documents;
  INSERT INTO organizations VALUES ('A', 'A');
  INSERT INTO documents (id, org, title, words) VALUES (1, 'A', 'Über', 'a b'), (2, 'A', 'École', 'b');
  CREATE MATERIALIZED VIEW used AS SELECT word, ndoc FROM ts_stat('SELECT words FROM documents')`

interface Site {
  core: Core
  sql: postgres.Sql
  rows: () => Promise<unknown>
}

async function open(
  t: Parameters<typeof createTestDatabase>[0],
  { scope = 'instance', ...role }: TestDatabaseOptions & { scope?: 'instance' | 'organization' } = {}
): Promise<Site & { url: string }> {
  const { url, sql, name } = await createTestDatabase(t, role)
  await sql.unsafe(`ALTER DATABASE ${name} SET search_path = public, "$user", app`)
  const core = coreOf({ ...(await createFolders(t, url)), scope })
  const rows = async (): Promise<unknown> =>
    await withSql(core.database.connection(), {}, async sql => ({
      documents: [...(await sql`SELECT id, org, title, slug FROM documents ORDER BY id`)],
      ...(scope === 'organization' ? {} : { used: [...(await sql`SELECT * FROM used ORDER BY word`)] })
    }))
  await withSql(core.database.connection(), {}, async sql => {
    await sql.unsafe(schema)
  })
  return { core, sql, rows, url }
}

const request = { organizationId: 'A', createdBy: 't', createdByEmail: null, type: 'database' as const }
const asked = { organizationId: 'A', validateChecksum: true, startedBy: 't' }

for (const [mode, options] of Object.entries({
  swap: {},
  'in-place': { createdb: false, createrole: false },
  merge: { scope: 'organization' as const }
})) {
  t.test(`functions that need the search_path of the application work in a restore: ${mode}`, async t => {
    const { core, sql, rows } = await open(t, options)
    const before = await rows()
    const { id, warnings } = await createBackup(core, request, testJob())
    t.notMatch(warnings, [/search_path/])
    const change = async (): Promise<void> => {
      await withSql(core.database.connection(), {}, async sql => {
        await sql`DELETE FROM documents WHERE id = 1`
        await sql`UPDATE documents SET title = 'Other'`
        await sql`REFRESH MATERIALIZED VIEW used`
      })
    }
    await change()
    const changed = await rows()
    t.match(
      (await restoreBackup(core, { ...asked, backupId: id, rollbackOnFailure: true, dryRun: true }, testJob({ core })))
        .report.database,
      { mode }
    )
    const { restoreId } = await restoreBackup(
      core,
      { ...asked, backupId: id, rollbackOnFailure: true, dryRun: false },
      testJob({ core })
    )
    t.same(await rows(), before)
    await undoRestore(core, { organizationId: 'A', restoreId, startedBy: 't' }, testJob({ core }))
    t.same(await rows(), changed)
    await sql.end({ timeout: 1 })
  })
}

t.test('plain psql loads such a dump by hand', async t => {
  const { core, rows } = await open(t)
  const { id } = await createBackup(core, request, testJob())
  const script = await dumpOf(core, id)
  const empty = await createTestDatabase(t)
  const { psql } = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: 15 })
  await runProgram(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1'], { env: toEnvironment(empty.connection), input: script })
  t.match(await rows(), { documents: [...(await empty.sql`SELECT id, org, title, slug FROM documents ORDER BY id`)] })
})

t.test(
  'a definition that would call another function with the search_path is loaded without, and that is told',
  async t => {
    const { url, sql } = await createTestDatabase(t)
    await sql.unsafe(`
    CREATE TABLE items (id int, tags text[] DEFAULT array_append(ARRAY['a'], 'b'::text), "größe" int[] CHECK ("größe" && ARRAY[1, 2]));
    INSERT INTO items VALUES (1, DEFAULT, '{1}')`)
    const core = coreOf(await createFolders(t, url))
    const path = async (): Promise<string | undefined> => {
      const { id, warnings } = await createBackup(core, request, testJob())
      const told = warnings.filter(text => text.includes('search_path'))
      if (told.length > 0)
        t.match(told, [/the column public\.items\.tags would use a function or operator of the application/])
      await restoreBackup(core, { ...asked, backupId: id, rollbackOnFailure: false, dryRun: true }, testJob({ core }))
      return /set_config\('search_path', (.*), false\);/.exec(await dumpOf(core, id))?.[1]
    }
    t.equal(await path(), '\'"public"\'')
    await sql.unsafe('CREATE EXTENSION citext')
    t.equal(await path(), '\'"public"\'', 'operators of the same name alone take nothing')
    await sql.unsafe("CREATE FUNCTION array_append(text[], text) RETURNS text[] LANGUAGE sql IMMUTABLE AS 'SELECT $1'")
    t.equal(await path(), "''")
    await sql.unsafe(
      'DROP FUNCTION array_append(text[], text); CREATE SCHEMA "größe"; CREATE FUNCTION "größe".one() RETURNS int LANGUAGE sql AS \'SELECT 1\''
    )
    await sql.unsafe(`ALTER ROLE CURRENT_USER SET search_path = "größe", public`)
    t.equal(await path(), String.raw`U&'"gr\+0000f6\+0000dfe", "public"'`)
  }
)

async function dumpOf(core: Core, backupId: string): Promise<string> {
  const opened = await core.repository.openArchive('A', backupId)
  const archive = await openArchive(opened!.handle, opened!.size, 'A', core.signing)
  const chunks: Buffer[] = []
  for await (const chunk of readDump(archive, archive.database!, () => {})) chunks.push(chunk)
  await opened!.handle.close()
  return Buffer.concat(chunks).toString()
}
