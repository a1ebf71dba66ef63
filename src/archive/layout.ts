import { unsafePathReason } from '../io/safe-path.js'

/** Names of the archive's own entries, format 1 (FORMAT.md). */
export const databaseEntry = 'database.sql.gz'
export const metadataEntry = 'metadata.json'
export const checksumsEntry = 'SHA256SUMS'
export const signatureEntry = 'SHA256SUMS.hmac'
export const smbInfoEntry = 'files/SMB_BACKUP_INFO.txt'

/** Those that are no upload. */
export const ownEntries: ReadonlySet<string> = new Set([databaseEntry, metadataEntry, checksumsEntry, signatureEntry, smbInfoEntry])

/** Where an organization's files stand in the archive; ends with `/`. */
export function filesPrefix (organizationId: string): string {
  return `files/${organizationId}/`
}

/** Whether an entry of this name may be in a format 1 archive of the organization. Folder names end with `/`. */
export function isInLayout (name: string, organizationId: string): boolean {
  if (ownEntries.has(name)) return true
  const prefix = filesPrefix(organizationId)
  if (!name.startsWith(prefix)) return false
  const path = name.slice(prefix.length).replace(/\/$/, '')
  return path === '' ? name === prefix : unsafePathReason(path) === null
}
