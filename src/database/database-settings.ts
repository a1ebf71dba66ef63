import type { Sql } from 'postgres'
import { databaseError } from './connection/connection.js'
import { quoteIdentifier, quoteLiteral } from './identifiers.js'

/** One of ALTER DATABASE … SET (no role) or ALTER ROLE … IN DATABASE … SET, as pg_db_role_setting has it. */
export interface DatabaseSetting {
  role: string | null
  name: string
  value: string
}

/** Those of the database that `sql` is connected to. */
export async function readDatabaseSettings(sql: Sql): Promise<DatabaseSetting[]> {
  const settings = await sql<Array<{ role: string | null; setting: string }>>`
    SELECT r.rolname AS role, unnest(s.setconfig) AS setting
    FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND (s.setrole = 0 OR r.oid IS NOT NULL) ORDER BY 1 NULLS FIRST, 2`
  return settings.map(({ role, setting }) => {
    const separator = setting.indexOf('=')
    return { role, name: setting.slice(0, separator), value: setting.slice(separator + 1) }
  })
}

/**
 * Puts settings on the database `name`, without setting them in the session: a statement_timeout would end the
 * statement.
 * @returns a warning for each that the user may not set
 */
export async function applyDatabaseSettings(
  sql: Sql,
  name: string,
  settings: readonly DatabaseSetting[]
): Promise<string[]> {
  const warnings: string[] = []
  for (const { role, name: setting, value } of settings) {
    const target =
      role === null
        ? `DATABASE ${quoteIdentifier(name)}`
        : `ROLE ${quoteIdentifier(role)} IN DATABASE ${quoteIdentifier(name)}`
    try {
      await sql.unsafe(`ALTER ${target} SET ${quoteSetting(setting)} TO ${valueOf(setting, value)}`)
    } catch (error) {
      warnings.push(
        `Could not put back the setting ${setting} of the database${role === null ? '' : ` for the role ${role}`}: ${databaseError(error).message} For the operator: set it again after the restore, as a superuser.`
      )
    }
  }
  return warnings
}

/**
 * Settings that a restore beside the live database will not be able to put back, one warning for all of them: of a
 * superuser's, and those that PostgreSQL does not know, which only a superuser may give to a database (manual,
 * "Customized Options"). From version 15 on that can be granted.
 */
export async function settingWarnings(sql: Sql): Promise<string[]> {
  const [user] = await sql<[{ isMeant: boolean; major: number }]>`
    SELECT rolcreatedb AND NOT rolsuper AS "isMeant", current_setting('server_version_num')::int / 10000 AS major FROM pg_catalog.pg_roles WHERE rolname = current_user`
  if (!user.isMeant) return []
  const names = [...new Set((await readDatabaseSettings(sql)).map(({ name }) => name))]
  if (names.length === 0) return []
  const granted = user.major >= 15 ? "pg_catalog.has_parameter_privilege(name, 'SET')" : 'false'
  const guarded = await sql.unsafe<Array<{ name: string }>>(
    `
    SELECT name FROM unnest($1::text[]) AS known(name)
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE lower(s.name) = lower(known.name) AND s.context = 'user') AND NOT ${granted} ORDER BY 1`,
    [names]
  )
  if (guarded.length === 0) return []
  const list = guarded.map(({ name }) => name).join(', ')
  const way =
    user.major >= 15
      ? `run GRANT SET ON PARAMETER ${guarded.map(({ name }) => quoteSetting(name)).join(', ')} TO the database user as a superuser`
      : 'have a superuser set them again after a restore'
  return [
    `A restore into a new database can't put back settings of the database that only a superuser may set: ${list}. For the operator: ${way}.`
  ]
}

/** A setting's name can be of two parts, each an identifier (an extension's `pgaudit.log`). */
function quoteSetting(name: string): string {
  return name.split('.').map(quoteIdentifier).join('.')
}

/**
 * Each a list of quoted names, which a single literal would make one name (PostgreSQL source,
 * variable_is_guc_list_quote in dumputils.c).
 */
const lists = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories'
])

function valueOf(setting: string, value: string): string {
  if (!lists.has(setting.toLowerCase())) return quoteLiteral(value)
  const names = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^\s,]+))\s*(?:,|$)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? ''
  )
  return names.length === 0 ? quoteLiteral('') : names.map(quoteLiteral).join(', ')
}
