import type postgres from 'postgres'
import { createBackup } from '../../src/backup/create.js'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { otherRows, rowsOf } from './organization.js'
import { createTestDatabase, type TestDatabaseOptions } from './postgres.js'
import { testJob } from './job.js'
import {
  coreOf,
  createFolders,
  fillFiles,
  fingerprints,
  leftovers,
  organizationId,
  treeFingerprint,
  type Site,
  type Test
} from './restore-site.js'
import { join } from 'node:path'

/** A site whose restores work inside the live database: a user without CREATEDB, or an organization among others. */
export async function createLiveSite(
  t: Test,
  mode: 'in-place' | 'merge',
  options: TestDatabaseOptions = {}
): Promise<Site> {
  const { url, sql, user } = await createTestDatabase(t, {
    ...options,
    ...(mode === 'merge' ? {} : { createdb: false, createrole: false })
  })
  const folders = {
    ...(await createFolders(t, url)),
    scope: mode === 'merge' ? ('organization' as const) : ('instance' as const)
  }
  const core = coreOf(folders)
  const connection = parseConnectionUrl(url)
  await sql.unsafe(`
    CREATE TABLE organizations (id text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE items (id text PRIMARY KEY, org text NOT NULL REFERENCES organizations ON DELETE CASCADE, t text UNIQUE, number serial);
    CREATE TABLE notes (item text NOT NULL REFERENCES items ON DELETE CASCADE, text text);
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.t := upper(new.t); RETURN new; END $$;
    CREATE TRIGGER shout BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION shout();
    INSERT INTO organizations VALUES ('acme', 'Acme'), ('globex', 'Globex');
    INSERT INTO items SELECT 'g' || n, 'globex', 'globex ' || n FROM generate_series(1, 20) n;
    INSERT INTO notes SELECT id, 'note' FROM items`)
  const others = JSON.stringify(await otherRows(sql, organizationId))

  const rowsNow = async (): Promise<string> =>
    mode === 'in-place'
      ? (await fingerprints(core))[0]
      : await withSql(connection, {}, async sql => JSON.stringify(await rowsOf(sql, organizationId)))
  const filesNow = async (): Promise<string> => await treeFingerprint(join(folders.uploadDir, organizationId))
  const states = {} as Site['states']
  const found: Record<string, [string, string]> = {}
  for (const state of ['a', 'b'] as const) {
    await fill(sql, state)
    await fillFiles(folders.uploadDir, state, 10)
    const { id } = await createBackup(
      core,
      { organizationId, type: 'full', createdBy: 'tester', createdByEmail: null },
      testJob()
    )
    found[state] = [await rowsNow(), await filesNow()]
    states[state] = { backupId: id, fingerprint: '' }
  }
  await sql.end({ timeout: 1 })
  return {
    ...folders,
    core,
    connection,
    user,
    states,
    async look() {
      const now = [await rowsNow(), await filesNow()]
      const whose = (index: number) => (['a', 'b'] as const).find(state => found[state]?.[index] === now[index]) ?? '?'
      const untouched =
        mode === 'in-place' ||
        (await withSql(connection, {}, async sql => JSON.stringify(await otherRows(sql, organizationId)))) === others
      return `${whose(0)}${whose(1)}${untouched ? '' : ' others were touched'}`
    },
    leftovers: async () => await leftovers(core, user)
  }
}

async function fill(sql: postgres.Sql, state: 'a' | 'b'): Promise<void> {
  await sql.unsafe(`
    DELETE FROM items WHERE org = 'acme';
    UPDATE organizations SET name = 'Acme ${state}' WHERE id = 'acme';
    INSERT INTO items (id, org, t) SELECT 'a' || n, 'acme', '${state} ' || n FROM generate_series(1, 50) n;
    INSERT INTO items (id, org, t) SELECT 'only ${state} ' || n, 'acme', 'only ${state} ' || n FROM generate_series(1, 5) n;
    INSERT INTO notes SELECT id, 'note ${state}' FROM items WHERE org = 'acme'`)
}
