import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

const iterations = 4096

/**
 * What PostgreSQL stores for a password, so that CREATE ROLE can be given this in place of the clear text, which would
 * show in server logs. Keys as in RFC 5802 section 3 with SHA-256 (RFC 7677), the form as in pg_authid.rolpassword.
 * @throws TypeError for a password outside printable ASCII, which would need SASLprep
 */
export function scramVerifier(password: string): string {
  if (!/^[\x20-\x7e]+$/.test(password)) throw new TypeError('A role password must be printable ASCII.')
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64')
  const serverKey = hmac('Server Key').toString('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
