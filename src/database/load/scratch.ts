import { randomBytes } from 'node:crypto'
import type { Sql } from 'postgres'
import { AppError, systemCode } from '../../errors.js'
import { databaseError, trustedPath, withSql, type Connection } from '../connection/connection.js'
import { quoteIdentifier, quoteLiteral } from '../identifiers.js'
import type { DatabaseDetails } from '../database-details.js'
import { databaseOid, withMaintenance } from '../maintenance.js'
import { scramVerifier } from '../embedded/scram.js'
import { cannotEnd, databasesInUse, describeSession, endSessions, lastingSessions } from '../sessions.js'

/** Who loads a dump: a dump is code, and this role is its cage. */
export interface Loader {
  user: string
  password: string
}

const dropTries = 3

export interface ScratchNames {
  database: string
  loader: string
}

export interface Scratch {
  oid: string
  /** Null when the user may create no role: then the dump is loaded as the user itself. */
  loader: Loader | null
  warnings: string[]
}

type Locale = Pick<DatabaseDetails, 'encoding' | 'collate' | 'ctype' | 'localeProvider' | 'icuLocale' | 'icuRules'>

/**
 * Creates an empty database beside the live one, closed to every role but a fresh one that owns nothing else, is in no
 * other role and can't create any.
 * @param maxBytes of temporary files that the role may make, where we may limit them
 * @throws AppError DATABASE_UNAVAILABLE, DATABASE_ERROR, DISK_FULL
 */
export async function createScratch(
  connection: Connection,
  names: ScratchNames,
  locale: Locale,
  maxBytes: number
): Promise<Scratch> {
  try {
    return await withMaintenance(connection, async sql => {
      await waitForOthers(sql, names)
      const loader = await createLoader(sql, names.loader, maxBytes)
      const owner = quoteIdentifier(loader?.user ?? connection.user)
      const warnings = await createDatabase(sql, names.database, owner, locale)
      await sql.unsafe(`REVOKE ALL ON DATABASE ${quoteIdentifier(names.database)} FROM PUBLIC`)
      const oid = (await databaseOid(sql, names.database)) as string
      if (loader === null)
        warnings.push(
          'The database user may not create roles, so the dump is loaded with its own rights: restore only archives that you trust.'
        )
      return { oid, loader, warnings }
    })
  } catch (error) {
    // The preflight has asked for these rights, so this is no shortfall that it could name.
    if (systemCode(error) === '42501')
      throw new AppError(
        'DATABASE_ERROR',
        'right-missing',
        `PostgreSQL answered: ${(error as Error).message} (42501).`,
        { cause: error }
      )
    throw databaseError(error)
  }
}

async function createLoader(sql: Sql, name: string, maxBytes: number): Promise<Loader | null> {
  const [user] = await sql<[{ able: boolean; grantsInherit: boolean }]>`
    SELECT rolsuper OR rolcreaterole AS able, current_setting('server_version_num')::int >= 160000 AS "grantsInherit" FROM pg_catalog.pg_roles WHERE rolname = current_user`
  if (!user.able) return null
  const password = randomBytes(24).toString('base64url')
  await sql.unsafe(`CREATE ROLE ${quoteIdentifier(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD ${quoteLiteral(scramVerifier(password))}`)
  await limitTemporaryFiles(sql, name, maxBytes)
  // To create a database that it owns, and to take its objects over later.
  // From PostgreSQL 16 on the grant itself says whether the rights come with it; by default the user's NOINHERIT does.
  await sql.unsafe(
    `GRANT ${quoteIdentifier(name)} TO CURRENT_USER${user.grantsInherit ? ' WITH INHERIT TRUE, SET TRUE' : ''}`
  )
  return { user: name, password }
}

/** Only a superuser may, or from PostgreSQL 15 whom one has granted it: GRANT SET ON PARAMETER temp_file_limit. */
async function limitTemporaryFiles(sql: Sql, role: string, maxBytes: number): Promise<void> {
  try {
    await sql.unsafe(
      `ALTER ROLE ${quoteIdentifier(role)} SET temp_file_limit = '${Math.min(Math.ceil(maxBytes / 1024), 0x7fffffff)}kB'`
    )
  } catch (error) {
    if ((error as { code?: unknown }).code !== '42501') throw error
  }
}

/** With the archive's locale where this server has it, else with the one that new databases get here. */
async function createDatabase(sql: Sql, name: string, owner: string, locale: Locale): Promise<string[]> {
  const create = `CREATE DATABASE ${quoteIdentifier(name)} OWNER ${owner} TEMPLATE template0 ENCODING ${quoteLiteral(locale.encoding)}`
  const [{ version }] = await sql<
    [{ version: number }]
  >`SELECT pg_catalog.current_setting('server_version_num')::int AS version`
  try {
    await sql.unsafe(`${create} ${localeClause(locale, version)}`)
    return []
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code === '53100')
      throw new AppError('DISK_FULL', 'database-disk-full', 'The disk of the database server is full.', {
        cause: error
      })
    // Invalid parameter value and wrong object type are what an unknown locale or provider is answered with.
    if (code !== '22023' && code !== '42809' && code !== '42601') throw error
    await sql.unsafe(create)
    return [
      `This server does not have the locale ${locale.collate}: the restored database has the server's own, so texts may sort differently.`
    ]
  }
}

/**
 * Without its provider, a database has that of template0, whatever its locale is called (CREATE DATABASE in the
 * manual).
 */
function localeClause({ localeProvider, collate, ctype, icuLocale, icuRules }: Locale, version: number): string {
  const libc = `LC_COLLATE ${quoteLiteral(collate)} LC_CTYPE ${quoteLiteral(ctype)}`
  if (localeProvider === 'i' && icuLocale !== null) {
    return `${libc} LOCALE_PROVIDER icu ICU_LOCALE ${quoteLiteral(icuLocale)}${icuRules === undefined ? '' : ` ICU_RULES ${quoteLiteral(icuRules)}`}`
  }
  if (localeProvider === 'b' && icuLocale !== null)
    return `${libc} LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteLiteral(icuLocale)}`
  // Servers before 15 have no other provider, and no word for it.
  return version < 150_000 ? libc : `${libc} LOCALE_PROVIDER libc`
}

/**
 * Gives everything that the loader made to the database's real owner and removes the loader.
 * @param searchPath for the functions that ANALYZE calls, as their tables' owner
 */
export async function adoptScratch(
  connection: Connection,
  names: ScratchNames,
  loader: Loader | null,
  { owner, searchPath = trustedPath }: { owner: string; searchPath?: string }
): Promise<void> {
  try {
    await withSql(connection, { database: names.database, searchPath: trustedPath }, async sql => {
      if (loader !== null) {
        const role = quoteIdentifier(loader.user)
        await sql.unsafe(`REASSIGN OWNED BY ${role} TO ${quoteIdentifier(owner)}`)
        await sql.unsafe(`DROP OWNED BY ${role}`)
        await sql.unsafe(`DROP ROLE ${role}`)
      }
      await sql`SELECT pg_catalog.set_config('search_path', ${searchPath}, false)`
      await sql.unsafe('ANALYZE')
    })
  } catch (error) {
    throw databaseError(error)
  }
}

/** Removes the scratch database and its loader, whatever is there of them. Idempotent. */
export async function dropScratch(connection: Connection, names: ScratchNames): Promise<void> {
  try {
    await withMaintenance(connection, async sql => {
      await waitForOthers(sql, names)
      await dropDatabase(sql, names.database)
      // A user who may make no role may not ask to drop one either, not even one that is not there.
      const made = await sql`SELECT FROM pg_catalog.pg_roles WHERE rolname = ${names.loader}`
      if (made.length > 0) await sql.unsafe(`DROP ROLE ${quoteIdentifier(names.loader)}`)
    })
  } catch (error) {
    throw databaseError(error)
  }
}

/**
 * One session at a time works on a scratch database, until it ends. After a crash of ours the server may still be
 * creating one, which a drop that does not wait would miss.
 */
async function waitForOthers(sql: Sql, { database }: ScratchNames): Promise<void> {
  await sql`SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(${database}, 0))`
}

/**
 * Drops a database, also one that was a template, and ends the sessions in it. Not by FORCE, which needs rights over
 * each process and is refused (42501) where an autovacuum worker is among them, since that belongs to no role.
 * Idempotent.
 * @throws AppError DATABASE_BUSY naming the sessions that stay
 */
export async function dropDatabase(sql: Sql, name: string): Promise<void> {
  // A drop that was cut off, by a full disk or a crash, leaves an invalid database: it lets no session in and can only
  // be dropped, ALTER DATABASE ends our session (PostgreSQL's source, DATCONNLIMIT_INVALID_DB).
  const [found] = await sql<Array<{ template: boolean; valid: boolean }>>`
    SELECT datistemplate AS template, datconnlimit <> -2 AS valid FROM pg_catalog.pg_database WHERE datname = ${name}`
  if (found === undefined) return
  const database = quoteIdentifier(name)
  if (found.valid && found.template) await sql.unsafe(`ALTER DATABASE ${database} IS_TEMPLATE false`)
  // From now on no session gets in, not a superuser's and not an autovacuum worker's either.
  if (found.valid) await sql.unsafe(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`)
  let inUse: unknown
  for (let attempt = 1; attempt <= dropTries; attempt += 1) {
    const ended = await endSessions(sql, [name])
    // DROP would wait five seconds for a session that stays, and then be refused.
    const lasting = await lastingSessions(sql, name)
    if (lasting.length > 0)
      throw cannotEnd(`The database ${name} could not be dropped`, lasting.map(describeSession).join(', '))
    // DROP has waited five seconds for those that stay: only one that had just begun to enter could be ended now.
    if (inUse !== undefined && ended === 0) break
    try {
      await sql.unsafe(`DROP DATABASE IF EXISTS ${database}`)
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== '55006') throw error
      inUse = error
    }
  }
  throw await databasesInUse(sql, [name], `The database ${name} could not be dropped`, inUse)
}
