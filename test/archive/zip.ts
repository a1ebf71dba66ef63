import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createRequire } from 'node:module'
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib'
import t from 'tap'
import yazl from 'yazl'
import { createHeaders, createZip, dataDescriptor } from '../../src/archive/zip.js'
import { blocksOf } from '../support/archive.js'

/*
 * src/archive/zip.ts uses parts of yazl that are not its public interface. These tests name each of them, so that an
 * update that changes one fails here and not in somebody's archive.
 */

const mtime = new Date('2026-03-04T05:06:07Z')
const internal = (zip: yazl.ZipFile) =>
  zip as unknown as Record<string, unknown> & { entries: Array<Record<string, unknown>> }

t.test('the version is the one that was read, and pinned', async t => {
  const require = createRequire(import.meta.url)
  const { version } = require('yazl/package.json') as { version: string }
  const { dependencies } = require('#package') as { dependencies: Record<string, string> }
  t.equal(dependencies.yazl, version)
})

t.test('a zip file has a list of entries, a cursor and a stream', async t => {
  const zip = new yazl.ZipFile()
  t.strictSame(internal(zip).entries, [])
  t.equal(internal(zip).outputStreamCursor, 0)
  t.type(zip.outputStream.pipe, 'function')
})

t.test('an entry in progress keeps all others from being written or asked for', async t => {
  const zip = new yazl.ZipFile()
  internal(zip).entries = [{ state: 2 }]
  zip.addReadStreamLazy('file', { mtime, mode: 0o100644 }, () => {
    t.fail('was asked for its data')
  })
  zip.addEmptyDirectory('folder/', { mtime, mode: 0o040755 })
  await new Promise(setImmediate)
  t.equal(zip.outputStream.read(), null)
  t.equal(internal(zip).entries.length, 3, 'added behind it, at once')
  t.equal(internal(zip).outputStreamCursor, 0)
})

t.test('an entry has the fields and methods that are relied on', async t => {
  const zip = new yazl.ZipFile()
  internal(zip).entries = [{ state: 2 }]
  zip.addReadStreamLazy('file', { mtime, mode: 0o100644, compress: true }, () => {})
  const [, entry] = internal(zip).entries
  t.match(entry, {
    state: 1,
    crcAndFileSizeKnown: false,
    crc32: null,
    uncompressedSize: null,
    compressedSize: null,
    lastModFileTime: Number,
    lastModFileDate: Number,
    utf8FileName: Buffer,
    getLocalFileHeader: Function,
    getCentralDirectoryRecord: Function
  })
  zip.addEmptyDirectory('folder/', { mtime, mode: 0o040755 })
  t.match(internal(zip).entries[2], { crcAndFileSizeKnown: true, crc32: 0, uncompressedSize: 0, compressedSize: 0 })
})

t.test('state 3 is done: a zip file that ends with such entries writes its directory only', async t => {
  const zip = new yazl.ZipFile()
  internal(zip).entries = [{ state: 2 }]
  zip.addReadStreamLazy('file', { mtime, mode: 0o100644, compress: false }, () => {
    t.fail('was asked for its data')
  })
  const entry = internal(zip).entries[1] as Record<string, unknown>
  internal(zip).entries = [
    Object.assign(entry, {
      state: 3,
      crc32: 0x11223344,
      uncompressedSize: 5,
      compressedSize: 5,
      relativeOffsetOfLocalHeader: 100
    })
  ]
  internal(zip).outputStreamCursor = 1000
  zip.end()
  const bytes = await buffer(zip.outputStream)
  t.equal(bytes.length, 46 + 4 + 9 + 22)
  t.equal(bytes.readUInt32LE(0), 0x02014b50)
  t.equal(bytes.readUInt32LE(16), 0x11223344)
  t.equal(bytes.readUInt32LE(42), 100)
  t.equal(bytes.readUInt32LE(46 + 4 + 9 + 16), 1000, "the directory's offset is the cursor's")
})

/** The bytes of a zip file that the adapter writes. */
async function written(fill: (zip: ReturnType<typeof createZip>) => Promise<void>): Promise<Buffer> {
  const chunks: Buffer[] = []
  const zip = createZip({
    async write(bytes) {
      chunks.push(Buffer.from(bytes))
    }
  })
  await fill(zip)
  await zip.end()
  return Buffer.concat(chunks)
}

/** The bytes of a zip file that yazl writes by itself. */
async function plain(fill: (zip: yazl.ZipFile) => void): Promise<Buffer> {
  const zip = new yazl.ZipFile()
  fill(zip)
  zip.end()
  return await buffer(zip.outputStream)
}

const content = Buffer.from('content')

t.test('what the adapter writes is what yazl alone writes', async t => {
  const ready = { data: content, deflated: false, crc32: crc32(content), size: content.length }
  const ours = await written(async zip => {
    await zip.addFolder('folder/', { mode: 0o2755, mtime })
    await zip.addReady('folder/ready', { mode: 0o640, mtime }, ready)
    await zip.addReady(
      'folder/empty',
      { mode: 0o600, mtime },
      { data: Buffer.alloc(0), deflated: false, crc32: 0, size: 0 }
    )
    await zip.addStream(
      'folder/stream',
      { mode: 0o4755, mtime },
      true,
      (async function* () {
        yield* blocksOf(deflateRawSync(content))
        return { crc32: ready.crc32, size: ready.size }
      })()
    )
  })
  const theirs = await plain(zip => {
    zip.addEmptyDirectory('folder/', { mtime, mode: 0o042755 })
    zip.addBuffer(content, 'folder/ready', { mtime, mode: 0o100640, compress: false })
    zip.addBuffer(Buffer.alloc(0), 'folder/empty', { mtime, mode: 0o100600, compress: false })
    const stream = new PassThrough()
    stream.end(content)
    zip.addReadStream(stream, 'folder/stream', { mtime, mode: 0o104755, compress: true })
  })
  t.ok(ours.equals(theirs))
})

t.test(
  'what is streamed and not deflated is a deflate stream of stored blocks, whose length no reader needs to know',
  async t => {
    const large = Buffer.alloc(200_000, 'not compressed ')
    let released = 0
    const ours = await written(async zip => {
      await zip.addStream(
        'stream',
        { mode: 0o644, mtime },
        false,
        (async function* () {
          yield* blocksOf(large.subarray(0, 65_535), large.subarray(65_535))
          return { crc32: crc32(large), size: large.length }
        })(),
        () => {
          released += 1
        }
      )
    })
    t.equal(released, 2)
    t.equal(ours.readUInt16LE(6), 0x808, 'UTF-8, and a data descriptor')
    t.equal(ours.readUInt16LE(8), 8)
    const { buffer: content, engine } = inflateRawSync(ours.subarray(36), { info: true }) as unknown as {
      buffer: Buffer
      engine: { bytesWritten: number }
    }
    t.ok(content.equals(large))
    t.equal(engine.bytesWritten, large.length + 5 * 5)
    const descriptor = ours.subarray(36 + engine.bytesWritten)
    t.same(
      [descriptor.readUInt32LE(0), descriptor.readUInt32LE(4), descriptor.readUInt32LE(8), descriptor.readUInt32LE(12)],
      [0x08074b50, crc32(large), engine.bytesWritten, large.length]
    )
  }
)

t.test('sizes behind the data take 8 bytes only where a size needs them, wherever the entry is', async t => {
  const header = createHeaders().make('file', { mode: 0o644, mtime }, true)
  Object.assign(header, { crc32: 1, relativeOffsetOfLocalHeader: 2 ** 33 })
  for (const [compressedSize, uncompressedSize, bytes] of [
    [1, 1, 16],
    [0xfffffffe, 0xfffffffe, 16],
    [1, 0xffffffff, 24],
    [2 ** 33, 1, 24]
  ] as const) {
    t.equal(dataDescriptor(Object.assign(header, { compressedSize, uncompressedSize })).length, bytes)
  }
})

t.test('a backslash in a name stays one', async t => {
  const names = ['files/acme/a\\b', 'files/acme/..\\..\\x', 'files/acme/ü\\', 'files/acme/C:\\/']
  const bytes = await written(async zip => {
    for (const name of names)
      await zip.addReady(name, { mode: 0o644, mtime }, { data: content, deflated: false, crc32: 1, size: 7 })
  })
  for (const name of names)
    t.equal(bytes.toString('latin1').split(Buffer.from(name).toString('latin1')).length, 3, name)
})

t.test('over 4 GiB every size and offset is in zip64 form', async t => {
  const headers = createHeaders()
  const size = 5 * 2 ** 30
  const header = Object.assign(headers.make('large', { mode: 0o644, mtime }, false), {
    crc32: 1,
    uncompressedSize: size,
    compressedSize: size,
    relativeOffsetOfLocalHeader: 7
  })
  t.equal(header.getLocalFileHeader().readUInt32LE(18), 0, 'unknown when the local header is written')
  const descriptor = dataDescriptor(header)
  t.equal(descriptor.length, 24)
  t.equal(descriptor.readBigUInt64LE(8), BigInt(size))
  headers.add(header)
  const blocks: Buffer[] = []
  for await (const block of headers.directory(size + 100)) blocks.push(block)
  const directory = Buffer.concat(blocks)
  const extra = directory.indexOf(Buffer.of(1, 0, 24, 0), 46)
  t.equal(directory.readUInt32LE(42), 0xffffffff)
  t.equal(directory.readBigUInt64LE(extra + 4), BigInt(size))
  t.equal(directory.readBigUInt64LE(extra + 20), 7n)
  t.equal(directory.readUInt32LE(directory.length - 98), 0x06064b50)
})

t.test('a source that is left in the middle is closed', async t => {
  let written = 0
  const zip = createZip({
    async write() {
      if (++written === 3) throw new Error('no space')
    }
  })
  let isClosed = false
  const source = (async function* () {
    try {
      yield content
      yield content
      return { crc32: 0, size: 0 }
    } finally {
      isClosed = true
    }
  })()
  await t.rejects(zip.addStream('file', { mode: 0o644, mtime }, false, source), { message: 'no space' })
  t.ok(isClosed)
})
