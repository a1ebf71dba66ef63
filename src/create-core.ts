import { createIncomingArchives } from './backup/incoming.js'
import type { Config } from './config.js'
import type { Core } from './core.js'
import { createEmbeddedDatabase } from './database/embedded/embedded.js'
import { createExternalDatabase } from './database/external.js'
import type { Log } from './log.js'
import { createCatalog } from './repository/catalog.js'
import { createLocalRepository } from './repository/local.js'
import { createLocalStorage } from './storage/local.js'
import { createSmbStorage } from './storage/smb.js'

/** Chooses what the configuration asks for. Nothing is started or opened yet. */
export function createCore(config: Config, log: Log): Core {
  const { settings, signing } = config
  const isInUploads = config.backupDir.startsWith(`${settings.uploadDir}/`)
  const repository = createLocalRepository({
    directory: config.backupDir,
    within: isInUploads ? { name: 'UPLOAD_DIR', folder: settings.uploadDir } : null
  })
  return {
    settings,
    signing,
    database:
      config.database.kind === 'external'
        ? createExternalDatabase({ url: config.database.url })
        : createEmbeddedDatabase({ directory: config.database.directory, binDir: settings.pgBinDir, log }),
    storage:
      config.storage.kind === 'smb'
        ? createSmbStorage(config.storage)
        : createLocalStorage({ uploadDir: settings.uploadDir }),
    repository,
    catalog: createCatalog(repository, signing, log),
    incoming: createIncomingArchives(),
    log
  }
}
