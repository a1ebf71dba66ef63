import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, gzipSync } from 'node:zlib'
import t from 'tap'
import { createAttributesDigest } from '../../src/archive/attributes-digest.js'
import { formatChecksumLine } from '../../src/archive/checksums.js'
import { openArchive } from '../../src/archive/reader.js'
import { createHeaders, dataDescriptor } from '../../src/archive/zip.js'
import { contentOf, metadataWith, organizationId, testFolder, timestamp } from '../support/archive.js'

/** `hole`: so many zeros, of which only the directory tells. */
interface Part {
  name: string
  content?: Buffer
  hole?: number
  streamed: boolean
}

/**
 * An archive as it was written before 2026-11-27: what is streamed is stored, with 8-byte sizes also where only its
 * offset is over 4 GiB.
 */
async function writeEarlier(path: string, parts: Part[]): Promise<number> {
  const handle = await open(path, 'wx+')
  const headers = createHeaders()
  const digest = createAttributesDigest()
  const sums: string[] = []
  let cursor = 0
  const write = async (bytes: Buffer): Promise<void> => {
    await handle.write(bytes, 0, bytes.length, cursor)
    cursor += bytes.length
  }

  async function add({ name, content = Buffer.alloc(0), hole = 0, streamed }: Part): Promise<void> {
    const attributes = { mode: name.endsWith('/') ? 0o755 : 0o644, mtime: timestamp }
    const size = content.length + hole
    const header = Object.assign(headers.make(name, attributes, false), { relativeOffsetOfLocalHeader: cursor })
    const sizes = { crc32: crc32(content), uncompressedSize: size, compressedSize: size }
    if (!streamed) Object.assign(header, { crcAndFileSizeKnown: true, ...sizes })
    await write(header.getLocalFileHeader())
    await write(content)
    cursor += hole
    Object.assign(header, sizes)
    await write(dataDescriptor(header, Math.max(size, header.relativeOffsetOfLocalHeader) > 0xfffffffe))
    headers.add(header)
    if (name === 'metadata.json' || name === 'SHA256SUMS') return
    digest.add(name, attributes, size)
    if (!name.endsWith('/')) sums.push(formatChecksumLine(name, createHash('sha256').update(content).digest('hex')))
  }

  for (const part of parts) await add(part)
  const includesDatabase = parts.some(({ name }) => name === 'database.sql.gz')
  const metadata = Buffer.from(
    JSON.stringify({ ...metadataWith({ includesDatabase }), attributesDigest: digest.value() })
  )
  await add({ name: 'metadata.json', content: metadata, streamed: false })
  sums.push(formatChecksumLine('metadata.json', createHash('sha256').update(metadata).digest('hex')))
  await add({ name: 'SHA256SUMS', content: Buffer.from(sums.join('')), streamed: false })
  for await (const block of headers.directory(cursor)) await write(block)
  await handle.close()
  return cursor
}

const small: Part[] = [
  { name: 'database.sql.gz', content: gzipSync('SELECT 1;\n'), streamed: true },
  { name: 'files/acme/', streamed: false },
  { name: 'files/acme/large.jpg', content: Buffer.alloc(5000, 'x'), streamed: true },
  { name: 'files/acme/small', content: Buffer.from('small'), streamed: false }
]

for (const [what, parts] of [
  ['', small],
  [
    ' over 4 GiB',
    [
      small[1] as Part,
      { name: 'files/acme/huge', hole: 2 ** 32 + 5, streamed: true },
      ...['a', 'b'].map(name => ({ name: `files/acme/${name}`, content: Buffer.from(name), streamed: true })),
      { name: 'files/acme/c', content: Buffer.from('c'), streamed: false }
    ]
  ]
] as const) {
  t.test(`an archive of an earlier release is read${what}`, async t => {
    const path = join(await testFolder(t), 'earlier.zip')
    const size = await writeEarlier(path, [...parts])
    const handle = await open(path)
    t.teardown(async () => {
      await handle.close()
    })
    const archive = await openArchive(handle, size, organizationId)
    for (const entry of [...(archive.database === null ? [] : [archive.database]), ...archive.files]) {
      const part = parts.find(({ name }) => name === entry.name) as Part
      if (entry.kind === 'file' && part.hole === undefined)
        t.ok((await contentOf(archive, entry)).equals(part.content as Buffer), entry.name)
    }
    t.equal(archive.files.length + (archive.database === null ? 0 : 1), parts.length)
  })
}
