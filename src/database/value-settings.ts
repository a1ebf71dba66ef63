import { Type, type Static } from '@sinclair/typebox'
import type { Sql } from 'postgres'
import { databaseError, withSql, type Connection } from './connection/connection.js'
import { plainValues } from './connection/session-settings.js'
import { quoteLiteral, quoteTable } from './identifiers.js'
import { encloseStatements, type DumpChange } from './load/dump-filter.js'

/** A setting of a session, as current_setting() tells it and set_config() takes it. */
export const Setting = Type.Object({ name: Type.String({ maxLength: 255 }), value: Type.String() })
export type Setting = Static<typeof Setting>

/**
 * Of these the script of a dump needs its own plain form, so that a load has the application's only while a
 * materialized view is filled. The other values of `plainValues` change how an expression is computed, and not how the
 * script is read.
 */
const readsScript = new Set([
  'lc_monetary',
  'array_nulls',
  'standard_conforming_strings',
  'backslash_quote',
  'xmloption',
  'transform_null_equals',
  'gin_fuzzy_search_limit'
])

/** What a merge of rows into the live database computes by: what it writes as text it needs in the plain form. */
const computedInMerge = new Set([
  'TimeZone',
  'timezone_abbreviations',
  'default_text_search_config',
  'lc_numeric',
  'lc_time'
])

/**
 * The settings that values depend on, as the application's sessions have them: from postgresql.conf, the database, the
 * role, the role in the database or DATABASE_URL. Settings of its own (`app.region`) are among them.
 */
export async function readValueSettings(connection: Connection): Promise<Setting[]> {
  try {
    return await withSql(connection, { kind: 'application' }, async sql => {
      const custom = await sql<Array<{ name: string }>>`
        SELECT DISTINCT split_part(setting, '=', 1) AS name FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS setting
        WHERE split_part(setting, '=', 1) LIKE '%.%'
          AND setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
          AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)) ORDER BY 1`
      const found: Setting[] = []
      for (const name of [...Object.keys(plainValues), ...custom.map(({ name }) => name)]) {
        const value = await valueOf(sql, name)
        if (value !== null) found.push({ name, value })
      }
      return found
    })
  } catch (error) {
    throw databaseError(error)
  }
}

/**
 * Null where the server has no such setting, or keeps its value from the user: then it is none of the application's
 * either.
 */
async function valueOf(sql: Sql, name: string): Promise<string | null> {
  try {
    if (name === textSearch) return await textSearchConfiguration(sql)
    const [row] = await sql<[{ value: string | null }]>`SELECT pg_catalog.current_setting(${name}, true) AS value`
    return row.value
  } catch (error) {
    if ((error as { code?: unknown }).code === '42501') return null
    throw error
  }
}

/**
 * With its schema, whatever its setting's text is: postgresql.conf can name it without one, and quote_all_identifiers
 * quotes it. Null where the setting names none that exists.
 */
async function textSearchConfiguration(sql: Sql): Promise<string | null> {
  try {
    const [found] = await sql<Array<{ schema: string; name: string }>>`
      SELECT n.nspname AS schema, c.cfgname AS name FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace
      WHERE c.oid = pg_catalog.get_current_ts_config()`
    return found === undefined ? null : quoteTable(found)
  } catch (error) {
    if ((error as { code?: unknown }).code === '42704') return null // undefined_object
    throw error
  }
}

/** What a load sets: from its beginning on, and while a materialized view is filled. */
export interface LoadSettings {
  throughout: readonly Setting[]
  atRefresh: readonly Setting[]
}

export const noLoadSettings: LoadSettings = { throughout: [], atRefresh: [] }

/**
 * Tries the settings where a dump is to be loaded. One that the server does not know is left out with a warning, since
 * values that are computed may then differ. A text search configuration can be the dump's own, so that it is there only
 * later.
 * @param isPlain the dump was written in the plain form; older ones have the monetary values of `settings`
 */
export async function planLoadSettings(
  connection: Connection,
  database: string,
  { settings, isPlain }: { settings: readonly Setting[]; isPlain: boolean }
): Promise<LoadSettings & { warnings: string[] }> {
  const known = settings.filter(({ name }) => Object.hasOwn(plainValues, name) || isCustom(name))
  const atRefresh = (name: string): boolean => readsScript.has(name) && (isPlain || name !== 'lc_monetary')
  const refused = await refusedSettings(connection, database, known)
  const accepted = known.filter(({ name }) => !refused.has(name))
  return {
    throughout: accepted.filter(({ name }) => !atRefresh(name)),
    atRefresh: [
      ...accepted.filter(({ name, value }) => atRefresh(name) && value !== plainValues[name]),
      ...known.filter(({ name }) => refused.has(name) && name === textSearch)
    ],
    warnings: refusedWarnings([...refused].filter(([name]) => name !== textSearch))
  }
}

function refusedWarnings(refused: Array<[string, string]>): string[] {
  if (refused.length === 0) return []
  const list = refused.map(([name, reason]) => `${name} (${reason})`).join(', ')
  return [
    `The server refuses settings that the database was backed up with: ${list}. Values that are computed as the backup is loaded, such as those of materialized views, can differ.`
  ]
}

/** SQL that sets them for the rest of the session. */
export function settingStatements(settings: readonly Setting[]): string {
  return settings
    .map(
      ({ name, value }) =>
        `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)${name === textSearch ? ifThere(value) : ''};\n`
    )
    .join('')
}

/** SQL that gives these back their plain form. */
export function plainStatements(
  settings: readonly Setting[] = Object.keys(plainValues).map(name => ({ name, value: '' }))
): string {
  return settingStatements(
    settings
      .filter(({ name }) => Object.hasOwn(plainValues, name))
      .map(({ name }) => ({ name, value: plainValues[name] as string }))
  )
}

/** Sets them around each statement of a dump that fills a materialized view. */
export function refreshSettings({ atRefresh }: LoadSettings): DumpChange[] {
  if (atRefresh.length === 0) return []
  return [
    encloseStatements(({ type }) => type === 'MATERIALIZED VIEW DATA', {
      before: settingStatements(atRefresh),
      after: plainStatements(atRefresh)
    })
  ]
}

/** As the setting names it, quoted or not; the dump that would make it can be one of another database. */
function ifThere(configuration: string): string {
  return ` WHERE EXISTS (SELECT FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.cfgnamespace
    WHERE ARRAY[n.nspname::pg_catalog.text, c.cfgname::pg_catalog.text] OPERATOR(pg_catalog.=) pg_catalog.parse_ident(${quoteLiteral(configuration)}))`
}

/** The live settings that a merge computes by. */
export function mergeSettings(settings: readonly Setting[]): Setting[] {
  return settings.filter(({ name }) => computedInMerge.has(name))
}

const textSearch = 'default_text_search_config'

/** As PostgreSQL takes the name of a setting that it does not know itself (valid_custom_variable_name in guc.c). */
function isCustom(name: string): boolean {
  return /^[a-z_\u0080-\uffff][\w$\u0080-\uffff]*(\.[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)+$/i.test(name)
}

/** The reason of each. */
async function refusedSettings(
  connection: Connection,
  database: string,
  settings: readonly Setting[]
): Promise<Map<string, string>> {
  const refused = new Map<string, string>()
  try {
    await withSql(connection, { database }, async sql => {
      for (const { name, value } of settings) {
        try {
          await sql`SELECT pg_catalog.set_config(${name}, ${value}, false)`
        } catch (error) {
          // What the server did not say is a lost connection. postgres.js 3.4.9 never answers a query that is sent
          // between a socket's error and its end, so none follows.
          const known = databaseError(error)
          if ((error as Error).name !== 'PostgresError' || known.code !== 'DATABASE_ERROR') throw error
          refused.set(name, known.message)
        }
      }
    })
  } catch (error) {
    throw databaseError(error)
  }
  return refused
}
