import type { FileOwner } from '../storage/strategy.js'

export interface FileToExtract {
  /** In the archive. */
  name: string
  /** Where it shall be; does not exist yet, its folder does. Absolute. */
  path: string
  mode: number
  /** mtime, since 1970. */
  seconds: number
  /** Where the entry starts in the archive, and the bytes that must stand before and behind its data. */
  start: number
  header: Uint8Array
  trailer: Uint8Array
  compressedSize: number
  deflated: boolean
  crc32: number
  size: number
  sha256: string
}

/** What a worker is started with. */
export interface ExtractData {
  /** The archive's file descriptor, which all threads of the process share. */
  descriptor: number
  /** As chown(2) takes it; null leaves what is made to the service's user. */
  owner: FileOwner | null
}

export interface ExtractTask {
  files: FileToExtract[]
}
/** Bytes as they are written; `extracted` ends the task. */
export interface ExtractReply {
  kind: 'written' | 'extracted'
  bytes: number
}
