import { AppError, systemCode } from '../../errors.js'

interface Cause {
  reason: string
  message: string
  remedy?: string
}

const startIt = 'Start PostgreSQL, or correct host and port in DATABASE_URL.'
const lost = {
  reason: 'connection-lost',
  message: 'The connection to the database was lost.',
  remedy: "See PostgreSQL's log for the reason, then try again."
}

/** The code is the same for memory and for the table of locks, and for every right that is missing. */
export const outOfMemory = '53200'
export const outOfLocks = '53200 locks'
export const noConnect = '42501 connect'

/** Why a database is not available, by system, driver or SQLSTATE code (PostgreSQL manual, appendix A). */
const unavailable: Readonly<Record<string, Cause>> = {
  ECONNREFUSED: { reason: 'connection-refused', message: 'The database refuses connections.', remedy: startIt },
  ENOTFOUND: {
    reason: 'host-unknown',
    message: "The database's host name is not known.",
    remedy: 'Correct the host in DATABASE_URL, or the name service.'
  },
  EAI_AGAIN: {
    reason: 'host-lookup-failed',
    message: "The database's host name can't be looked up now.",
    remedy: 'Check the name service, then try again.'
  },
  ETIMEDOUT: {
    reason: 'connect-timeout',
    message: 'The database does not answer in time.',
    remedy: 'Check host and port in DATABASE_URL, the network and the firewall.'
  },
  CONNECT_TIMEOUT: {
    reason: 'connect-timeout',
    message: 'The database does not answer in time.',
    remedy: 'Check host and port in DATABASE_URL, the network and the firewall.'
  },
  EHOSTUNREACH: {
    reason: 'host-unreachable',
    message: "The database's host can't be reached.",
    remedy: 'Check the host in DATABASE_URL and the network.'
  },
  ENETUNREACH: {
    reason: 'host-unreachable',
    message: "The database's host can't be reached.",
    remedy: 'Check the host in DATABASE_URL and the network.'
  },
  ECONNRESET: {
    ...lost,
    remedy: 'Check that PostgreSQL answers there and takes the sslmode of DATABASE_URL, then try again.'
  },
  EPIPE: lost,
  CONNECTION_CLOSED: lost,
  CONNECTION_DESTROYED: lost,
  CONNECTION_ENDED: lost,
  '28P01': {
    reason: 'password-refused',
    message: 'The database refused the user or the password.',
    remedy:
      'Correct user and password in DATABASE_URL. If they are right, the password may have expired: ALTER ROLE ... VALID UNTIL.'
  },
  28000: {
    reason: 'user-refused',
    message: 'The database does not let this user in.',
    remedy:
      'Correct user and sslmode in DATABASE_URL, allow the connection in pg_hba.conf, or let the role log in (ALTER ROLE ... LOGIN).'
  },
  '3D000': {
    reason: 'no-such-database',
    message: 'The database does not exist.',
    remedy: 'Correct the database name in DATABASE_URL, or create the database.'
  },
  '57P01': lost,
  '57P02': lost,
  '57P03': {
    reason: 'server-not-ready',
    message: 'The database does not take connections now: it is starting, recovering or stopping.',
    remedy: 'Wait until PostgreSQL is ready, then try again.'
  },
  53300: {
    reason: 'no-free-connection',
    message: 'The database has no free connection.',
    remedy: 'Close other clients, or raise max_connections, or the CONNECTION LIMIT of the role or of the database.'
  },
  [outOfMemory]: {
    reason: 'server-out-of-memory',
    message: 'The database server has run out of memory.',
    remedy: 'Give the server more memory, or lower work_mem and maintenance_work_mem, then try again.'
  },
  [outOfLocks]: {
    reason: 'server-out-of-locks',
    message: 'The database server has no room for the locks of so many objects.',
    remedy: 'Raise max_locks_per_transaction on the server and restart it, then try again.'
  },
  [noConnect]: {
    reason: 'connect-right-missing',
    message: 'The database user may not connect to the database.',
    remedy: 'Run GRANT CONNECT ON DATABASE ... TO the user in DATABASE_URL.'
  },
  53400: {
    reason: 'server-limit',
    message: 'A limit of the database server was reached.',
    remedy: "See PostgreSQL's log for the limit (temp_file_limit, for one), raise it, then try again."
  }
}

/**
 * An error of the postgres driver as one that a caller can be shown: DATABASE_UNAVAILABLE when the database can't be
 * reached or entered, else DATABASE_ERROR with PostgreSQL's message. The message never holds the statement or its
 * parameters. An AppError is handed back unchanged.
 */
export function databaseError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = systemCode(error) ?? ''
  const known = unavailableAs(exactly(code, error as { hint?: string; severity?: string }), error)
  if (known !== null) return known

  if (code === '55P03') {
    return new AppError('DATABASE_BUSY', 'table-locked', 'A table stayed locked by another session for too long.', {
      remedy: 'Wait until the migration or maintenance that runs on the database has ended, then try again.',
      cause: error
    })
  }

  if (code === '53100')
    return new AppError('DISK_FULL', 'database-disk-full', 'The disk of the database server is full.', { cause: error })
  if (code === '42501') return missingRight((error as { message?: string }).message ?? '', error)

  const { syscall, name, message, severity } = error as {
    syscall?: string
    name?: string
    message?: string
    severity?: string
  }
  // The same code as for much else, but only a connection that is refused is fatal.
  if (code === '55000' && severity === 'FATAL') {
    return new AppError(
      'DATABASE_UNAVAILABLE',
      'connections-not-allowed',
      `The database takes no connections: ${message}.`,
      {
        remedy:
          'If it was closed on purpose, run ALTER DATABASE ... ALLOW_CONNECTIONS true as its owner, from another database.',
        cause: error
      }
    )
  }
  // A setting that every session of ours begins with, see session-settings.ts.
  if (code === '42704' && severity === 'FATAL' && message?.includes('"idle_session_timeout"') === true) {
    return new AppError('DATABASE_UNAVAILABLE', 'server-too-old', 'The database server is older than PostgreSQL 14.', {
      remedy: 'Upgrade PostgreSQL to version 14 or newer.',
      cause: error
    })
  }
  if (name === 'PostgresError' && /startup parameter|command-line options/.test(message ?? '')) return pooled(error)
  if (syscall === 'connect')
    return new AppError('DATABASE_UNAVAILABLE', 'unreachable', "The database can't be reached.", {
      remedy: startIt,
      cause: error
    })
  if (/^08/.test(code))
    return new AppError('DATABASE_UNAVAILABLE', lost.reason, lost.message, { remedy: lost.remedy, cause: error })
  if (isTlsCode(code)) {
    return new AppError(
      'DATABASE_UNAVAILABLE',
      'no-trusted-encryption',
      'No trusted encrypted connection to the database could be made.',
      {
        remedy: "Correct sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL, or the server's certificate.",
        cause: error
      }
    )
  }
  if (name === 'PostgresError')
    return new AppError(
      'DATABASE_ERROR',
      `sqlstate-${code.toLowerCase()}`,
      `PostgreSQL answered: ${message} (${code}).`,
      { cause: error }
    )
  return new AppError(
    'DATABASE_ERROR',
    'operation-failed',
    `The database operation failed${code === '' ? '' : ` (${code})`}.`,
    { cause: error }
  )
}

/** GUC names are not translated, and neither is `severity`. */
function exactly(code: string, { hint, severity }: { hint?: string; severity?: string }): string {
  if (code === outOfMemory && hint?.includes('max_locks_per_transaction') === true) return outOfLocks
  return code === '42501' && severity === 'FATAL' ? noConnect : code
}

/** PREFLIGHT_FAILED with PostgreSQL's words for the right that the database user lacks; they name no rows. */
export function missingRight(message: string, cause: unknown): AppError {
  return new AppError(
    'PREFLIGHT_FAILED',
    'right-missing',
    `The database user lacks a right that this needs: ${message}.`,
    {
      errors: [{ reason: 'right-missing', message }],
      remedy:
        'Have the owner of the object that is named or a superuser grant the right. Where row level security is named, give the user BYPASSRLS, or let it own the table without FORCE ROW LEVEL SECURITY. Then try again.',
      cause
    }
  )
}

/**
 * DATABASE_URL leads to a connection pooler: see requireDirect. PgBouncer and RDS Proxy refuse parameters of a session.
 */
export function pooled(cause?: unknown): AppError {
  return new AppError(
    'CONFIG_INVALID',
    'connection-pooler',
    'DATABASE_URL leads to a connection pooler and not to the PostgreSQL server itself, so sessions would be shared with the application.',
    {
      remedy:
        'Set DATABASE_URL to the address of the PostgreSQL server itself: the host and port that the pooler connects to. The application can keep the pooler.',
      cause
    }
  )
}

/** DATABASE_UNAVAILABLE with the words for the code, or null when it tells of something else. */
export function unavailableAs(code: string, cause: unknown): AppError | null {
  const known = Object.hasOwn(unavailable, code) ? unavailable[code] : undefined
  return known === undefined
    ? null
    : new AppError('DATABASE_UNAVAILABLE', known.reason, known.message, { remedy: known.remedy, cause })
}

function isTlsCode(code: string): boolean {
  return /^(ERR_SSL|ERR_TLS|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/.test(
    code
  )
}
