import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { execa } from 'execa'
import t from 'tap'
import { compressionLevels, type Compression } from '../../src/archive/compression.js'
import { gzip, type Gzip } from '../../src/archive/gzip.js'
import { slots } from '../../src/io/ring.js'
import { makePipe, type PipedText } from '../../src/io/pipe.js'
import { startProgramInto } from '../../src/io/process.js'
import { testFolder } from '../support/archive.js'

async function collect({ blocks, release }: Gzip): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const block of blocks) {
    all.push(Buffer.from(block))
    release()
  }
  return Buffer.concat(all)
}

const onFallback = (reason: string): void => {
  throw new Error(reason)
}
const line = (number: number) => `${number}\t${createHash('md5').update(String(number)).digest('hex')}\n`
const text = Buffer.from(Array.from({ length: 300_000 }, (_, number) => line(number)).join(''))

async function* chunks(bytes: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < text.length; from += bytes) yield Buffer.from(text.subarray(from, from + bytes))
}

for (const compression of Object.keys(compressionLevels) as Compression[]) {
  t.test(`${compression}: what gunzip and Node read back is the text`, async t => {
    const compressed = await collect(gzip(chunks(65536), { compression, onFallback }))
    t.ok(compressed.length < text.length * 0.7)
    t.ok(gunzipSync(compressed).equals(text))
    const { stdout } = await execa('gunzip', ['-c'], {
      input: compressed,
      encoding: 'buffer',
      stripFinalNewline: false
    })
    t.ok(Buffer.from(stdout).equals(text))
  })
}

t.test('small chunks, which are parts of a shared pool, are not taken from it', async t => {
  const words = Array.from({ length: 2000 }, (_, number) => Buffer.from(`word ${number}\n`))
  const expected = Buffer.concat(words)
  async function* source(): AsyncGenerator<Buffer> {
    yield* words
  }
  t.ok(gunzipSync(await collect(gzip(source(), { compression: 'fast', onFallback }))).equals(expected))
  t.ok(Buffer.concat(words).equals(expected))
})

t.test('no text is a gzip member of nothing', async t => {
  async function* nothing(): AsyncGenerator<Buffer> {}
  t.equal(gunzipSync(await collect(gzip(nothing(), { compression: 'fast', onFallback }))).length, 0)
})

t.test('a text that fails, fails it, and the thread ends', async t => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield* chunks(1 << 20)
    throw new Error('the dump broke')
  }
  await t.rejects(collect(gzip(failing(), { compression: 'fast', onFallback })), { message: 'the dump broke' })
})

/** A program's output as a text; `ends` tells what was done with it. */
async function piped(program: string, ...args: string[]): Promise<{ text: PipedText; ends: string[] }> {
  const { reader, writer } = await makePipe()
  const { done, kill } = startProgramInto(writer.fd, program, args)
  await writer.close()
  const ends: string[] = []
  const close = async (): Promise<void> => {
    await reader.close()
    ends.push('closed')
  }
  return {
    text: {
      descriptor: reader.fd,
      finish: async () => {
        await done
      },
      stop() {
        ends.push('stopped')
        kill()
      },
      close
    },
    ends
  }
}

t.test('a text from a pipe, its bytes told with each member', async t => {
  const { text, ends } = await piped('seq', '1000000')
  let told = 0
  const read = gunzipSync(
    await collect(
      gzip(text, {
        compression: 'fast',
        onText: bytes => {
          told += bytes
        },
        onFallback
      })
    )
  )
  t.equal(read.toString(), Array.from({ length: 1_000_000 }, (_, number) => `${number + 1}\n`).join(''))
  t.equal(told, read.length)
  t.strictSame(ends, ['stopped', 'closed'])
})

t.test('a program that fails, fails the text after its last byte', async t => {
  const { text, ends } = await piped('sh', '-c', 'echo half of it; exit 3')
  let members = 0
  await t.rejects(
    async () => {
      for await (const _ of gzip(text, { compression: 'fast', onFallback }).blocks) members += 1
    },
    { message: /ended with exit code 3/ }
  )
  t.equal(members, 1)
  t.strictSame(ends, ['stopped', 'closed'])
})

t.test('who leaves in the middle ends a program that would never end, silent or not', async t => {
  for (const never of [['yes'], ['sh', '-c', 'seq 3000000; exec sleep 1000']] as Array<[string, ...string[]]>) {
    const { text, ends } = await piped(...never)
    for await (const member of gzip(text, { compression: 'fast', onFallback }).blocks) {
      t.ok(member.length > 0)
      break
    }
    t.strictSame(ends, ['stopped', 'closed'])
  }
})

t.test('what is told of the text can end it', async t => {
  const { text } = await piped('yes')
  await t.rejects(
    collect(
      gzip(text, {
        compression: 'fast',
        onText() {
          throw new Error('the listing broke')
        },
        onFallback
      })
    ),
    { message: 'the listing broke' }
  )
})

t.test('who leaves in the middle closes the text', async t => {
  let isClosed = false
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield* chunks(1 << 20)
    } finally {
      isClosed = true
    }
  }
  for await (const block of gzip(endless(), { compression: 'fast', onFallback }).blocks) {
    t.ok(block.length > 0)
    break
  }
  t.ok(isClosed)
})

t.test('a reader that is slow holds the text back', async t => {
  let given = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for (;;) {
      for await (const chunk of chunks(1 << 20)) {
        given += chunk.length
        yield chunk
      }
    }
  }
  const compressed = gzip(counted(), { compression: 'fast', onFallback }).blocks
  await compressed.next()
  await new Promise(setImmediate)
  t.ok(given < 64 << 20, `${given} bytes taken ahead of the first member`)
  await compressed.return(undefined)
})

t.test('memory that was not given back is not written again', async t => {
  const noise = Array.from({ length: 32 }, () => randomBytes(1 << 20))
  const expected = Buffer.concat(noise)
  async function* source(): AsyncGenerator<Buffer> {
    yield* noise
  }
  const { blocks, release } = gzip(source(), { compression: 'fast', onFallback })
  const held: Buffer[] = []
  const late: Buffer[] = []
  const giveBack = (): void => {
    late.push(Buffer.from(held.shift()!))
    release()
  }
  for await (const block of blocks) {
    held.push(block)
    // One more would never come.
    if (held.length === slots) giveBack()
  }
  while (held.length > 0) giveBack()
  t.ok(gunzipSync(Buffer.concat(late)).equals(expected))
})

t.test("an igzip that can't be run or fails gives way to zlib, which is told", async t => {
  const folder = await testFolder(t)
  const failing = join(folder, 'igzip')
  await writeFile(failing, '#!/bin/sh\nhead -c 100\nexit 1\n', { mode: 0o755 })
  const noProgram = join(folder, 'no-program')
  await writeFile(noProgram, 'this is no program', { mode: 0o755 })
  for (const path of [failing, noProgram]) {
    const reasons: string[] = []
    const compressed = await collect(
      gzip(chunks(65536), {
        compression: 'fast',
        onFallback: reason => {
          reasons.push(reason)
        },
        igzipPaths: [join(folder, 'absent'), path]
      })
    )
    t.ok(gunzipSync(compressed).equals(text))
    t.equal(reasons.length, 1)
    t.match(reasons[0], path)
  }
})

t.test('without igzip there is nothing to tell', async t => {
  t.ok(gunzipSync(await collect(gzip(chunks(65536), { compression: 'fast', onFallback, igzipPaths: [] }))).equals(text))
})
