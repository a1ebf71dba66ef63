import type { Connection } from './connection/connection.js'

export type DatabaseKind = 'embedded' | 'external'

/** How the database is reached and who runs it. What is done with it (dump, load, swap) is the same for every kind. */
export interface DatabaseStrategy {
  readonly kind: DatabaseKind
  /** The cluster's data folder when it is ours and on this machine, for the disk preflight; else null. */
  readonly dataDirectory: string | null
  /** Makes the database reachable. Idempotent. @throws AppError DATABASE_UNAVAILABLE, DATABASE_TOOLS_MISSING */
  start(): Promise<void>
  /** Stops what start() started. Idempotent. */
  stop(): Promise<void>
  /** Where the application's database is. @throws AppError DATABASE_UNAVAILABLE before start() */
  connection(): Connection
}
