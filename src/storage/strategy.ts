import type { FileHandle } from 'node:fs/promises'
import type { EntryList } from './entry-list.js'

export type StorageKind = 'local' | 'smb'

/** Numbers of a user and a group. */
export interface FileOwner {
  uid: number
  gid: number
}

/** Whose an organization's folder is, and whose the folder is that it is in. */
export interface FileOwners {
  folder: FileOwner
  uploadDir: FileOwner
}

export interface Listing {
  /** Each folder followed by what is in it, names in byte order, so that consecutive archives keep their order. */
  entries: EntryList
  /** Null when the organization has no folder here. */
  owners: FileOwners | null
  warnings: string[]
}

export interface StorageCapabilities {
  /** The uploads can be read into an archive and put back by the service itself. */
  readonly transferable: boolean
}

/** How an organization's uploaded files are read. Replacing them is the files participant's work. */
export interface StorageStrategy {
  readonly kind: StorageKind
  readonly capabilities: StorageCapabilities
  /** @throws AppError STORAGE_UNAVAILABLE when the uploads as a whole can't be reached */
  check(): Promise<void>
  /** Everything under the organization's folder; empty when it has none. */
  list(organizationId: string): Promise<Listing>
  /**
   * The folder of this machine that holds the organization's files, absolute and with links resolved; null when there
   * is none.
   */
  folder(organizationId: string): Promise<string | null>
  /** Opens a listed file for reading without following links; null when it is gone or no regular file any more. */
  open(organizationId: string, path: string): Promise<FileHandle | null>
  /** What goes into the archive in place of files when they are not transferable. Never holds a secret. */
  describe(organizationId: string): { name: string; text: string; warning: string } | null
}
