import { join } from 'node:path'
import { compressionLevels } from '../archive/compression.js'
import { encodeFiles } from '../archive/encode-files.js'
import type { FileToEncode } from '../archive/encode-protocol.js'
import { filesPrefix } from '../archive/layout.js'
import type { ArchiveWriter } from '../archive/writer.js'
import type { Core } from '../core.js'
import { AppError } from '../errors.js'
import { fileError } from '../io/durable.js'
import type { JobContext } from '../jobs/progress.js'
import type { EntryList } from '../storage/entry-list.js'
import type { StoredEntry } from '../storage/strategy.js'

export interface FilesPart { files: number, bytes: number, warnings: string[] }

/**
 * Adds what was listed. Nobody stops the application meanwhile: of a file that has grown, the part that was there when it
 * was listed is taken; one that has changed in any way is in the archive as it was read, with a warning.
 * @throws AppError STORAGE_UNAVAILABLE, and the reason of job.signal
 */
export async function addFiles (
  writer: ArchiveWriter, { storage, settings }: Core, organizationId: string, entries: EntryList, job: JobContext
): Promise<FilesPart> {
  const part: FilesPart = { files: 0, bytes: 0, warnings: [] }
  if (entries.length === 0) return part
  const root = await storage.folder(organizationId)
  if (root === null) throw new AppError('STORAGE_UNAVAILABLE', 'The organization\'s upload folder has gone since its files were listed.')
  job.progress.phase('files')
  const prefix = filesPrefix(organizationId)
  const encoded = encodeFiles(toEncode(root, entries), root, compressionLevels[settings.compression])

  async function addFile (entry: StoredEntry): Promise<void> {
    const name = prefix + entry.path
    const file = await nextOf(encoded)
    if (file.kind === 'gone') {
      part.warnings.push(`Left out ${JSON.stringify(entry.path)}: it vanished while the backup was made.`)
      return
    }
    let { size, changed } = file.kind === 'small' ? { ...file.ready, changed: file.changed } : { size: 0, changed: false }
    if (file.kind === 'small') await writer.addFile(name, entry, { ...file.ready, sha256: file.sha256 })
    else ({ size, changed } = await writer.addLargeFile(name, entry, file.deflated, file.blocks, file.release))
    if (changed) part.warnings.push(`${JSON.stringify(entry.path)} changed while the backup was made; the archive has it as it was read.`)
    job.progress.advance(size)
    part.files += 1
    part.bytes += size
  }

  try {
    for (const entry of entries) {
      job.signal.throwIfAborted()
      if (entry.kind === 'file') await addFile(entry)
      else await writer.addFolder(entry.path === '' ? prefix : `${prefix}${entry.path}/`, entry)
    }
  } finally {
    await encoded.return(undefined)
  }
  return part
}

function * toEncode (root: string, entries: EntryList): Generator<FileToEncode> {
  for (const { kind, path, size, mtime } of entries) {
    if (kind === 'file') yield { path: join(root, path), name: path, size, mtimeMs: mtime.getTime() }
  }
}

async function nextOf<T> (items: AsyncGenerator<T>): Promise<T> {
  const next = await items.next().catch((error: unknown) => { throw fileError(error, 'STORAGE_UNAVAILABLE', 'Reading the uploaded files') })
  if (next.done === true) throw new Error('There are fewer encoded files than listed ones.')
  return next.value
}
