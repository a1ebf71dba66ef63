import { chown, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import type postgres from 'postgres'
import { createBackup } from '../../src/backup/create.js'
import type { Core } from '../../src/core.js'
import {
  openSql,
  parseConnectionUrl,
  toEnvironment,
  withSql,
  type Connection
} from '../../src/database/connection/connection.js'
import { quoteIdentifier } from '../../src/database/identifiers.js'
import { unprivilegedUser } from '../../src/database/embedded/unprivileged-user.js'
import { findServerBinaries } from '../../src/database/postgres-tools.js'
import { planLoadSettings, readValueSettings, type Setting } from '../../src/database/value-settings.js'
import { freePort } from '../../src/io/free-port.js'
import { runProgram } from '../../src/io/process.js'
import type { Backup } from '../../src/repository/record.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { removeCluster, startClusterServer, superuser, type ClusterFiles } from '../support/cluster.js'
import { testJob } from '../support/job.js'
import {
  createTestDatabase,
  startCluster,
  urlOf,
  type TestCluster,
  type TestDatabase,
  type TestDatabaseOptions
} from '../support/postgres.js'
import { coreOf, createFolders, organizationId } from '../support/restore-site.js'
import { restoresOf } from '../support/restores.js'

interface Site {
  core: Core
  database: TestDatabase
  connection: Connection
  admin: Connection
}

/** What an administrator has set, and then what the application has made, each with sessions that begin after that. */
async function open(
  t: Parameters<typeof createTestDatabase>[0],
  { settings, schema, ...options }: TestDatabaseOptions & { settings: (name: string) => string; schema: string },
  scope: 'instance' | 'organization' = 'instance'
): Promise<Site> {
  const database = await createTestDatabase(t, options)
  const admin = parseConnectionUrl(database.adminUrl)
  await withSql(admin, {}, async sql => await sql.unsafe(settings(quoteIdentifier(database.name))))
  await asApplication(database.connection, async sql => {
    await sql.unsafe(schema)
  })
  return {
    core: coreOf({ ...(await createFolders(t, database.url)), scope }),
    database,
    connection: database.connection,
    admin
  }
}

async function asApplication<Result>(
  connection: Connection,
  use: (sql: postgres.Sql) => Promise<Result>
): Promise<Result> {
  const sql = openSql(connection, { kind: 'application' })
  try {
    return await use(sql)
  } finally {
    await sql.end()
  }
}

const create = async (core: Core): Promise<Backup> =>
  await createBackup(core, { organizationId, type: 'database', createdBy: 't', createdByEmail: null }, testJob())
const restore = async (core: Core, backupId: string, request: object = {}): Promise<RestoreResult> =>
  await restoreBackup(
    core,
    {
      organizationId,
      backupId,
      validateChecksum: true,
      rollbackOnFailure: false,
      dryRun: false,
      startedBy: 't',
      ...request
    },
    testJob({ core })
  )

/** Rows of the relations as text, in the form that a session of ours gives them. */
async function rowsOf(connection: Connection, ...relations: string[]): Promise<Record<string, string[]>> {
  return await withSql(connection, {}, async sql => {
    const rows: Record<string, string[]> = {}
    for (const relation of relations)
      rows[relation] = (
        await sql.unsafe<Array<{ row: string }>>(`SELECT ROW(t.*)::text AS row FROM ${relation} t ORDER BY 1`)
      ).map(({ row }) => row)
    return rows
  })
}

const computed = String.raw`
  CREATE TABLE events (id int PRIMARY KEY, at timestamptz, span interval, price money, n float8, body bytea, words text, region text CHECK (region = current_setting('app.region')));
  INSERT INTO events VALUES (1, '2024-06-30 22:30:00+00', '-1 day 2 hours', 1234.5, 0.1::float8 + 0.2, E'\\x00ff', 'die Häuser der Katzen, 5 €', 'eu'), (2, '2024-06-30 12:00:00+00', '1 year', -0.05, 1e-300, NULL, NULL, 'eu');
  CREATE SEQUENCE numbers; SELECT nextval('numbers'), nextval('numbers');
  CREATE TEXT SEARCH CONFIGURATION ours (COPY = german);
  CREATE VIEW recent AS SELECT id, words FROM events;
  CREATE MATERIALIZED VIEW days AS SELECT at::date AS day, count(*) AS n, max(at::text) AS latest, max(span::text) AS span FROM events GROUP BY 1;
  SELECT set_config('restrict_nonsystem_relation_kind', '', false) WHERE current_setting('restrict_nonsystem_relation_kind', true) <> '';
  CREATE MATERIALIZED VIEW seen AS SELECT id FROM recent;
  CREATE MATERIALIZED VIEW texts AS SELECT id, to_tsvector(words) AS vector, price::text AS price, body::text AS body, n::text AS n, (ARRAY['{NULL}'])[1]::text[] AS list FROM events;
  CREATE INDEX ON texts USING gin (vector);`

/** Each would end our own work, or bend it. The last one is there since the minor releases of August 2024. */
const hostile = (user: string): string =>
  [
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    "client_encoding = 'LATIN1'",
    'exit_on_error = on',
    "default_transaction_isolation = 'serializable'",
    'client_min_messages = debug5',
    'row_security = off'
  ]
    .map(setting => `ALTER ROLE ${user} SET ${setting};`)
    .join('\n') +
  `
  DO $$ BEGIN IF current_setting('restrict_nonsystem_relation_kind', true) IS NOT NULL THEN ALTER ROLE ${user} SET restrict_nonsystem_relation_kind = 'view, foreign-table'; END IF; END $$;`

const bending = (
  name: string
): string => `ALTER DATABASE ${name} SET timezone = 'Europe/Berlin'; ALTER DATABASE ${name} SET quote_all_identifiers = on; ALTER DATABASE ${name} SET default_text_search_config = 'pg_catalog.german';
  ALTER ROLE ${name} SET intervalstyle = 'sql_standard'; ALTER ROLE ${name} SET extra_float_digits = -5; ALTER ROLE ${name} SET datestyle = 'German, DMY';
  ALTER ROLE ${name} IN DATABASE ${name} SET bytea_output = 'escape'; ALTER DATABASE ${name} SET array_nulls = off; ALTER DATABASE ${name} SET search_path = public, "a, b";
  ALTER DATABASE ${name} SET standard_conforming_strings = off; ALTER DATABASE ${name} SET statement_timeout = '1ms';
  ALTER DATABASE ${name} SET app.region = 'eu';`

const relations = ['events', 'recent', 'days', 'seen', 'texts', '(SELECT last_value, is_called FROM numbers)']

for (const mode of ['swap', 'in-place'] as const) {
  t.test(`what the settings of database and role compute comes back as it was (${mode})`, async t => {
    const { core, connection, admin, database } = await open(t, {
      createdb: mode === 'swap',
      createrole: mode === 'swap',
      settings: name => `${bending(name)} ${hostile(name)}`,
      schema: computed
    })
    const state = async (): Promise<object> => ({
      rows: await rowsOf(connection, ...relations),
      settings: await settingsOf(admin, database.name)
    })
    const before = await rowsOf(connection, ...relations)
    t.match(before.days?.join(), /01\.07\.2024.*CEST/, 'the day is that of Berlin')
    t.match(before.texts?.join(), /haus.*katz/)
    const settings = await settingsOf(admin, database.name)
    const { id, warnings } = await create(core)
    t.equal(
      warnings.filter(warning => /only a superuser may set: app.region\./.test(warning)).length,
      mode === 'swap' ? 1 : 0
    )
    t.same(
      warnings.filter(warning => !/only a superuser may set|proof|schema/.test(warning)),
      []
    )
    await withSql(connection, {}, async sql => {
      await sql`DELETE FROM events`
    })
    const damaged = await state()
    const rehearsed = await restore(core, id, { dryRun: true })
    t.same(await state(), damaged)
    const { restoreId, report } = await restore(core, id, { rollbackOnFailure: mode === 'swap' })
    t.same(report.warnings, rehearsed.report.warnings)
    t.same(await rowsOf(connection, ...relations), before)
    t.equal(
      report.warnings.filter(warning => /Could not put back the setting app.region/.test(warning)).length,
      mode === 'swap' ? 1 : 0
    )
    // What only a superuser may set is not ours to put into a new database.
    const kept = settings.filter(setting => mode !== 'swap' || !setting.includes('app.region'))
    t.same(await settingsOf(admin, database.name), kept)
    if (mode === 'in-place') {
      const again = await restore(core, id, { dryRun: true })
      for (const change of again.report.database?.tables ?? [])
        t.match(change, { added: 0, changed: 0, removed: 0 }, 'what is there already is no change')
      return
    }
    await undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core }))
    t.same(await state(), damaged, 'the undo brings the settings back too')
  })
}

t.test('one organization is merged whatever database and role set', async t => {
  const { core, connection, admin, database } = await open(
    t,
    {
      settings: name => `${bending(name)} ${hostile(name)}`,
      schema: `CREATE TABLE organizations (id text PRIMARY KEY, name text); INSERT INTO organizations VALUES ('acme', '5 €'), ('globex', 'other');
      CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations (id), price money, list text[], n float8, at timestamptz, day date,
        CHECK (day = at::date), region text CHECK (region = current_setting('app.region')));
      INSERT INTO items SELECT n, CASE WHEN n < 6 THEN 'acme' ELSE 'globex' END, 1234.5 * n, ARRAY[NULL, 'NULL'], n / 3.0, '2024-06-30 22:30:00+00', '2024-07-01', 'eu' FROM generate_series(1, 8) n`
    },
    'organization'
  )
  const before = await rowsOf(connection, 'organizations', 'items')
  const settings = await settingsOf(admin, database.name)
  const { id } = await create(core)
  await asApplication(connection, async sql => {
    await sql`DELETE FROM items WHERE id IN (1, 2)`
    await sql`UPDATE items SET n = n + 1e-12 WHERE id = 3`
  })
  const rehearsed = await restore(core, id, { dryRun: true })
  t.match(rehearsed.report.database, {
    mode: 'merge',
    tables: [{ table: 'public.items', added: 2, changed: 1, removed: 0 }, {}]
  })
  await restore(core, id)
  t.same(await rowsOf(connection, 'organizations', 'items'), before)
  t.same(await settingsOf(admin, database.name), settings)
})

t.test('a user that is set read-only makes backups, and is told before a restore or an undo begins', async t => {
  const { core, connection, admin, database } = await open(t, {
    settings: () => '',
    schema: 'CREATE TABLE items AS SELECT 1 AS id'
  })
  const { id } = await create(core)
  const { restoreId } = await restore(core, id, { rollbackOnFailure: true })
  const journals = await restoresOf(core, organizationId)
  await withSql(
    admin,
    {},
    async sql => await sql.unsafe(`ALTER ROLE ${quoteIdentifier(database.name)} SET default_transaction_read_only = on`)
  )
  t.match(await create(core), { counts: { rows: 1 } })
  const refused = { code: 'PREFLIGHT_FAILED', reason: 'user-read-only' }
  await t.rejects(restore(core, id, { dryRun: true }), refused)
  await t.rejects(restore(core, id), refused)
  await t.rejects(undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core })), refused)
  t.same(await restoresOf(core, organizationId), journals, 'nothing was begun')
  t.same(await rowsOf(connection, 'items'), { items: ['(1)'] })
})

t.test('a hot standby makes backups, and refuses a restore before it begins', async t => {
  const primary = await startCluster(t)
  await withSql(
    primary.connection,
    {},
    async sql =>
      await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('acme'), ('globex');
    CREATE TABLE items (id int, org text NOT NULL REFERENCES organizations (id)); INSERT INTO items VALUES (1, 'acme'), (2, 'globex')`)
  )
  const connection = await startStandby(t, primary)
  for (const scope of ['instance', 'organization'] as const) {
    const core = coreOf({ ...(await createFolders(t, urlOf(connection))), scope })
    const { id, counts } = await create(core)
    t.equal(counts.rows, scope === 'instance' ? 4 : 2)
    for (const dryRun of [true, false])
      await t.rejects(restore(core, id, { dryRun }), { code: 'PREFLIGHT_FAILED', reason: 'hot-standby' })
    t.same(await restoresOf(core, organizationId), [], 'nothing was begun')
  }
})

t.test('the text search configuration is found whatever way it is named', async t => {
  const { connection } = await startCluster(t, { settings: { default_text_search_config: 'ours' } })
  const configuration = async (parameters = {}): Promise<Setting[]> =>
    (await readValueSettings({ ...connection, parameters })).filter(({ name }) => name === 'default_text_search_config')
  const named = (value: string): Setting[] => [{ name: 'default_text_search_config', value }]
  t.same(await configuration(), [], 'one that does not exist')
  await withSql(connection, {}, async sql => await sql`CREATE TEXT SEARCH CONFIGURATION ours (COPY = german)`)
  t.same(await configuration(), named('"public"."ours"'), 'without a schema in postgresql.conf')
  t.same(
    await configuration({ options: '-c quote_all_identifiers=on -c default_text_search_config=english' }),
    named('"pg_catalog"."english"')
  )
})

t.test('an archive brings no setting but those that values depend on', async t => {
  const { connection, name } = await createTestDatabase(t)
  const settings = [
    ['TimeZone', 'Europe/Berlin'],
    ['lc_monetary', 'xx_XX'],
    ['search_path', 'evil'],
    ['local_preload_libraries', 'evil'],
    ['statement_timeout', '1'],
    ['app.region', "e'u\\"],
    ['app', 'x'],
    ["x'; DROP", 'x'],
    ['array_nulls', 'off'],
    ['default_text_search_config', 'public.later']
  ].map(([name, value]) => ({ name, value }) as Setting)
  const planned = await planLoadSettings(connection, name, { settings, isPlain: true })
  t.same(
    planned.throughout.map(({ name }) => name),
    ['TimeZone', 'app.region']
  )
  t.same(
    planned.atRefresh.map(({ name }) => name),
    ['array_nulls', 'default_text_search_config']
  )
  t.match(planned.warnings, [/lc_monetary.*xx_XX/])
})

/** Of the database, with the role's name before each that is of one role. */
async function settingsOf(admin: Connection, database: string): Promise<string[]> {
  const rows = await withSql(
    admin,
    {},
    async sql =>
      await sql<Array<{ setting: string }>>`
    SELECT concat_ws(' ', r.rolname, unnest(s.setconfig)) AS setting FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
    WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = ${database}) ORDER BY 1`
  )
  return rows.map(({ setting }) => setting)
}

/** A server that follows the primary, ended with the test. */
async function startStandby(
  t: { teardown(fn: () => Promise<void>): unknown },
  primary: TestCluster
): Promise<Connection> {
  const user = await unprivilegedUser()
  const folder = await mkdtemp(join(tmpdir(), 'dab-standby-'))
  if (user !== null) await chown(folder, user.uid, user.gid)
  const { pgCtl } = await findServerBinaries({ binDir: process.env.PG_BIN_DIR ?? null })
  const files: ClusterFiles = { ...primary.files, folder, dataDirectory: join(folder, 'data'), port: await freePort() }
  t.teardown(async () => await removeCluster(files))
  await runProgram(
    join(dirname(pgCtl), 'pg_basebackup'),
    ['--pgdata', files.dataDirectory, '--write-recovery-conf', '--checkpoint=fast', '--no-sync'],
    {
      env: toEnvironment(primary.connection),
      cwd: '/',
      ...(user === null ? {} : { uid: user.uid, gid: user.gid })
    }
  )
  await startClusterServer(files)
  return superuser(files)
}
