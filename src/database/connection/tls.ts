import { readFileSync } from 'node:fs'
import { checkServerIdentity } from 'node:tls'
import type { ConnectionOptions, PeerCertificate, SecureVersion } from 'node:tls'
import { AppError } from '../../errors.js'
import type { Connection } from './connection-url.js'

/**
 * libpq's sslmode in the postgres driver's terms (PostgreSQL manual, "34.19 SSL Support"). `allow` is taken as
 * `prefer`: it encrypts where libpq would have tried without first. The driver's own `allow` would insist on TLS.
 * @throws AppError CONFIG_INVALID when a certificate or key file can't be read
 */
export function tlsFor(connection: Connection): 'prefer' | false | ConnectionOptions {
  const { sslmode, sslrootcert, sslcert, sslkey, sslcrl } = connection.parameters
  const mode = sslmode ?? (sslrootcert === 'system' ? 'verify-full' : 'prefer')
  // libpq ignores sslmode on a Unix socket.
  if (mode === 'disable' || connection.host.startsWith('/')) return false
  if (mode === 'allow' || mode === 'prefer') return 'prefer'

  const options: ConnectionOptions = {
    ca: sslrootcert === 'system' ? undefined : pem(sslrootcert, 'sslrootcert'),
    cert: pem(sslcert, 'sslcert'),
    key: pem(sslkey, 'sslkey'),
    crl: pem(sslcrl, 'sslcrl'),
    minVersion: connection.parameters.ssl_min_protocol_version as SecureVersion | undefined,
    maxVersion: connection.parameters.ssl_max_protocol_version as SecureVersion | undefined
  }
  // With a root certificate, libpq's require verifies the chain as verify-ca does.
  if (mode === 'require' && !sslrootcert) return { ...options, rejectUnauthorized: false }
  const nameMatters = mode === 'verify-full'
  return {
    ...options,
    rejectUnauthorized: true,
    checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
      nameMatters ? checkServerIdentity(connection.host, certificate) : undefined
  }
}

function pem(path: string | undefined, keyword: string): Buffer | undefined {
  if (!path) return undefined
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', 'tls-file-unreadable', `The ${keyword} file of DATABASE_URL can't be read.`, {
      remedy: `Correct ${keyword} in DATABASE_URL, or make the file readable for the service.`,
      cause
    })
  }
}
