import { createHmac, sign as signBytes, type KeyObject } from 'node:crypto'

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const hashOf: Record<string, string> = { HS384: 'sha384', HS512: 'sha512' }

export const unixTime = (): number => Math.floor(Date.now() / 1000)

/** A token made by hand, as an attacker would: signed with `key` whatever the header says. */
export function hmacToken(key: string | Buffer, payload: object, header: { alg: string } = { alg: 'HS256' }): string {
  const input = `${encode({ typ: 'JWT', ...header })}.${encode(payload)}`
  return `${input}.${createHmac(hashOf[header.alg] ?? 'sha256', key)
    .update(input)
    .digest('base64url')}`
}

/** Signed with a private key. */
export function keyToken(key: KeyObject, payload: object, header: { alg: string }): string {
  const input = `${encode({ typ: 'JWT', ...header })}.${encode(payload)}`
  return `${input}.${signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** Not signed at all. */
export function unsignedToken(payload: unknown, header: object, signature = ''): string {
  return `${encode(header)}.${encode(payload)}.${signature}`
}
