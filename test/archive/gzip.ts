import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { execa } from 'execa'
import t from 'tap'
import { compressionLevels, type Compression } from '../../src/archive/compression.js'
import { gzip } from '../../src/archive/gzip.js'

async function collect (blocks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const block of blocks) all.push(block)
  return Buffer.concat(all)
}

const line = (number: number) => `${number}\t${createHash('md5').update(String(number)).digest('hex')}\n`
const text = Buffer.from(Array.from({ length: 300_000 }, (_, number) => line(number)).join(''))

async function * chunks (bytes: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < text.length; from += bytes) yield Buffer.from(text.subarray(from, from + bytes))
}

for (const compression of Object.keys(compressionLevels) as Compression[]) {
  t.test(`${compression}: what gunzip and Node read back is the text`, async t => {
    const compressed = await collect(gzip(chunks(65536), compression))
    t.ok(compressed.length < text.length * 0.7)
    t.ok(gunzipSync(compressed).equals(text))
    const { stdout } = await execa('gunzip', ['-c'], { input: compressed, encoding: 'buffer', stripFinalNewline: false })
    t.ok(Buffer.from(stdout).equals(text))
  })
}

t.test('small chunks, which are parts of a shared pool, are not taken from it', async t => {
  const words = Array.from({ length: 2000 }, (_, number) => Buffer.from(`word ${number}\n`))
  const expected = Buffer.concat(words)
  async function * source (): AsyncGenerator<Buffer> { yield * words }
  t.ok(gunzipSync(await collect(gzip(source(), 'fast'))).equals(expected))
  t.ok(Buffer.concat(words).equals(expected))
})

t.test('no text is a gzip member of nothing', async t => {
  async function * nothing (): AsyncGenerator<Buffer> {}
  t.equal(gunzipSync(await collect(gzip(nothing(), 'fast'))).length, 0)
})

t.test('a text that fails, fails it, and the thread ends', async t => {
  async function * failing (): AsyncGenerator<Buffer> {
    yield * chunks(1 << 20)
    throw new Error('the dump broke')
  }
  await t.rejects(collect(gzip(failing(), 'fast')), { message: 'the dump broke' })
})

t.test('who leaves in the middle closes the text', async t => {
  let isClosed = false
  async function * endless (): AsyncGenerator<Buffer> {
    try {
      for (;;) yield * chunks(1 << 20)
    } finally {
      isClosed = true
    }
  }
  for await (const block of gzip(endless(), 'fast')) {
    t.ok(block.length > 0)
    break
  }
  t.ok(isClosed)
})

t.test('a reader that is slow holds the text back', async t => {
  let given = 0
  async function * counted (): AsyncGenerator<Buffer> {
    for (;;) {
      for await (const chunk of chunks(1 << 20)) {
        given += chunk.length
        yield chunk
      }
    }
  }
  const compressed = gzip(counted(), 'fast')
  await compressed.next()
  await new Promise(setImmediate)
  t.ok(given < 64 << 20, `${given} bytes taken ahead of the first member`)
  await compressed.return(undefined)
})
