import type { Log } from './log.js'
import type { Compression } from './archive/compression.js'
import type { SigningKeys } from './archive/signature.js'
import type { IncomingArchives } from './backup/incoming.js'
import type { DatabaseStrategy } from './database/strategy.js'
import type { Catalog } from './repository/catalog.js'
import type { Repository } from './repository/repository.js'
import type { StorageStrategy } from './storage/strategy.js'

/** The settings that backup and restore follow; config.ts reads them from the environment. */
export interface Settings {
  /** The release of this service, as written into metadata. */
  version: string
  uploadDir: string
  databaseScope: 'auto' | 'instance' | 'organization'
  tenantTable: string
  tenancyFile: string | null
  checkpointRetentionMs: number
  compression: Compression
  /** The largest archive that can be uploaded; null: what the disk takes. */
  uploadMaxBytes: number | null
  /** How long loading a dump may take; null: what follows from its size. */
  loadTimeoutMs: number | null
  /** Use archives too that this installation has not signed. */
  acceptUnsignedArchives: boolean
  pgBinDir: string | null
}

/** What every operation works with. Made once, by the composition root. */
export interface Core {
  settings: Settings
  signing: SigningKeys
  database: DatabaseStrategy
  storage: StorageStrategy
  repository: Repository
  catalog: Catalog
  incoming: IncomingArchives
  log: Log
}
