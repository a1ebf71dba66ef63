import type { Readable, Writable } from 'node:stream'
import type { FileHandle } from 'node:fs/promises'
import type { Backup } from './record.js'

/**
 * An archive being written. It is in the repository, under its final name and durable, only once commit() has returned.
 */
export interface PartialArchive {
  readonly stream: Writable
  /** Makes it durable under its final name. The stream must have finished. */
  commit(): Promise<void>
  /** Removes it. Idempotent, also after a failed commit. */
  discard(): Promise<void>
}

/** An archive that comes from elsewhere, whose backup is known only when it can be read. */
export interface ReceivedArchive extends Omit<PartialArchive, 'commit'> {
  /** Opened for reading, once the stream has finished. The caller closes it. */
  open(): Promise<{ handle: FileHandle; size: number }>
  commit(backupId: string): Promise<void>
}

/**
 * Where archives and records are kept, by organization. Ids are checked here once more: nothing that is no
 * organization id or no backup id ever becomes part of a path.
 * Every method throws AppError REPOSITORY_UNAVAILABLE or DISK_FULL when the place itself fails.
 */
export interface Repository {
  /** Makes it this process's alone until close(). @throws AppError CONFIG_INVALID while another service has it */
  open(): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
  /** Can be read and written now, and is still the one that was opened. */
  check(): Promise<void>
  organizations(): Promise<string[]>
  createArchive(organizationId: string, backupId: string): Promise<PartialArchive>
  receiveArchive(organizationId: string): Promise<ReceivedArchive>
  /** Opened for reading; null when it is not there. The caller closes it. */
  openArchive(organizationId: string, backupId: string): Promise<{ handle: FileHandle; size: number } | null>
  /** `end` is inclusive, as in HTTP ranges. Null when it is not there. */
  readArchive(
    organizationId: string,
    backupId: string,
    range?: { start: number; end: number }
  ): Promise<Readable | null>
  deleteArchive(organizationId: string, backupId: string): Promise<void>
  /** Ids of the archives and of the records that are there, in no order. */
  list(organizationId: string): Promise<{ archives: string[]; records: string[] }>
  /**
   * Names of further zip files in an organization's folder, or beside the folders (null): none that the service gives.
   */
  otherArchives(organizationId: string | null): Promise<string[]>
  /** One of those, opened for reading; null when it is not there. The caller closes it. */
  openOther(organizationId: string, name: string): Promise<{ handle: FileHandle; size: number } | null>
  /**
   * What changes whenever such a file, or one of the service's own, is written to or given other rights; null when it
   * is not there.
   */
  printOf(organizationId: string | null, name: string): Promise<string | null>
  /**
   * When a file last came into an organization's folder or left it, in milliseconds since 1970; null when the folder is
   * not there.
   */
  changedAt(organizationId: string): Promise<number | null>
  /** Null when it is not there, or damaged. */
  readRecord(organizationId: string, backupId: string): Promise<Backup | null>
  writeRecord(record: Backup): Promise<void>
  deleteRecord(organizationId: string, backupId: string): Promise<void>
  /** Folder of the organization's restore journals. It need not be there, unless `make` is set. */
  journalFolder(organizationId: string, options?: { make?: boolean }): Promise<string>
  /** Folder of what was done for the organization, which need not be there; that of a day (yyyy-mm-dd) is made. */
  activityFolder(organizationId: string, day?: string): Promise<string>
  /** Removes what an unfinished write left behind. Called at start-up, before anything is written. */
  removePartials(): Promise<void>
  /** Bytes that can still be written. */
  freeBytes(): Promise<number>
}
