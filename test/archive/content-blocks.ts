import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { cutByContent } from '../../src/archive/content-blocks.js'

const leastBytes = 1 << 20
const mostBytes = 8 << 20

/** The text in chunks of a size. */
async function* inChunks(text: Buffer, bytes: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < text.length; from += bytes) yield text.subarray(from, from + bytes)
}

/** Lengths and digests of the blocks, whose memory is given back at once. */
async function cut(text: Buffer, chunkBytes: number): Promise<Array<{ length: number; sha256: string }>> {
  const blocks = []
  for await (const { text: block, release } of cutByContent(inChunks(text, chunkBytes))) {
    blocks.push({ length: block.length, sha256: createHash('sha256').update(block).digest('hex') })
    release()
  }
  return blocks
}

const lines = (count: number, seed: string) =>
  Buffer.from(
    Array.from(
      { length: count },
      (_, number) => `${number}\t${createHash('md5').update(`${seed}${number}`).digest('hex').repeat(5)}\n`
    ).join('')
  )

const text = lines(150_000, 'row')

t.test('blocks are the text, whole, cut at ends of lines and between the two sizes', async t => {
  const blocks: Buffer[] = []
  for await (const { text: block } of cutByContent(inChunks(text, 65536))) blocks.push(Buffer.from(block))
  t.ok(Buffer.concat(blocks).equals(text))
  t.ok(blocks.length > 4, `${blocks.length} blocks`)
  for (const block of blocks.slice(0, -1)) {
    t.ok(block.length >= leastBytes && block.length <= mostBytes)
    if (block.length < mostBytes) t.equal(block.at(-1), 0x0a)
  }
})

t.test('where it is cut does not depend on how the text arrives', async t => {
  const expected = await cut(text, 65536)
  for (const chunkBytes of [4096, 100_003, 3 << 20, text.length])
    t.strictSame(await cut(text, chunkBytes), expected, `chunks of ${chunkBytes}`)
})

t.test('a change in one place leaves the blocks elsewhere as they were', async t => {
  const before = await cut(text, 65536)
  const changed = Buffer.concat([text.subarray(0, 3_000_000), Buffer.from('a new line\n'), text.subarray(3_000_000)])
  const known = new Set(before.map(({ sha256 }) => sha256))
  const fresh = (await cut(changed, 65536)).filter(({ sha256 }) => !known.has(sha256))
  t.ok(fresh.length <= 2, `${fresh.length} of ${before.length} blocks are new`)
})

t.test('a text without ends of lines is cut at the largest size', async t => {
  const binary = randomBytes(leastBytes).map(byte => (byte === 0x0a ? 0 : byte))
  t.strictSame(
    (await cut(Buffer.concat(new Array(17).fill(binary)), 65536)).map(({ length }) => length),
    [mostBytes, mostBytes, leastBytes]
  )
})

t.test('memory is used again only after it was given back', async t => {
  const held: Buffer[] = []
  for await (const { text: block } of cutByContent(inChunks(text, 65536))) held.push(block)
  t.ok(Buffer.concat(held).equals(text))
})

t.test('nothing makes no block', async t => {
  t.strictSame(await cut(Buffer.alloc(0), 1), [])
})
