import type { EntryToRead } from '../archive/read-entry.js'
import type { Connection } from '../database/connection/connection.js'
import type { Load } from '../database/load/load-dump.js'
import type { PostgresTools } from '../database/postgres-tools.js'

export type LoadTask =
  | {
      kind: 'load'
      connection: Connection
      tools: PostgresTools
      load: Omit<Load, 'sql' | 'again' | 'signal'>
      /** The archive's file descriptor, which all threads of the process share. */
      descriptor: number
      dump: EntryToRead
      trusted: boolean
    }
  | { kind: 'stop' }

export type LoadReply =
  /** Compressed bytes, as they are read. */
  { kind: 'read'; bytes: number } | { kind: 'loaded' }
