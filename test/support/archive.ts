import { randomUUID, type KeyObject } from 'node:crypto'
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { encodeBuffer } from '../../src/archive/encode-file.js'
import { filesPrefix } from '../../src/archive/layout.js'
import { openArchive, type Archive } from '../../src/archive/reader.js'
import { createArchiveWriter, type ArchiveWriter, type MetadataWithoutDigest } from '../../src/archive/writer.js'

/** The part of tap's `t` that is needed here. */
interface Test {
  teardown(fn: () => Promise<void>): unknown
}

export interface TestEntry {
  /** Below the organization's folder; a folder's ends with `/`, and the folder itself is ''. */
  path: string
  content?: string | Buffer
  mode?: number
  mtime?: Date
}

export const organizationId = 'acme'
export const timestamp = new Date('2026-03-04T05:06:07.089Z')

export function metadataWith(change: Partial<MetadataWithoutDigest> = {}): MetadataWithoutDigest {
  return {
    formatVersion: 1,
    id: randomUUID(),
    timestamp: timestamp.toISOString(),
    createdBy: 'user-1',
    createdByEmail: 'olivia@example.com',
    organizationId,
    version: '0.1.0',
    type: 'files',
    databaseType: 'external',
    databaseScope: null,
    fileStorageType: 'local',
    includesDatabase: false,
    includesFiles: true,
    description: null,
    postgresVersion: null,
    pgDumpVersion: null,
    roles: [],
    extensions: [],
    schemaFingerprint: null,
    database: null,
    tables: [],
    counts: { tables: 0, rows: 0, files: 0, bytes: 0 },
    warnings: [],
    ...change
  }
}

/** Adds entries as a backup would, `sql` as the database when there is one, and ends the archive. */
export async function fillArchive(
  writer: ArchiveWriter,
  entries: Iterable<TestEntry>,
  { sql, ...change }: Partial<MetadataWithoutDigest> & { sql?: string } = {}
): Promise<{ size: number; checksum: string }> {
  if (sql !== undefined) await writer.addDatabase({ blocks: blocksOf(gzipSync(sql)), release() {} })
  for (const { path, content = '', mode, mtime = timestamp } of entries) {
    const name = filesPrefix(organizationId) + path
    if (name.endsWith('/')) await writer.addFolder(name, { mode: mode ?? 0o755, mtime })
    else await writer.addFile(name, { mode: mode ?? 0o644, mtime }, await encodeBuffer(name, Buffer.from(content), 6))
  }
  return await writer.finish(metadataWith({ includesDatabase: sql !== undefined, ...change }))
}

/** An archive in memory, unsigned unless a key is given. */
export async function archiveBytes(
  entries: Iterable<TestEntry>,
  change: Parameters<typeof fillArchive>[2] = {},
  key: KeyObject | null = null
): Promise<Buffer> {
  const chunks: Buffer[] = []
  // The writer uses a chunk's memory again once it is done.
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    }
  })
  await fillArchive(
    createArchiveWriter(output, timestamp, () => {}, key),
    entries,
    change
  )
  return Buffer.concat(chunks)
}

export async function* blocksOf(...blocks: Buffer[]): AsyncGenerator<Buffer> {
  yield* blocks
}

/** A folder of the test's own, removed at teardown. */
export async function testFolder(t: Test, prefix = 'archive-'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix))
  t.teardown(async () => {
    await rm(folder, { recursive: true, force: true })
  })
  return folder
}

/** A file with these bytes, open for reading and writing until teardown. */
export async function fileWith(t: Test, bytes: Buffer): Promise<FileHandle> {
  const handle = await open(join(await testFolder(t), 'archive.zip'), 'wx+')
  t.teardown(async () => {
    await handle.close()
  })
  await handle.write(bytes, 0, bytes.length, 0)
  return handle
}

export async function contentOf(archive: Archive, entry: Archive['files'][number]): Promise<Buffer> {
  const blocks: Buffer[] = []
  for await (const block of archive.read(entry)) blocks.push(block)
  return Buffer.concat(blocks)
}

/** Opens and reads all of it: whatever a restore goes by. */
export async function readAll(handle: FileHandle, size: number): Promise<{ metadata: unknown; entries: unknown[] }> {
  const archive = await openArchive(handle, size, organizationId)
  const entries = []
  for (const entry of [...(archive.database === null ? [] : [archive.database]), ...archive.files]) {
    const { name, kind, mode, mtime, size, sha256 } = entry
    const content = kind === 'file' ? (await contentOf(archive, entry)).toString('base64') : null
    entries.push({ name, kind, mode, mtime: mtime.getTime(), size, sha256, content })
  }
  return { metadata: archive.metadata, entries }
}
