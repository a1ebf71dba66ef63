import { AppError, systemCode } from '../../errors.js'

interface Cause {
  message: string
  remedy?: string
}

const startIt = 'Start PostgreSQL, or correct host and port in DATABASE_URL.'
const lost = { message: 'The connection to the database was lost.', remedy: 'See PostgreSQL\'s log for the reason, then try again.' }

/** Why a database is not available, by system, driver or SQLSTATE code (PostgreSQL manual, appendix A). */
const unavailable: Readonly<Record<string, Cause>> = {
  ECONNREFUSED: { message: 'The database refuses connections.', remedy: startIt },
  ENOTFOUND: { message: 'The database\'s host name is not known.', remedy: 'Correct the host in DATABASE_URL, or the name service.' },
  EAI_AGAIN: { message: 'The database\'s host name can\'t be looked up now.', remedy: 'Check the name service, then try again.' },
  ETIMEDOUT: { message: 'The database does not answer in time.', remedy: 'Check host and port in DATABASE_URL, the network and the firewall.' },
  CONNECT_TIMEOUT: { message: 'The database does not answer in time.', remedy: 'Check host and port in DATABASE_URL, the network and the firewall.' },
  EHOSTUNREACH: { message: 'The database\'s host can\'t be reached.', remedy: 'Check the host in DATABASE_URL and the network.' },
  ENETUNREACH: { message: 'The database\'s host can\'t be reached.', remedy: 'Check the host in DATABASE_URL and the network.' },
  ECONNRESET: { ...lost, remedy: 'Check that PostgreSQL answers there and takes the sslmode of DATABASE_URL, then try again.' },
  EPIPE: lost,
  CONNECTION_CLOSED: lost,
  CONNECTION_DESTROYED: lost,
  CONNECTION_ENDED: lost,
  '28P01': { message: 'The database refused the user or the password.', remedy: 'Correct user and password in DATABASE_URL.' },
  28000: { message: 'The database does not let this user in.', remedy: 'Correct user and sslmode in DATABASE_URL, or allow the connection in pg_hba.conf.' },
  '3D000': { message: 'The database does not exist.', remedy: 'Correct the database name in DATABASE_URL, or create the database.' },
  '57P01': lost,
  '57P02': lost,
  '57P03': { message: 'The database does not take connections now: it is starting, recovering or stopping.', remedy: 'Wait until PostgreSQL is ready, then try again.' },
  53300: { message: 'The database has no free connection.', remedy: 'Close other clients, or raise max_connections.' }
}

/**
 * An error of the postgres driver as one that a caller can be shown: DATABASE_UNAVAILABLE when the database can't be
 * reached or entered, else DATABASE_ERROR with PostgreSQL's message. The message never holds the statement or its
 * parameters. An AppError is handed back unchanged.
 */
export function databaseError (error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = systemCode(error) ?? ''
  const known = unavailableAs(code, error)
  if (known !== null) return known

  if (code === '55P03') {
    return new AppError('DATABASE_BUSY', 'A table stayed locked by another session for too long.', {
      remedy: 'Wait until the migration or maintenance that runs on the database has ended, then try again.', cause: error
    })
  }

  const { syscall, name, message, severity } = error as { syscall?: string, name?: string, message?: string, severity?: string }
  // The same code as for much else, but only a connection that is refused is fatal.
  if (code === '55000' && severity === 'FATAL') {
    return new AppError('DATABASE_UNAVAILABLE', `The database lets nobody in: ${message}.`, {
      remedy: 'If somebody has closed it, run ALTER DATABASE ... ALLOW_CONNECTIONS true as its owner, from another database.', cause: error
    })
  }
  if (name === 'PostgresError' && /startup parameter|command-line options/.test(message ?? '')) return pooled(error)
  if (syscall === 'connect') return new AppError('DATABASE_UNAVAILABLE', 'The database can\'t be reached.', { remedy: startIt, cause: error })
  if (/^08/.test(code)) return new AppError('DATABASE_UNAVAILABLE', lost.message, { remedy: lost.remedy, cause: error })
  if (isTlsCode(code)) {
    return new AppError('DATABASE_UNAVAILABLE', 'No trusted encrypted connection to the database could be made.', {
      remedy: 'Correct sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL, or the server\'s certificate.',
      cause: error
    })
  }
  if (name === 'PostgresError') return new AppError('DATABASE_ERROR', `PostgreSQL answered: ${message} (${code}).`, { cause: error })
  return new AppError('DATABASE_ERROR', `The database operation failed${code === '' ? '' : ` (${code})`}.`, { cause: error })
}

/** DATABASE_URL leads to a connection pooler: see requireDirect. PgBouncer and RDS Proxy refuse parameters of a session. */
export function pooled (cause?: unknown): AppError {
  return new AppError('CONFIG_INVALID', 'DATABASE_URL leads to a connection pooler and not to the PostgreSQL server itself, so sessions would be shared with the application.', {
    remedy: 'Set DATABASE_URL to the address of the PostgreSQL server itself: the host and port that the pooler connects to. The application can keep the pooler.', cause
  })
}

/** DATABASE_UNAVAILABLE with the words for the code, or null when it tells of something else. */
export function unavailableAs (code: string, cause: unknown): AppError | null {
  const known = Object.hasOwn(unavailable, code) ? unavailable[code] : undefined
  return known === undefined ? null : new AppError('DATABASE_UNAVAILABLE', known.message, { remedy: known.remedy, cause })
}

function isTlsCode (code: string): boolean {
  return /^(ERR_SSL|ERR_TLS|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/.test(code)
}
