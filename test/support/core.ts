import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { derivedKey, type SigningKeys } from '../../src/archive/signature.js'
import { createIncomingArchives } from '../../src/backup/incoming.js'
import type { Core, Settings } from '../../src/core.js'
import { createExternalDatabase } from '../../src/database/external.js'
import { createCatalog } from '../../src/repository/catalog.js'
import { createLocalRepository } from '../../src/repository/local.js'
import { createLocalStorage } from '../../src/storage/local.js'
import { testFolder } from './archive.js'

export interface TestCore {
  core: Core
  uploadDir: string
  backupDir: string
}

export const testKeys: SigningKeys = { current: derivedKey('x'.repeat(32)), previous: [] }

/** The core on folders of the test's own. Without a database URL nothing listens there. */
export async function testCore(
  t: Parameters<typeof testFolder>[0],
  {
    url,
    settings = {},
    ...parts
  }: { url?: string; settings?: Partial<Settings> } & Partial<Omit<Core, 'settings'>> = {}
): Promise<TestCore> {
  const folder = await testFolder(t, 'core-')
  const [uploadDir, backupDir] = [join(folder, 'uploads'), join(folder, 'backups')]
  await mkdir(uploadDir)
  const log = pino({ level: 'silent' })
  const repository = parts.repository ?? createLocalRepository({ directory: backupDir })
  const core: Core = {
    settings: {
      version: '0.0.0-test',
      uploadDir,
      databaseScope: 'instance',
      tenantTable: 'organizations',
      tenancyFile: null,
      checkpointRetentionMs: 1000,
      compression: 'fast',
      uploadMaxBytes: null,
      acceptUnsignedArchives: false,
      loadTimeoutMs: null,
      pgBinDir: process.env.PG_BIN_DIR ?? null,
      ...settings
    },
    signing: testKeys,
    database: createExternalDatabase({ url: url ?? 'postgresql://nobody@127.0.0.1:1/nothing' }),
    storage: createLocalStorage({ uploadDir }),
    repository,
    catalog: createCatalog(repository, testKeys, log),
    incoming: createIncomingArchives(),
    log,
    ...parts
  }
  return { core, uploadDir, backupDir }
}
