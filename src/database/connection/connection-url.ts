import { AppError } from '../../errors.js'
import { environmentByKeyword, unsupportedKeywords } from './libpq-keywords.js'

/**
 * How to reach one database, in libpq's terms: what both the postgres driver and the PostgreSQL tools are given.
 * The password is in here, so a Connection is never logged.
 */
export interface Connection {
  /** Host name, address, or an absolute path of a socket folder. */
  host: string
  port: number
  user: string
  password: string | null
  database: string
  /** Further libpq parameters by keyword (sslmode, sslrootcert, …); never user, password, host, port or dbname. */
  parameters: Readonly<Record<string, string>>
}

const sslModes = new Set(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'])

/**
 * Reads a libpq connection URI as libpq does (PostgreSQL manual, "34.1.1.2 Connection URIs"), except that neither the
 * environment nor a file adds anything, several hosts are refused, and parameters that libpq does not know (Prisma's
 * schema, connection_limit, pgbouncer, …) are ignored.
 * @throws AppError CONFIG_INVALID, which never repeats the URL
 */
export function parseConnectionUrl(url: string): Connection {
  const scheme = /^postgres(?:ql)?:\/\//.exec(url)?.[0]
  if (scheme === undefined) throw invalid('does not begin with postgres:// or postgresql://')
  const { credentials, hosts, path, query } = split(url.slice(scheme.length))
  const parameters = readParameters(query)
  const given: Record<string, string | undefined> = {
    ...credentials,
    ...readHost(hosts),
    ...(path === '' ? {} : { dbname: decode(path) }),
    ...parameters
  }
  const { host, port, user, password, dbname, ...rest } = given

  if (user === undefined || user === '') throw invalid('names no user')
  if (host?.includes(',') || port?.includes(','))
    throw invalid('names several hosts', 'Name one host: the one that can be written to.')
  return {
    host: host || 'localhost',
    port: readPort(port),
    user,
    password: password || null,
    database: dbname || user,
    parameters: rest as Record<string, string>
  }
}

/** Where a connection leads, for a log: without its password and its parameters. */
export function describeConnection({ host, port, user, database }: Connection): string {
  return `${user}@${host}:${port}/${database}`
}

/** Cuts where libpq cuts: credentials end at the first "@" before any "/", the path at the first "?". */
function split(text: string): { credentials: Record<string, string>; hosts: string; path: string; query: string } {
  const [, userinfo, rest = ''] = /^(?:([^@/]*)@)?(.*)$/s.exec(text) ?? []
  const [, hosts = '', path = '', query = ''] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ?? []
  if (userinfo === undefined) return { credentials: {}, hosts, path, query }
  const colon = userinfo.indexOf(':')
  if (colon === -1) return { credentials: { user: decode(userinfo) }, hosts, path, query }
  return {
    credentials: { user: decode(userinfo.slice(0, colon)), password: decode(userinfo.slice(colon + 1)) },
    hosts,
    path,
    query
  }
}

function readHost(text: string): { host?: string; port?: string } {
  if (text === '') return {}
  if (text.includes(',')) return { host: text }
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/s.exec(text)
  if (parts === null)
    throw invalid(
      "has a host that can't be read",
      'Write an IPv6 address in brackets, as in postgres://user@[::1]:5432/name.'
    )
  return { host: decode(parts[1] ?? parts[2] ?? ''), port: parts[3] === undefined ? '' : decode(parts[3]) }
}

function readPort(text: string | undefined): number {
  if (text === undefined || text === '') return 5432
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) throw invalid('has a port that is not a number from 1 to 65535')
  return port
}

function readParameters(query: string): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const pair of query.split('&').filter(part => part !== '')) {
    const equals = pair.indexOf('=')
    if (equals === -1) throw invalid('has a parameter without a value')
    let keyword = decode(pair.slice(0, equals))
    let value = decode(pair.slice(equals + 1))
    // libpq takes JDBC's spelling too.
    if (keyword === 'ssl' && value === 'true') [keyword, value] = ['sslmode', 'require']
    const refused = Object.hasOwn(unsupportedKeywords, keyword) ? unsupportedKeywords[keyword] : undefined
    if (refused !== undefined)
      throw invalid(
        `has the parameter ${keyword}, which is not supported`,
        `Remove ${keyword} from DATABASE_URL: ${refused}.`
      )
    if (
      Object.hasOwn(environmentByKeyword, keyword) ||
      ['host', 'port', 'user', 'password', 'dbname'].includes(keyword)
    )
      parameters[keyword] = value
  }
  checkTls(parameters)
  return parameters
}

function checkTls({ sslmode, sslrootcert, connect_timeout: timeout }: Record<string, string>): void {
  if (sslmode !== undefined && !sslModes.has(sslmode))
    throw invalid('has an unknown sslmode', `Use one of ${[...sslModes].join(', ')}.`)
  if (sslmode?.startsWith('verify-') && !sslrootcert) {
    throw invalid(
      `asks for sslmode=${sslmode} without sslrootcert`,
      "Add sslrootcert with the path of the authority's certificate."
    )
  }
  if (sslrootcert === 'system' && sslmode !== undefined && sslmode !== 'verify-full') {
    throw invalid(
      `asks for sslmode=${sslmode} with sslrootcert=system`,
      'Use sslmode=verify-full with sslrootcert=system.'
    )
  }
  if (timeout !== undefined && !/^\d+$/.test(timeout))
    throw invalid('has a connect_timeout that is not a number of seconds')
}

function decode(text: string): string {
  // A "%" that begins no escape is an error in libpq as well; %00 can't be in any of its values.
  if (/%00/.test(text)) throw invalid('contains %00')
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(
      'has a "%" that begins no percent-encoding',
      'Percent-encode special characters of the user and the password: "%" is %25.'
    )
  }
}

function invalid(
  problem: string,
  remedy = 'Write DATABASE_URL as postgres://user:password@host:5432/database.'
): AppError {
  return new AppError('CONFIG_INVALID', 'database-url', `DATABASE_URL ${problem}.`, { remedy })
}
