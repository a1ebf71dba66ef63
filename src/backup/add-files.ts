import type { FileHandle } from 'node:fs/promises'
import { pMapIterable } from 'p-map'
import { compressionLevels, isWorthDeflating } from '../archive/compression.js'
import { blockBytes, encodeBuffer, readBlocks, readUpTo, type Encoded } from '../archive/encode-file.js'
import { filesPrefix } from '../archive/layout.js'
import type { ArchiveWriter } from '../archive/writer.js'
import type { Core } from '../core.js'
import type { JobContext } from '../jobs/progress.js'
import type { StoredEntry } from '../storage/strategy.js'

/** Small files are read and compressed this many ahead of the one that is written. */
const filesAhead = 16

export interface FilesPart { files: number, bytes: number, warnings: string[] }

type Read =
  | { entry: StoredEntry, kind: 'folder' }
  | { entry: StoredEntry, kind: 'gone' }
  | { entry: StoredEntry, kind: 'small', encoded: Encoded, changed: boolean }
  | { entry: StoredEntry, kind: 'large' }

/**
 * Adds what was listed. Nobody stops the application meanwhile: of a file that has grown, the part that was there when it
 * was listed is taken; one that has changed in any way is in the archive as it was read, with a warning.
 */
export async function addFiles (
  writer: ArchiveWriter, { storage, settings }: Core, organizationId: string, entries: StoredEntry[], job: JobContext
): Promise<FilesPart> {
  const part: FilesPart = { files: 0, bytes: 0, warnings: [] }
  const prefix = filesPrefix(organizationId)
  const level = compressionLevels[settings.compression]
  if (entries.length > 0) job.progress.phase('files')

  async function read (entry: StoredEntry): Promise<Read> {
    if (entry.kind === 'folder') return { entry, kind: 'folder' }
    // Opened when its turn comes: nobody would close it when the backup fails before.
    if (entry.size > blockBytes) return { entry, kind: 'large' }
    const handle = await storage.open(organizationId, entry.path)
    if (handle === null) return { entry, kind: 'gone' }
    try {
      const content = await readUpTo(handle, entry.size)
      return { entry, kind: 'small', encoded: await encodeBuffer(entry.path, content, level), changed: await hasChanged(handle, entry) }
    } finally {
      await handle.close()
    }
  }

  /** The bytes read; null when it is gone. */
  async function addLarge (name: string, entry: StoredEntry): Promise<number | null> {
    const handle = await storage.open(organizationId, entry.path)
    if (handle === null) return null
    try {
      const blocks = readBlocks(handle, entry.size)
      const first = await blocks.next()
      const firstBlock = first.done === true ? Buffer.alloc(0) : first.value
      const size = await writer.addLargeFile(name, entry, isWorthDeflating(entry.path, firstBlock) ? level : 0,
        counted(firstBlock, blocks, job))
      if (await hasChanged(handle, entry)) part.warnings.push(changedWarning(entry))
      return size
    } finally {
      await handle.close()
    }
  }

  for await (const item of pMapIterable(entries, read, { concurrency: filesAhead })) {
    const { entry } = item
    const name = prefix + entry.path
    if (item.kind === 'folder') {
      await writer.addFolder(entry.path === '' ? prefix : `${name}/`, entry)
      continue
    }
    let bytes: number | null = null
    if (item.kind === 'small') {
      if (item.changed) part.warnings.push(changedWarning(entry))
      await writer.addFile(name, entry, item.encoded)
      job.progress.advance(item.encoded.size)
      bytes = item.encoded.size
    } else if (item.kind === 'large') {
      bytes = await addLarge(name, entry)
    }
    if (bytes === null) {
      part.warnings.push(`Left out ${JSON.stringify(entry.path)}: it vanished while the backup was made.`)
      continue
    }
    part.bytes += bytes
    part.files += 1
  }
  return part
}

async function * counted (first: Buffer, rest: AsyncIterable<Buffer>, job: JobContext): AsyncGenerator<Buffer> {
  job.progress.advance(first.length)
  yield first
  for await (const block of rest) {
    job.progress.advance(block.length)
    yield block
  }
}

async function hasChanged (handle: FileHandle, listed: StoredEntry): Promise<boolean> {
  const now = await handle.stat()
  return now.size !== listed.size || now.mtime.getTime() !== listed.mtime.getTime()
}

function changedWarning ({ path }: StoredEntry): string {
  return `${JSON.stringify(path)} changed while the backup was made; the archive has it as it was read.`
}
