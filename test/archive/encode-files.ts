import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { crc32, inflateRawSync } from 'node:zlib'
import t from 'tap'
import { encodeFiles } from '../../src/archive/encode-files.js'
import type { FileToEncode } from '../../src/archive/encode-protocol.js'
import { createArchiveWriter } from '../../src/archive/writer.js'
import { metadataWith, testFolder, timestamp } from '../support/archive.js'

// Much work on a slow machine; tap ends a file after two minutes otherwise.
t.setTimeout(300_000)

interface Decoded {
  content: Buffer
  deflated: boolean
  changed: boolean
}

/** Writes files; `encode` reads them back through the worker threads, null for one that is gone. */
async function prepare(root: string, contents: Record<string, Buffer>) {
  const files: FileToEncode[] = []
  for (const [name, content] of Object.entries(contents)) {
    const path = join(root, name)
    await writeFile(path, content)
    files.push({ path, name, size: content.length, mtimeMs: (await stat(path)).mtime.getTime() })
  }
  return {
    files,
    async encode(level: number): Promise<Array<Decoded | null>> {
      const decoded: Array<Decoded | null> = []
      for await (const file of encodeFiles(files, root, level)) {
        if (file.kind === 'gone') {
          decoded.push(null)
          continue
        }
        let data: Buffer
        let measures: { size: number; crc32: number; sha256: string; changed: boolean }
        if (file.kind === 'small') {
          // The thread's memory is used again, so what is to be kept is copied.
          data = Buffer.from(file.ready.data)
          measures = { ...file.ready, sha256: file.sha256, changed: file.changed }
        } else {
          const blocks: Buffer[] = []
          let next = await file.blocks.next()
          for (; next.done !== true; next = await file.blocks.next()) {
            blocks.push(Buffer.from(next.value))
            file.release()
          }
          data = Buffer.concat(blocks)
          measures = next.value
        }
        const deflated = file.kind === 'small' ? file.ready.deflated : file.deflated
        const content = deflated ? inflateRawSync(data) : data
        const expected = {
          size: content.length,
          crc32: crc32(content),
          sha256: createHash('sha256').update(content).digest('hex')
        }
        const { size, crc32: checksum, sha256 } = measures
        if (JSON.stringify({ size, crc32: checksum, sha256 }) !== JSON.stringify(expected))
          throw new Error('A file is not what its measures say.')
        decoded.push({ content, deflated, changed: measures.changed })
      }
      return decoded
    }
  }
}

const text = (bytes: number) => Buffer.alloc(bytes, 'a line that repeats itself\n')
const block = 1 << 20

for (const level of [0, 1, 6]) {
  t.test(`every file comes out as it was, in order, at level ${level}`, async t => {
    const root = await testFolder(t)
    const contents: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      'tiny.txt': text(10),
      'a.txt': text(5000),
      'random.bin': randomBytes(5000),
      'block.txt': text(block),
      'block.bin': randomBytes(block)
    }
    // Sizes around those of blocks, compressible to a few bytes or not at all, several on each thread.
    for (const size of [block + 1, 2 * block, 2 * block + 5, 5 * block + 17]) {
      contents[`large-${size}.txt`] = text(size)
      contents[`large-${size}.bin`] = randomBytes(size)
      contents[`mixed-${size}.txt`] = Buffer.concat([text(block), randomBytes(size - block)])
    }
    for (let number = 0; number < 600; number += 1) contents[`small-${number}.txt`] = text(number * 7)
    const decoded = await (await prepare(root, contents)).encode(level)
    const different = Object.entries(contents)
      .filter(([, content], index) => !decoded[index]?.content.equals(content))
      .map(([name]) => name)
    t.strictSame(different, [])
    t.equal(
      decoded.some(file => file?.changed),
      false
    )
    t.equal(
      decoded.some(file => file?.deflated),
      level > 0
    )
  })
}

t.test('what changed, went or was replaced in the meantime', async t => {
  const root = await testFolder(t)
  const { files, encode } = await prepare(
    root,
    Object.fromEntries(
      ['same', 'grown', 'shrunk', 'gone', 'link', 'folder'].flatMap(name => [
        [`${name}.txt`, text(1000)],
        [`${name}-large.txt`, text(3 * block)]
      ])
    )
  )
  const path = (name: string) => join(root, name)
  for (const kind of ['.txt', '-large.txt']) {
    await appendFile(path(`grown${kind}`), 'more')
    await writeFile(path(`shrunk${kind}`), text(500))
    await rm(path(`gone${kind}`))
    await rm(path(`link${kind}`))
    await symlink('/etc/passwd', path(`link${kind}`))
    await rm(path(`folder${kind}`))
    await mkdir(path(`folder${kind}`))
  }
  const decoded = await encode(1)
  t.strictSame(
    Object.fromEntries(
      files.map(({ name }, index) => [
        name,
        decoded[index] === null ? null : [decoded[index]?.content.length, decoded[index]?.changed]
      ])
    ),
    {
      'same.txt': [1000, false],
      'same-large.txt': [3 * block, false],
      'grown.txt': [1000, true],
      'grown-large.txt': [3 * block, true],
      'shrunk.txt': [500, true],
      'shrunk-large.txt': [500, true],
      'gone.txt': null,
      'gone-large.txt': null,
      'link.txt': null,
      'link-large.txt': null,
      'folder.txt': null,
      'folder-large.txt': null
    }
  )
})

t.test('a folder on the way that became a link leads nowhere', async t => {
  const folder = await testFolder(t)
  const [root, elsewhere] = [join(folder, 'acme'), join(folder, 'acme-2')]
  await mkdir(join(root, 'photos'), { recursive: true })
  await mkdir(elsewhere)
  await writeFile(join(elsewhere, 'cat.png'), "another organization's")
  const { encode } = await prepare(root, { 'photos/cat.png': Buffer.from('ours') })
  await rename(join(root, 'photos'), join(root, 'before'))
  await symlink(elsewhere, join(root, 'photos'))
  t.strictSame(await encode(1), [null])
})

t.test('leaving in the middle of a large file ends the threads', async t => {
  const root = await testFolder(t)
  const { files } = await prepare(root, { 'a.bin': randomBytes(20 * block), 'b.bin': randomBytes(20 * block) })
  for await (const file of encodeFiles(files, root, 1)) {
    if (file.kind === 'large') await file.blocks.next()
    break
  }
  t.pass('otherwise the process would not end')
})

t.test('memory is not used again while the output still holds it, whatever was written after it', async t => {
  const root = await testFolder(t)
  const contents: Record<string, Buffer> = {}
  for (let number = 0; number < 12; number += 1) {
    contents[`large-${number}.bin`] = randomBytes(3 * block + 5)
    for (let small = 0; small < 8; small += 1) contents[`small-${number}-${small}.bin`] = randomBytes(300_000)
  }
  const { files } = await prepare(root, contents)
  let spoiled = 0
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  const output = new Writable({
    highWaterMark: 4 * block,
    write(chunk: Buffer, _encoding, done) {
      const before = digest(chunk)
      let turns = 0
      const look = (): void => {
        if (++turns < 200) {
          setImmediate(look)
          return
        }
        if (digest(chunk) !== before) spoiled += 1
        done()
      }
      look()
    }
  })
  const writer = createArchiveWriter(output, timestamp, () => {})
  let index = 0
  for await (const file of encodeFiles(files, root, 1)) {
    const name = `files/acme/${files[index++]!.name}`
    if (file.kind === 'large')
      await writer.addLargeFile(name, { mode: 0o644, mtime: timestamp }, file.deflated, file.blocks, file.release)
    else if (file.kind === 'small')
      await writer.addFile(name, { mode: 0o644, mtime: timestamp }, { ...file.ready, sha256: file.sha256 })
  }
  await writer.finish(metadataWith())
  t.equal(spoiled, 0)
})
