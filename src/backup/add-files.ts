import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pMap from 'p-map'
import { compressionLevels } from '../archive/compression.js'
import { createInexact } from '../archive/inexact.js'
import { encodeFiles } from '../archive/encode-files.js'
import type { FileToEncode } from '../archive/encode-protocol.js'
import { filesPrefix } from '../archive/layout.js'
import type { ArchiveWriter } from '../archive/writer.js'
import type { Core } from '../core.js'
import { AppError, type Problem } from '../errors.js'
import { fileError, isRefusal, placeOf, type KnownFolder } from '../io/durable.js'
import type { JobContext } from '../jobs/context.js'
import type { EntryList, StoredEntry } from '../storage/entry-list.js'
import { createFileWarnings } from '../storage/file-warnings.js'

const mostNamed = 20
const filesAtOnce = 4

export interface FilesPart {
  files: number
  bytes: number
  warnings: string[]
}

/**
 * Adds what was listed. The application goes on meanwhile: of a file that has grown, the part that was there when it
 * was listed is taken; one that has changed in any way is in the archive as it was read, with a warning.
 * @throws AppError STORAGE_UNAVAILABLE, and the reason of job.signal
 */
export async function addFiles(
  writer: ArchiveWriter,
  { storage, settings }: Core,
  organizationId: string,
  entries: EntryList,
  job: JobContext
): Promise<FilesPart> {
  const part = { files: 0, bytes: 0 }
  if (entries.length === 0) return { ...part, warnings: [] }
  const root = await storage.folder(organizationId)
  if (root === null) throw gone()
  job.progress.phase('files')
  const warnings = createFileWarnings()
  const inexact = createInexact()
  const prefix = filesPrefix(organizationId)
  const encoded = encodeFiles(toEncode(root, entries), root, compressionLevels[settings.compression])
  // Links on the way to it are resolved in `root`.
  const known: KnownFolder = { name: 'UPLOAD_DIR', folder: dirname(root) }

  async function addFile(entry: StoredEntry): Promise<void> {
    const name = prefix + entry.path
    const file = await nextOf(encoded)
    if (file.kind === 'gone') {
      warnings.add('Left out {}: it vanished while the backup was made.', JSON.stringify(entry.path))
      return
    }
    inexact.look(entry)
    let { size, changed } =
      file.kind === 'small' ? { ...file.ready, changed: file.changed } : { size: 0, changed: false }
    if (file.kind === 'small') await writer.addFile(name, entry, { ...file.ready, sha256: file.sha256 })
    else ({ size, changed } = await writer.addLargeFile(name, entry, file.deflated, file.blocks, file.release))
    if (changed)
      warnings.add(
        '{} changed while the backup was made; the archive has it as it was read.',
        JSON.stringify(entry.path)
      )
    job.progress.advance(size)
    part.files += 1
    part.bytes += size
  }

  async function addFolder(entry: StoredEntry): Promise<void> {
    inexact.look(entry)
    await writer.addFolder(entry.path === '' ? prefix : `${prefix}${entry.path}/`, entry)
  }

  try {
    for (const entry of entries) {
      job.signal.throwIfAborted()
      if (entry.kind === 'file') await addFile(entry)
      else await addFolder(entry)
    }
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error
    throw await refusal(error.cause, root, known, entries, job.signal)
  } finally {
    await encoded.return(undefined)
  }
  return { ...part, warnings: [...warnings.list(), ...inexact.sentences()] }
}

/**
 * What keeps files from being added, found out by opening each of them: for a rehearsal, which makes no archive of
 * them.
 * @throws AppError STORAGE_UNAVAILABLE, as addFiles does, and the signal's reason
 */
export async function requireAddable(
  { storage }: Pick<Core, 'storage'>,
  organizationId: string,
  entries: EntryList,
  signal: AbortSignal
): Promise<void> {
  if (entries.length === 0) return
  const root = await storage.folder(organizationId)
  if (root === null) throw gone()
  await pMap(
    filesOf(entries),
    async path => {
      signal.throwIfAborted()
      const refused = await refusalOf(join(root, path))
      if (refused !== null)
        throw await refusal(refused, root, { name: 'UPLOAD_DIR', folder: dirname(root) }, entries, signal)
    },
    { concurrency: filesAtOnce }
  )
}

function* filesOf(entries: EntryList): Generator<string> {
  for (const { kind, path } of entries) if (kind === 'file') yield path
}

function gone(): AppError {
  return new AppError(
    'STORAGE_UNAVAILABLE',
    'upload-folder-gone',
    "The organization's upload folder has gone since its files were listed."
  )
}

function* toEncode(root: string, entries: EntryList): Generator<FileToEncode> {
  for (const { kind, path, size, mtime } of entries) {
    if (kind === 'file') yield { path: join(root, path), name: path, size, mtimeMs: mtime.getTime() }
  }
}

/** Why the service may not read the file; null when it may, and when it is gone. */
async function refusalOf(file: string): Promise<unknown> {
  try {
    // access(2) would ask for the real user. O_NONBLOCK: a FIFO that took the file's place must not block the open
    // (open(2)).
    await (await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)).close()
    return null
  } catch (error) {
    return isRefusal(error) ? error : null
  }
}

/** Its cause is what kept an uploaded file from being read. */
class UnreadableFile extends Error {}

/**
 * Names the file, and where a permission is missing all others that lack one: one by one they would take as many tries.
 * A backup without them would be none.
 */
async function refusal(
  cause: unknown,
  root: string,
  known: KnownFolder,
  entries: EntryList,
  signal: AbortSignal
): Promise<unknown> {
  const error = fileError(cause, 'STORAGE_UNAVAILABLE', 'Reading the uploaded files', known)
  if (!(error instanceof AppError) || !isRefusal(cause)) return error
  const named: Problem[] = []
  for (const { kind, path } of entries) {
    if (kind !== 'file' || signal.aborted) continue
    const file = join(root, path)
    if ((await refusalOf(file)) === null) continue
    if (named.length === mostNamed) {
      named.push({ reason: 'more', message: 'The service may not read more files than these.' })
      break
    }
    named.push({
      reason: 'file-not-readable',
      message: `The service may not read the file ${placeOf(file, [known]) ?? ''}.`
    })
  }
  return new AppError(error.code, error.reason, error.message, { remedy: error.remedy, errors: named, cause })
}

async function nextOf<T>(items: AsyncGenerator<T>): Promise<T> {
  const next = await items.next().catch((error: unknown) => {
    throw new UnreadableFile('', { cause: error })
  })
  if (next.done === true) throw new Error('There are fewer encoded files than listed ones.')
  return next.value
}
