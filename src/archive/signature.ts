import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'

/**
 * What archives are signed with, and what they may be signed with to be trusted. A KeyObject shows nothing when it is
 * logged.
 */
export interface SigningKeys {
  current: KeyObject
  previous: readonly KeyObject[]
}

/** Sets this key apart from any other that is made of the same secret. */
const purpose = 'dumbassets-backup archive signature'

/** The key that an operator gives: its bytes in UTF-8 are the HMAC's key. */
export function givenKey(secret: string): KeyObject {
  return createSecretKey(secret, 'utf8')
}

/** A key made of a secret that has another use: HKDF-SHA256 (RFC 5869) without salt, 32 bytes. */
export function derivedKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', purpose, 32)))
}

/** HMAC-SHA256 of SHA256SUMS, in hex. */
export function signatureOf(checksums: Iterable<Buffer>, key: KeyObject): string {
  const hmac = createHmac('sha256', key)
  for (const block of checksums) hmac.update(block)
  return hmac.digest('hex')
}

/** Tells keys apart without telling anything of them: the first 16 hex digits of the HMAC of `key-id`. */
export function keyId(key: KeyObject): string {
  return createHmac('sha256', key).update('key-id').digest('hex').slice(0, 16)
}

/** Id of the key that has made the signature; null when none of them has. */
export function signerOf({ current, previous }: SigningKeys, checksums: Buffer, signature: string): string | null {
  const given = Buffer.from(signature, 'hex')
  const signer = [current, ...previous].find(key => {
    const expected = Buffer.from(signatureOf([checksums], key), 'hex')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
  return signer === undefined ? null : keyId(signer)
}
