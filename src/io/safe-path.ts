import { AppError } from '../errors.js'

const reservedNames = new Set(['backups'])
const organizationIdPattern = /^[A-Za-z0-9_-]{1,64}$/
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether `text` can be an organization's folder name: 1–64 of `[A-Za-z0-9_-]` and not reserved, in any case. */
export function isOrganizationId(text: string): boolean {
  return organizationIdPattern.test(text) && !reservedNames.has(text.toLowerCase())
}

/** Whether `text` is a UUID in lower case, the only form that our file names have (RFC 9562, section 4). */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text)
}

/** @throws AppError ORGANIZATION_ID_INVALID */
export function requireOrganizationId(text: string): string {
  if (!isOrganizationId(text))
    throw new AppError('ORGANIZATION_ID_INVALID', 'organization-id', 'The organization id is not valid.')
  return text
}

/** @throws AppError VALIDATION_FAILED */
export function requireUuid(text: string): string {
  if (!isUuid(text)) throw new AppError('VALIDATION_FAILED', 'not-a-uuid', 'The id is not a UUID.')
  return text
}

/**
 * Why `path` can't be a relative path of plain names below a folder, or null when it can. A backslash and a colon are
 * ordinary characters of a name, but on Windows they lead elsewhere.
 */
export function unsafePathReason(path: string, platform: NodeJS.Platform = process.platform): string | null {
  if (path.length === 0) return 'is empty'
  if (path.includes('\0')) return 'holds a NUL'
  if (path.startsWith('/')) return 'is absolute'
  if (platform === 'win32' && /[\\:]/.test(path)) return 'holds a backslash or a colon'
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') return 'has an empty, "." or ".." part'
    if (Buffer.byteLength(part) > 255) return 'has a name of over 255 bytes'
  }
  return null
}
