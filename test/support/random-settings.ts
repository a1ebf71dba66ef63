import { isDeepStrictEqual } from 'node:util'
import type postgres from 'postgres'
import { seededRandom } from '../../sample/random.js'
import { createBackup } from '../../src/backup/create.js'
import { openSql, parseConnectionUrl, withSql, type Connection } from '../../src/database/connection/connection.js'
import { quoteIdentifier, quoteLiteral } from '../../src/database/identifiers.js'
import { AppError } from '../../src/errors.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { testJob } from './job.js'
import { createTestDatabase } from './postgres.js'
import { coreOf, createFolders, organizationId } from './restore-site.js'

/** What a run has done, for the test's comment. */
export interface SettingsRun {
  seed: number
  /** Settings that PostgreSQL took, of those drawn. */
  set: number
  refusedByPostgres: number
  /** As `part: code`, where the service refused a step and changed nothing. */
  refusals: string[]
  /** Parts that were compared and differ. */
  different: string[]
  undone: boolean
  /** What was set, to repeat a failure. */
  settings: string[]
}

interface Known {
  name: string
  vartype: string
  context: string
  min: string | null
  max: string | null
  enumvals: string[] | null
}

/** Values of settings that are text, and such that are no value at all. */
const texts: Readonly<Record<string, readonly string[]>> = {
  DateStyle: ['German, DMY', 'SQL, MDY', 'Postgres, YMD', 'ISO, DMY', 'nonsense'],
  TimeZone: ['Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns', '-05:30', 'Nowhere/Atall'],
  default_text_search_config: ['pg_catalog.german', 'public.own', 'public.missing', 'pg_catalog.simple'],
  client_encoding: ['LATIN1', 'SQL_ASCII', 'WIN1252', 'UTF8', 'nonsense'],
  lc_monetary: ['C', 'POSIX', 'xx_XX'],
  lc_numeric: ['C', 'POSIX', 'xx_XX'],
  lc_time: ['C', 'POSIX', 'xx_XX'],
  search_path: ['', 'public', 'pg_catalog', '"$user", public', 'public, "a, b", missing'],
  default_tablespace: ['', 'missing'],
  temp_tablespaces: ['', 'missing'],
  default_table_access_method: ['heap'],
  timezone_abbreviations: ['Default', 'India', 'missing'],
  restrict_nonsystem_relation_kind: ['', 'view', 'view, foreign-table']
}

/**
 * Left out: what keeps even the application from connecting, decides that nothing is to be written (a test of its own),
 * or only fills the log.
 */
const leftOut =
  /preload_libraries|^default_transaction_read_only$|^transaction_|^debug_|^trace_|^log_|^wal_consistency|^backtrace|^jit_debugging|^post_auth|^dynamic_library|^application_name$|^zero_damaged|^ignore_|^allow_|^max_stack_depth$|^lc_messages$|^role$/

/**
 * One database with random settings for it, its role, and the role in it: create, dry run, DELETE, restore, and undo of
 * a restore beside it.
 */
export async function runWithRandomSettings(
  t: Parameters<typeof createTestDatabase>[0],
  seed: number,
  { count = 12 } = {}
): Promise<SettingsRun> {
  const { integer } = seededRandom(seed)
  const random = (): number => integer(1_000_000) / 1_000_000
  const inPlace = random() < 0.3
  const database = await createTestDatabase(t, { createdb: !inPlace, createrole: !inPlace })
  const { connection, name } = database
  const admin = parseConnectionUrl(database.adminUrl)
  const run: SettingsRun = {
    seed,
    set: 0,
    refusedByPostgres: 0,
    refusals: [],
    different: [],
    undone: false,
    settings: []
  }
  await withSql(admin, {}, async sql => {
    const known = (
      await sql<Known[]>`SELECT name, vartype, context, min_val AS min, max_val AS max, enumvals FROM pg_settings
      WHERE context IN ('user', 'superuser') ORDER BY name COLLATE "C"`
    ).filter(
      setting => !leftOut.test(setting.name) && (setting.vartype !== 'string' || texts[setting.name] !== undefined)
    )
    // What changes values is drawn more often than what only costs time.
    const telling = known.filter(
      setting =>
        texts[setting.name] !== undefined ||
        /style|digits|bytea|xml|timeout|null|quot|strings|relation_kind|row_security|isolation|replication/.test(
          setting.name
        )
    )
    for (let drawn = 0; drawn < count; drawn += 1) {
      const from = random() < 0.6 ? telling : known
      await trySetting(
        sql,
        run,
        `${targetOf(name, random())} SET ${draw(from[Math.floor(random() * from.length)] as Known, random)}`
      )
    }
    await trySetting(
      sql,
      run,
      `DATABASE ${quoteIdentifier(name)} SET app.region = ${quoteLiteral(['eu', "u's\\", ''][Math.floor(random() * 3)] as string)}`
    )
  })
  // In a session before: a setting that names the configuration counts only in sessions that start when it exists.
  await asApplication(connection, async sql => {
    await sql.unsafe('CREATE TEXT SEARCH CONFIGURATION public.own (COPY = german)')
  })
  await asApplication(connection, async sql => {
    await sql.unsafe(schema)
  })
  const state = async (): Promise<Record<string, string[]>> => await readState(connection)
  const before = await state()
  const core = coreOf(await createFolders(t, database.url))
  const step = async <Result>(part: string, work: () => Promise<Result>): Promise<Result | null> => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      run.refusals.push(`${part}: ${error.code} ${error.message}`)
      return null
    }
  }
  const compare = (part: string, one: object, other: object): void => {
    if (!isDeepStrictEqual(one, other)) run.different.push(part)
  }

  const backup = await step(
    'create',
    async () =>
      await createBackup(core, { organizationId, type: 'database', createdBy: 't', createdByEmail: null }, testJob())
  )
  if (backup === null) return run
  const request = {
    organizationId,
    backupId: backup.id,
    validateChecksum: true,
    rollbackOnFailure: !inPlace,
    startedBy: 't'
  }
  const unchanged = await step(
    'dry run',
    async () => await restoreBackup(core, { ...request, dryRun: true }, testJob({ core }))
  )
  if (
    unchanged?.report.database?.tables.some(
      ({ added, changed, removed }) => added !== 0 || changed !== 0 || removed !== 0
    )
  )
    run.different.push('the dry run of what is there')
  await asApplication(connection, async sql => {
    await sql.unsafe("DELETE FROM items; SELECT nextval('numbers')")
  })
  const damaged = await state()
  const restored = await step(
    'restore',
    async () => await restoreBackup(core, { ...request, dryRun: false }, testJob({ core }))
  )
  compare('restored', await state(), restored === null ? damaged : before)
  if (restored === null || inPlace) return run
  await step(
    'undo',
    async () =>
      await undoRestore(core, { organizationId, restoreId: restored.restoreId, startedBy: 't' }, testJob({ core }))
  )
  compare('undone', await state(), damaged)
  run.undone = true
  return run
}

const schema = `
  CREATE TABLE items (id int PRIMARY KEY, at timestamptz, plain timestamp, span interval, price money, n float8, body bytea, words text, list text[], x xml, j jsonb,
    region text CHECK (region = current_setting('app.region')), day date CHECK (day = at::date));
  INSERT INTO items SELECT n, '2024-06-30 22:30:00+00'::timestamptz + n * interval '11 hours', make_timestamp(2024, 2, n, 1, 2, 3.25), make_interval(0, n, 0, -n, 5, 6, 7.5),
    n::numeric::money * -1.25, n / 7.0::float8, convert_to(repeat(chr(n), n), 'UTF8'), 'die Häuser der Katzen ' || chr(8364), ARRAY[NULL, 'NULL', chr(92) || n], xmlelement(name a, n),
    jsonb_build_object('n', n / 3.0), current_setting('app.region'), ('2024-06-30 22:30:00+00'::timestamptz + n * interval '11 hours')::date FROM generate_series(1, 20) n;
  CREATE INDEX ON items (lower(words)); CREATE SEQUENCE numbers; SELECT nextval('numbers') FROM generate_series(1, 5);
  CREATE VIEW seen AS SELECT id, words, price FROM items WHERE n > 1;
  SELECT set_config('restrict_nonsystem_relation_kind', '', false) WHERE current_setting('restrict_nonsystem_relation_kind', true) <> '';
  CREATE MATERIALIZED VIEW kept AS SELECT id, words FROM seen;
  CREATE MATERIALIZED VIEW days AS SELECT at::date AS day, count(*) AS n, max(at::text) AS at, max(span::text) AS span, min(plain::text) AS plain FROM items GROUP BY 1;
  CREATE MATERIALIZED VIEW texts AS SELECT id, to_tsvector(words) AS vector, price::text AS price, body::text AS body, n::text AS n, x::text AS x,
    quote_ident('plain') AS quoted, to_char(at, 'TMDay HH24 OF') AS told, ('{' || 'NULL}')::text[] AS list, current_setting('app.region') AS region FROM items`

async function readState(connection: Connection): Promise<Record<string, string[]>> {
  return await withSql(connection, { searchPath: 'public' }, async sql => {
    const rows: Record<string, string[]> = {}
    for (const relation of ['items', 'seen', 'kept', 'days', 'texts', '(SELECT last_value, is_called FROM numbers)']) {
      rows[relation] = (
        await sql.unsafe<Array<{ row: string }>>(`SELECT ROW(t.*)::text AS row FROM ${relation} t ORDER BY 1`)
      ).map(({ row }) => row)
    }
    return rows
  })
}

async function asApplication(connection: Connection, use: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  // What search_path and the places of new tables are is the application's own affair.
  const sql = openSql(
    {
      ...connection,
      parameters: { options: '-c search_path=public -c default_tablespace= -c row_security=on -c exit_on_error=off' }
    },
    { kind: 'application' }
  )
  try {
    await use(sql)
  } finally {
    await sql.end()
  }
}

function targetOf(name: string, chance: number): string {
  const quoted = quoteIdentifier(name)
  return chance < 0.4 ? `DATABASE ${quoted}` : chance < 0.8 ? `ROLE ${quoted}` : `ROLE ${quoted} IN DATABASE ${quoted}`
}

/** Such as `work_mem TO '64'`, now and then without sense. */
function draw({ name, vartype, min, max, enumvals }: Known, random: () => number): string {
  const pick = (values: readonly string[]): string => values[Math.floor(random() * values.length)] as string
  if (random() < 0.05) return `${quoteIdentifier(name)} TO 'no value'`
  if (vartype === 'bool') return `${quoteIdentifier(name)} TO ${pick(['on', 'off'])}`
  if (vartype === 'enum') return `${quoteIdentifier(name)} TO ${quoteLiteral(pick(enumvals ?? ['']))}`
  if (vartype === 'string') return `${quoteIdentifier(name)} TO ${listOf(name, pick(texts[name] ?? ['']))}`
  const [low, high] = [Number(min), Number(max)]
  // Timeouts are drawn short, so that they would end something. What costs time or memory stays bearable.
  const top = Math.min(high, /timeout/.test(name) ? 5 : /delay/.test(name) ? 2 : 100_000)
  const value =
    Math.max(low, Math.min(top, low < 0 && random() < 0.5 ? low : 1)) +
    random() * random() * Math.max(0, top - Math.max(low, 1))
  return `${quoteIdentifier(name)} TO ${quoteLiteral(vartype === 'real' ? String(value) : String(Math.floor(value)))}`
}

function listOf(name: string, value: string): string {
  return /^(search_path|temp_tablespaces|restrict_nonsystem_relation_kind)$/.test(name) && value !== ''
    ? value
    : quoteLiteral(value)
}

async function trySetting(sql: postgres.Sql, run: SettingsRun, setting: string): Promise<void> {
  try {
    await sql.unsafe(`ALTER ${setting}`)
    run.set += 1
    run.settings.push(setting)
  } catch {
    run.refusedByPostgres += 1
  }
}
