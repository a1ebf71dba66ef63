import type { BackupType } from '../archive/metadata.js'
import type { Backup } from './record.js'

/** The records of every organization, listed newest first. */
export interface Catalog {
  get (organizationId: string, backupId: string): Promise<Backup | null>
  /** `cursor` is a former page's `next`; null `next` on the last page. @throws AppError BAD_REQUEST for a cursor that is none of ours */
  list (organizationId: string, page: { type?: BackupType, limit: number, cursor?: string }): Promise<{ backups: Backup[], next: string | null }>
  add (record: Backup): Promise<void>
  remove (organizationId: string, backupId: string): Promise<void>
  /** Start-up: adopts archives without a record (reads and hashes them), marks records without an archive. */
  reconcile (): Promise<void>
}
