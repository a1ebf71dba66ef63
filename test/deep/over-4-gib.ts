import { open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { execa } from 'execa'
import t from 'tap'
import { encodeBuffer, measureBlocks } from '../../src/archive/encode-file.js'
import { openArchive } from '../../src/archive/reader.js'
import { createArchiveWriter } from '../../src/archive/writer.js'
import { blocksOf, contentOf, metadataWith, organizationId, testFolder, timestamp } from '../support/archive.js'

// Much work on a slow machine; tap ends a file after two minutes otherwise.
t.setTimeout(300_000)

const zeros = Buffer.alloc(4 << 20)

t.test('over 4 GiB: in one file, and behind it', async t => {
  const folder = await testFolder(t)
  const path = join(folder, 'large.zip')
  const size = 4 * 2 ** 30 + 1234
  async function* sparse(): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; left -= zeros.length) yield left < zeros.length ? zeros.subarray(0, left) : zeros
  }
  const writer = createArchiveWriter(holes(path), timestamp, () => {})
  await writer.addFolder('files/acme/', { mode: 0o755, mtime: timestamp })
  t.match(
    await writer.addLargeFile(
      'files/acme/large',
      { mode: 0o644, mtime: timestamp },
      false,
      measureBlocks(sparse()),
      () => {}
    ),
    { size }
  )
  await writer.addFile(
    'files/acme/behind',
    { mode: 0o644, mtime: timestamp },
    await encodeBuffer('behind', Buffer.from('behind '.repeat(100)), 6)
  )
  await writer.addLargeFile(
    'files/acme/streamed',
    { mode: 0o644, mtime: timestamp },
    false,
    measureBlocks(blocksOf(Buffer.from('streamed')))
  )
  const written = await writer.finish(metadataWith())
  t.ok(written.size > size)

  const handle: FileHandle = await open(path)
  t.teardown(async () => {
    await handle.close()
  })
  t.equal((await handle.stat()).size, written.size)
  const archive = await openArchive(handle, written.size, organizationId)
  t.strictSame(
    archive.files.map(({ size }) => size),
    [0, size, 700, 8]
  )
  let bytes = 0
  for await (const block of archive.read(archive.files[1] as (typeof archive.files)[number])) bytes += block.length
  t.equal(bytes, size)
  t.equal(
    (await contentOf(archive, archive.files[2] as (typeof archive.files)[number])).toString(),
    'behind '.repeat(100)
  )
  const { stdout } = await execa('unzip', ['-Z', '-l', path])
  t.match(stdout, String(size))
  await rm(path)
})

/** Between the heads of two stored blocks are 64 KiB of zeros. */
async function writeAround(handle: FileHandle, chunk: Buffer, position: number): Promise<void> {
  if (chunk.length < 1 << 20) await handle.write(chunk, 0, chunk.length, position)
  else {
    for (let at = 0; at < chunk.length; at += 4096) {
      const page = chunk.subarray(at, at + 4096)
      if (!page.equals(zeros.subarray(0, page.length))) await handle.write(page, 0, page.length, position + at)
    }
  }
}

/** Writes a file, but for blocks of zeros, which become holes. */
function holes(path: string): Writable {
  let handle: FileHandle
  let position = 0
  return new Writable({
    highWaterMark: 8 << 20,
    construct(done) {
      open(path, 'w').then(opened => {
        handle = opened
        done()
      }, done)
    },
    write(chunk: Buffer, _encoding, done) {
      const at = position
      position += chunk.length
      writeAround(handle, chunk, at).then(() => {
        done()
      }, done)
    },
    final(done) {
      handle
        .truncate(position)
        .then(async () => await handle.close())
        .then(() => {
          done()
        }, done)
    }
  })
}
