import type { Sql } from 'postgres'

/**
 * What PostgreSQL lets a database, a role, a role in a database or postgresql.conf set, and what our own sessions set
 * in its place. Every session of ours begins with these, of the driver and of pg_dump and psql: an option of the
 * connection wins over ALTER ROLE SET and ALTER DATABASE SET (PostgreSQL manual, "Setting Parameters"). All of them may
 * be set by every user, and every version that is supported knows them: one that is unknown or not allowed ends the
 * connection.
 */
export type SessionSettings = Readonly<Record<string, string>>

/** For every session: nothing ends a statement that takes its time, and nothing slows it down on purpose. */
const unhurried: SessionSettings = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // From version 14 on, the oldest that is supported.
  idle_session_timeout: '0',
  // A reader that is slower than the server looks like a dead one over TCP.
  tcp_user_timeout: '0',
  exit_on_error: 'off',
  client_min_messages: 'warning',
  vacuum_cost_delay: '0',
  jit: 'off'
}

/** Where and how a session may write. */
const writable: SessionSettings = {
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  row_security: 'on',
  default_tablespace: '',
  temp_tablespaces: '',
  default_table_access_method: 'heap'
}

/**
 * What the text and the meaning of values depends on, with the form that any session reads alike: a dump, a COPY and
 * both sides of a comparison have it. What the application's own sessions have in their place is told by
 * readValueSettings.
 */
export const plainValues: SessionSettings = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  extra_float_digits: '3',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  xmloption: 'content',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  default_text_search_config: 'pg_catalog.simple',
  array_nulls: 'on',
  transform_null_equals: 'off',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  escape_string_warning: 'on',
  quote_all_identifiers: 'off',
  gin_fuzzy_search_limit: '0'
}

/**
 * Of these, what pg_dump itself does not write into the head of a dump although its rows can be read under nothing
 * else.
 */
export const plainHead = "SET lc_monetary = 'C';\nSET array_nulls = on;"

/** `own` are our sessions. `application`: it finds what the application's sessions find, to tell of it. */
export type SessionKind = 'own' | 'application'

/** The `options` of a connection; what the DATABASE_URL gives comes first, so that ours win. */
export function connectionOptions(given: string | undefined, kind: SessionKind = 'own'): string {
  const settings = kind === 'own' ? { ...unhurried, ...writable, ...plainValues } : unhurried
  const ours = Object.entries(settings).map(([name, value]) => `-c ${escapeOption(`${name}=${value}`)}`)
  return [...(given ? [given] : []), ...ours].join(' ')
}

/** As the server splits it (PostgreSQL source, pg_split_opts in postinit.c). */
function escapeOption(text: string): string {
  return text.replaceAll(/[\s\\]/g, '\\$&')
}

/**
 * What only some servers know, and what only a superuser may set: set by a statement, at the beginning of a session and
 * of a script for psql. transaction_timeout is there from version 17 on. The next one is there since the minor releases
 * of August 2024: it can forbid all queries of views, and with that the rows of a materialized view.
 * icu_validation_level, from 16 on, can refuse the locale of a collation that is there already. Under
 * session_replication_role = replica neither foreign keys nor triggers say anything, and the next two turn a damaged
 * page into one without rows. event_triggers stays as it is: off, it only keeps code of others from running in our
 * sessions.
 */
const late = [
  { name: 'transaction_timeout', value: '0' },
  { name: 'restrict_nonsystem_relation_kind', value: '' },
  { name: 'icu_validation_level', value: 'disabled' },
  { name: 'session_replication_role', value: 'origin', guarded: true },
  { name: 'zero_damaged_pages', value: 'off', guarded: true },
  { name: 'ignore_checksum_failure', value: 'off', guarded: true },
  { name: 'temp_file_limit', value: '-1', guarded: true }
]

function lateStatement(settings: typeof late): string {
  const values = settings.map(({ name, value, guarded = false }) => `('${name}', '${value}', ${guarded})`).join(', ')
  return `SELECT pg_catalog.set_config(late.name, late.value, false) FROM (VALUES ${values}) AS late(name, value, guarded)
  WHERE pg_catalog.current_setting(late.name, true) <> late.value
    AND (NOT late.guarded OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))`
}

/** Sets on a client of one connection, or on a reserved one, what could not be set as it was made. */
export async function beginSession(sql: Sql, kind: SessionKind = 'own'): Promise<void> {
  await sql.unsafe(lateStatement(kind === 'own' ? late : late.filter(({ guarded }) => guarded !== true)))
}

/** The same at the head of a script for psql. */
export const beginStatement = `${lateStatement(late)};\n`

/** The same without a line of output. */
export const beginScript = `\\o /dev/null\n${beginStatement}\\o\n`
