import { createHash, randomBytes } from 'node:crypto'
import { crc32, inflateRawSync } from 'node:zlib'
import t from 'tap'
import { isWorthDeflating } from '../../src/archive/compression.js'
import { encodeBuffer, measureBlocks } from '../../src/archive/encode-file.js'
import { blocksOf } from '../support/archive.js'

const text = Buffer.from('a line that repeats itself\n'.repeat(400))
const random = randomBytes(10_000)

t.test('what is compressed already by its type is stored, whatever its bytes', async t => {
  for (const name of ['a.jpg', 'A.PNG', 'film.mp4', 'song.mp3', 'x.zip', 'x.gz', 'sheet.xlsx'])
    t.notOk(isWorthDeflating(name, text), name)
})

t.test('what is text by its type is deflated, and the rest is tried', async t => {
  for (const name of ['a.txt', 'a.json', 'a.svg', 'a.html', 'table.csv']) t.ok(isWorthDeflating(name, text), name)
  for (const name of ['no-extension', 'a.unknown', 'a.bin', '.hidden']) {
    t.ok(isWorthDeflating(name, text), name)
    t.notOk(isWorthDeflating(name, random), name)
  }
  t.notOk(isWorthDeflating('a.txt', text.subarray(0, 20)), 'too small to gain')
})

t.test('a whole file is encoded with what its headers say', async t => {
  const deflated = await encodeBuffer('a.txt', text, 6)
  t.match(deflated, {
    deflated: true,
    size: text.length,
    crc32: crc32(text),
    sha256: createHash('sha256').update(text).digest('hex')
  })
  t.ok(inflateRawSync(deflated.data).equals(text))
  t.match(await encodeBuffer('a.txt', text, 0), { deflated: false, data: text })
  t.match(
    await encodeBuffer('a.txt', random, 6),
    { deflated: false, data: random },
    'stored when it would not become smaller'
  )
  t.match(await encodeBuffer('empty', Buffer.alloc(0), 6), { deflated: false, size: 0, crc32: 0 })
})

t.test('a stream is measured as it passes', async t => {
  const measured = measureBlocks(blocksOf(text, random, Buffer.alloc(0), text))
  const blocks: Buffer[] = []
  let next = await measured.next()
  for (; next.done !== true; next = await measured.next()) blocks.push(next.value)
  const all = Buffer.concat([text, random, text])
  t.strictSame(next.value, {
    crc32: crc32(all),
    size: all.length,
    sha256: createHash('sha256').update(all).digest('hex')
  })
  t.ok(Buffer.concat(blocks).equals(all))
})
