import { createHash, randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type postgres from 'postgres'
import { createBackup } from '../../src/backup/create.js'
import { loadConfig } from '../../src/config.js'
import type { Core } from '../../src/core.js'
import { createCore } from '../../src/create-core.js'
import { listTables } from '../../src/database/catalog-queries.js'
import { parseConnectionUrl, withSql, type Connection } from '../../src/database/connection/connection.js'
import { quoteTable } from '../../src/database/identifiers.js'
import { ownSchema } from '../../src/database/load/marker.js'
import { stagingFolder } from '../../src/storage/staging-folder.js'
import type { Begin } from '../../src/restore/journal.js'
import { keepsCheckpoint } from '../../src/restore/restore-state.js'
import { testJob } from './job.js'
import { createTestDatabase, type TestDatabaseOptions } from './postgres.js'
import { everyJournal } from './restores.js'

export interface Test {
  teardown(fn: () => Promise<void>): unknown
}

export const organizationId = 'acme'
/** Archives are signed with a key made from it. */
export const siteSecret = 'x'.repeat(32)

export interface Folders {
  databaseUrl: string
  uploadDir: string
  backupDir: string
  scope?: 'instance' | 'organization'
}

/** A database, uploads and a repository, with a backup of each of two states that differ everywhere. */
export interface Site extends Folders {
  core: Core
  connection: Connection
  user: string
  /** Backup and fingerprint of each state. */
  states: Record<'a' | 'b', { backupId: string; fingerprint: string }>
  /** Which state is there now: `aa` and `bb` are whole (database, then files), everything else is not. */
  look(): Promise<string>
  /** What is there and belongs to nothing: should be empty. */
  leftovers(): Promise<string[]>
}

/** With the programs of PG_BIN_DIR, as the tests' cluster has. */
export function coreOf(
  { databaseUrl, uploadDir, backupDir, scope = 'instance' }: Folders,
  env: NodeJS.ProcessEnv = {}
): Core {
  const binDir = process.env.PG_BIN_DIR
  return createCore(
    loadConfig({
      ...(binDir === undefined ? {} : { PG_BIN_DIR: binDir }),
      JWT_SECRET: siteSecret,
      DATABASE_URL: databaseUrl,
      UPLOAD_DIR: uploadDir,
      BACKUP_DIR: backupDir,
      DATABASE_SCOPE: scope,
      ...env
    }),
    pino({ level: process.env.TEST_LOG ?? 'silent' })
  )
}

export async function createFolders(t: Test, databaseUrl: string): Promise<Folders> {
  const folder = await mkdtemp(join(tmpdir(), 'dab-restore-'))
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  const folders = { databaseUrl, uploadDir: join(folder, 'uploads'), backupDir: join(folder, 'backups') }
  await mkdir(folders.uploadDir)
  await mkdir(folders.backupDir)
  return folders
}

/** Ends in state `b`. */
export async function createSite(t: Test, options: TestDatabaseOptions & { padding?: number } = {}): Promise<Site> {
  const { url, sql, user } = await createTestDatabase(t, options)
  const folders = await createFolders(t, url)
  const core = coreOf(folders)
  const states = {} as Site['states']
  for (const state of ['a', 'b'] as const) {
    await fill(sql, state)
    await fillFiles(folders.uploadDir, state, options.padding ?? 10)
    const { id } = await createBackup(
      core,
      { organizationId, type: 'full', createdBy: 'tester', createdByEmail: null },
      testJob()
    )
    states[state] = { backupId: id, fingerprint: '' }
    states[state].fingerprint = (await fingerprints(core)).join(' ')
  }
  await sql.end({ timeout: 1 })
  return {
    ...folders,
    core,
    connection: parseConnectionUrl(url),
    user,
    states,
    async look() {
      const found = await fingerprints(core)
      const whose = (index: number) =>
        (['a', 'b'] as const).find(state => states[state].fingerprint.split(' ')[index] === found[index]) ?? '?'
      return `${whose(0)}${whose(1)}`
    },
    leftovers: async () => await leftovers(core, user)
  }
}

/** SHA-256 of the database and of the uploads. */
export async function fingerprints(core: Core): Promise<[string, string]> {
  return [
    await databaseFingerprint(core.database.connection()),
    await treeFingerprint(join(core.settings.uploadDir, organizationId))
  ]
}

export async function databaseFingerprint(connection: Connection): Promise<string> {
  return await withSql(connection, {}, async sql => {
    const hash = createHash('sha256')
    for (const { schema, name } of await listTables(sql)) {
      const rows = await sql.unsafe<Array<{ row: string }>>(
        `SELECT ROW(t.*)::text AS row FROM ONLY ${quoteTable({ schema, name })} t ORDER BY 1`
      )
      hash.update(`${schema}.${name}\n${rows.map(({ row }) => row).join('\n')}\n`)
    }
    const sequences = await sql`SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2`
    const objects = await sql`SELECT oid, lo_get(oid) AS content FROM pg_largeobject_metadata ORDER BY oid`
    hash.update(JSON.stringify([[...sequences], [...objects]]))
    return hash.digest('hex')
  })
}

/** Names, kinds, modes, times (to the second) and contents below a folder. */
export async function treeFingerprint(folder: string): Promise<string> {
  return createHash('sha256')
    .update((await listTree(folder)).join('\n'))
    .digest('hex')
}

export async function listTree(folder: string, path = ''): Promise<string[]> {
  const stats = await lstat(join(folder, path)).catch(() => null)
  if (stats === null) return ['(nothing)']
  const line = `${JSON.stringify(path)} ${stats.mode.toString(8)} ${stats.uid} ${Math.floor(stats.mtimeMs / 1000)}`
  if (!stats.isDirectory())
    return [
      `${line} ${createHash('sha256')
        .update(await readFile(join(folder, path)))
        .digest('hex')}`
    ]
  const lines = [line]
  for (const name of (await readdir(join(folder, path))).sort())
    lines.push(...(await listTree(folder, path === '' ? name : `${path}/${name}`)))
  return lines
}

async function fill(sql: postgres.Sql, state: 'a' | 'b'): Promise<void> {
  await sql.unsafe(`
    DROP TABLE IF EXISTS items, notes, only_a, only_b CASCADE;
    SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
    CREATE TABLE items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text NOT NULL, state text NOT NULL);
    CREATE TABLE notes (text text);
    CREATE TABLE only_${state} (id serial PRIMARY KEY);
    INSERT INTO items (t, state) SELECT 'item ' || n, '${state}' FROM generate_series(1, 200) n;
    INSERT INTO notes SELECT '${state} ' || n / 2 FROM generate_series(1, 50) n;
    INSERT INTO only_${state} SELECT FROM generate_series(1, 7);
    SELECT lo_from_bytea(0, '${state} large')`)
}

export async function fillFiles(uploadDir: string, state: 'a' | 'b', padding: number): Promise<void> {
  const folder = join(uploadDir, organizationId)
  await rm(folder, { recursive: true, force: true })
  await mkdir(join(folder, 'photos', state), { recursive: true })
  await mkdir(join(folder, 'empty'))
  const time = new Date(Date.UTC(2024, 1, 3, 4, 5, state === 'a' ? 6 : 8))
  const files = ['same.txt', `only ${state}.txt`, 'photos/one', `photos/${state}/two`]
  for (const [index, name] of files.entries()) {
    await writeFile(join(folder, name), index === 0 ? 'same' : randomBytes(padding))
    await chmod(join(folder, name), 0o640)
    await utimes(join(folder, name), time, time)
  }
  for (const name of ['empty', `photos/${state}`, 'photos', '.']) await utimes(join(folder, name), time, time)
}

export async function leftovers(core: Core, user: string): Promise<string[]> {
  const expected = new Set<string>()
  const loaders: string[] = []
  const kept = new Set<string>()
  for (const organization of await core.repository.organizations()) {
    for (const lines of await everyJournal(core, organization)) {
      const { database, restoreId = '' } = (lines[0] ?? {}) as Partial<Begin>
      if (database !== undefined && database !== null && 'loader' in database) loaders.push(database.loader)
      if (!keepsCheckpoint(lines)) continue
      expected.add(restoreId)
      kept.add(restoreId)
      if (database?.mode === 'swap') expected.add(database.checkpoint)
    }
  }
  const found: string[] = await withSql(core.database.connection(), {}, async sql =>
    [
      ...(await sql<Array<{ name: string }>>`SELECT datname AS name FROM pg_database WHERE starts_with(datname, 'dab_')
      AND (pg_get_userbyid(datdba) = ${user} OR pg_has_role(${user}, datdba, 'MEMBER') AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = ${user}))`),
      ...(await sql<Array<{ name: string }>>`SELECT nspname AS name FROM pg_namespace WHERE nspname = ${ownSchema}`),
      ...(await sql<Array<{ name: string }>>`SELECT rolname AS name FROM pg_roles WHERE rolname = ANY (${loaders})
      OR oid IN (SELECT roleid FROM pg_auth_members WHERE member = (SELECT oid FROM pg_roles WHERE rolname = ${user})) AND starts_with(rolname, 'dab_')`)
    ].map(({ name }) => name)
  )
  found.push(...(await readdir(join(core.settings.uploadDir, stagingFolder)).catch(() => [])))
  for (const organization of await core.repository.organizations()) {
    const folder = join(await core.repository.journalFolder(organization), '..')
    found.push(...(await readdir(folder)).filter(name => name.startsWith('.')))
    const { backups } = await core.catalog.list(organization, { limit: 100 })
    found.push(
      ...backups
        .filter(({ checkpointOf }) => checkpointOf !== undefined && !kept.has(checkpointOf))
        .map(({ id }) => `checkpoint ${id}`)
    )
  }
  return [...found.filter(name => !expected.delete(name)), ...[...expected].map(name => `missing ${name}`)]
}
