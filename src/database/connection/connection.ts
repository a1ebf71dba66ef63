import postgres from 'postgres'
import { arrayTypes } from './array-types.js'
import type { Connection } from './connection-url.js'
import { environmentByKeyword } from './libpq-keywords.js'
import { beginSession, connectionOptions, type SessionKind } from './session-settings.js'
import { tlsFor } from './tls.js'

export { parseConnectionUrl, type Connection } from './connection-url.js'
export { databaseError } from './database-error.js'

/** What differs from the Connection itself: another database of the server, or another role. */
export interface ConnectionOverrides {
  database?: string
  user?: string
  password?: string | null
}

export interface SqlOptions extends ConnectionOverrides {
  /** Connections at most; 1 unless told. */
  max?: number
  applicationName?: string
  /** Wins over what the database or the role sets. */
  searchPath?: string
  /** Ask one thing and leave nothing in the session, no prepared statement either: it may be one of a pooler's. */
  isProbe?: boolean
  /** Our own unless told. */
  kind?: SessionKind
}

/**
 * For a database that a dump was loaded into: no function or operator out of it can take the place of a built-in one.
 */
export const trustedPath = 'pg_catalog'

/**
 * The variables that make pg_dump and psql connect there, with our own settings. They hold the password: for a child's
 * environment only. What a program reads and writes is UTF-8 unless it is told otherwise.
 */
export function toEnvironment(connection: Connection, overrides: ConnectionOverrides = {}): Record<string, string> {
  const { host, port, user, password, database, parameters } = override(connection, overrides)
  const environment: Record<string, string> = {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGDATABASE: database,
    PGCLIENTENCODING: 'UTF8'
  }
  if (password !== null) environment.PGPASSWORD = password
  for (const [keyword, value] of Object.entries(parameters)) {
    const name = environmentByKeyword[keyword]
    if (name !== undefined) environment[name] = value
  }
  environment.PGOPTIONS = connectionOptions(parameters.options)
  return environment
}

/**
 * A client for the database; it connects on first use. The caller ends it. bigint arrives as a string. A session of one
 * connection comes from reserveSession, not from reserve().
 * @throws AppError CONFIG_INVALID when a certificate or key file can't be read
 */
export function openSql(connection: Connection, options: SqlOptions = {}): postgres.Sql {
  const { host, port, user, password, database, parameters } = override(connection, options)
  const attributes = parameters.target_session_attrs
  // Everything is given, since the driver would take what is left out from PG… variables of the environment.
  const settings = {
    ...(host.startsWith('/') ? { host, path: `${host}/.s.PGSQL.${port}` } : { host: [parameters.hostaddr || host] }),
    port: [port],
    user,
    password: () => password ?? '',
    database,
    ssl: tlsFor(connection),
    sslnegotiation: parameters.sslnegotiation === 'direct' ? 'direct' : null,
    max: options.max ?? 1,
    connect_timeout: Number(parameters.connect_timeout ?? 10),
    idle_timeout: undefined,
    // A session may hold a snapshot or a lock for hours.
    max_lifetime: null,
    prepare: options.isProbe !== true,
    debug: false,
    fetch_types: false,
    types: arrayTypes,
    target_session_attrs: attributes === 'any' ? undefined : attributes,
    onnotice: () => {},
    connection: {
      application_name: options.applicationName ?? parameters.application_name ?? 'dumbassets-backup',
      ...(options.searchPath === undefined ? {} : { search_path: options.searchPath }),
      options: connectionOptions(parameters.options, options.kind)
    }
  }
  return postgres(settings as unknown as postgres.Options<{}>)
}

/** Opens a client, hands it to `use`, and ends it whatever happens. Errors are the driver's own: see databaseError. */
export async function withSql<Result>(
  connection: Connection,
  options: SqlOptions,
  use: (sql: postgres.Sql) => Promise<Result>
): Promise<Result> {
  const sql = openSql(connection, options)
  try {
    await beginSession(sql, options.kind)
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function override(connection: Connection, { database, user, password }: ConnectionOverrides): Connection {
  return {
    ...connection,
    database: database ?? connection.database,
    user: user ?? connection.user,
    password: password === undefined ? connection.password : password
  }
}
