import { randomUUID } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { encodeBuffer } from '../../src/archive/encode-file.js'
import type { Metadata } from '../../src/archive/metadata.js'
import { openArchive } from '../../src/archive/reader.js'
import { createArchiveWriter } from '../../src/archive/writer.js'
import type { Core } from '../../src/core.js'
import type { Backup } from '../../src/repository/record.js'
import { blocksOf, contentOf } from './archive.js'

export interface Forgery {
  sql?: (sql: string) => string
  metadata?: (metadata: Metadata) => void
  /** Left out unless told. */
  files?: boolean
}

/**
 * Puts a backup beside the given one that is the same but for its dump and what the metadata say of it, signed by the
 * installation.
 * @returns its id
 */
export async function forge(
  { repository, catalog, signing }: Pick<Core, 'repository' | 'catalog' | 'signing'>,
  { organizationId, id: original }: Backup,
  change: Forgery
): Promise<string> {
  const opened = (await repository.openArchive(organizationId, original))!
  try {
    const archive = await openArchive(opened.handle, opened.size, organizationId)
    const { attributesDigest: _, ...metadata } = structuredClone(archive.metadata)
    const forged = { ...metadata, id: randomUUID() }
    if (change.files !== true)
      Object.assign(forged, {
        includesFiles: false,
        type: 'database',
        counts: { ...metadata.counts, files: 0, bytes: 0 }
      })
    change.metadata?.(forged as Metadata)

    const partial = await repository.createArchive(organizationId, forged.id)
    const writer = createArchiveWriter(partial.stream, new Date(forged.timestamp), () => {}, signing.current)
    const sql = gunzipSync(await contentOf(archive, archive.database!)).toString()
    await writer.addDatabase({ blocks: blocksOf(gzipSync(change.sql?.(sql) ?? sql)), release() {} })
    for (const entry of change.files === true ? archive.files : []) {
      if (entry.kind === 'folder') await writer.addFolder(entry.name, entry)
      else await writer.addFile(entry.name, entry, await encodeBuffer(entry.name, await contentOf(archive, entry), 6))
    }
    await writer.finish(forged)
    await partial.commit()
    await catalog.reconcile()
    return forged.id
  } finally {
    await opened.handle.close()
  }
}
