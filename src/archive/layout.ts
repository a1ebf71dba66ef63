import { isOrganizationId, unsafePathReason } from '../io/safe-path.js'
import { stagingFolder } from '../storage/staging-folder.js'

/** Names of the archive's own entries, format 1 (FORMAT.md). */
export const databaseEntry = 'database.sql.gz'
export const metadataEntry = 'metadata.json'
export const checksumsEntry = 'SHA256SUMS'
export const signatureEntry = 'SHA256SUMS.hmac'
export const smbInfoEntry = 'files/SMB_BACKUP_INFO.txt'

/** Folders and own entries too. A reader keeps them all in memory, about half a KB each. */
export const mostEntries = 1_000_000
/** Bytes of what a reader keeps whole in memory; FORMAT.md has them too. */
export const mostBytes = { metadata: 16 << 20, checksums: 256 << 20, directory: 512 << 20 }
/** In bytes, below the organization's folder: no longer path can be opened (PATH_MAX of Linux). */
const longestPath = 4096

/** Those that are no upload. */
export const ownEntries: ReadonlySet<string> = new Set([
  databaseEntry,
  metadataEntry,
  checksumsEntry,
  signatureEntry,
  smbInfoEntry
])

/** Where an organization's files stand in the archive; ends with `/`. */
export function filesPrefix(organizationId: string): string {
  return `files/${organizationId}/`
}

/** Whether an entry of this name may be in a format 1 archive of the organization. Folder names end with `/`. */
export function isInLayout(name: string, organizationId: string): boolean {
  if (ownEntries.has(name)) return true
  const prefix = filesPrefix(organizationId)
  if (!name.startsWith(prefix)) return false
  const path = name.slice(prefix.length).replace(/\/$/, '')
  if (path === '') return name === prefix
  // A restore's own folder stands among the files when they are on a mount of their own.
  if (path.split('/', 1)[0] === stagingFolder || Buffer.byteLength(path) > longestPath) return false
  return unsafePathReason(path) === null
}

/** Whether an entry of this name has its place in an archive of another organization, and only there. */
export function isOfAnother(name: string, organizationId: string): boolean {
  const [, other = ''] = /^files\/([^/]*)\//.exec(name) ?? []
  return other !== organizationId && isOrganizationId(other) && isInLayout(name, other)
}
