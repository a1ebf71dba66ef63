import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { execa } from 'execa'
import t from 'tap'
import { measureBlocks } from '../../src/archive/encode-file.js'
import { mostBytes } from '../../src/archive/layout.js'
import { createArchiveWriter } from '../../src/archive/writer.js'
import { archiveBytes, blocksOf, fillArchive, metadataWith, testFolder, timestamp } from '../support/archive.js'
import { compiled } from '../support/project.js'

// Much work on a slow machine; tap ends a file after two minutes otherwise.
t.setTimeout(300_000)

const attributes = { mode: 0o644, mtime: timestamp }
const block = Buffer.alloc(1 << 20, 'x')
const tick = async () => await new Promise(setImmediate)

/** An output that takes its bytes when it is told to. */
function heldOutput(): { output: Writable; release: (error?: Error) => void } {
  const waiting: Array<(error?: Error) => void> = []
  const output = new Writable({
    highWaterMark: 1,
    write(_chunk, _encoding, done) {
      waiting.push(done)
    }
  })
  return {
    output,
    release: error => {
      waiting.splice(0).forEach(done => {
        done(error)
      })
    }
  }
}

t.test('an output that fails while nothing is written fails the next write', async t => {
  const { output, release } = heldOutput()
  const writer = createArchiveWriter(output, timestamp, () => {})
  const adding = writer.addLargeFile('files/acme/large', attributes, false, measureBlocks(blocksOf(block)))
  adding.catch(() => {})
  await tick()
  release(new Error('ENOSPC'))
  await t.rejects(adding, { message: 'ENOSPC' })
  await t.rejects(writer.addLargeFile('files/acme/b', attributes, false, measureBlocks(blocksOf(block))), {
    message: 'ENOSPC'
  })
  await t.rejects(writer.finish(metadataWith()), { message: 'ENOSPC' })
})

t.test('an output that fails at the end fails the end', async t => {
  const output = new Writable({
    write(_chunk, _encoding, done) {
      done()
    },
    final(done) {
      done(new Error('EIO'))
    }
  })
  await t.rejects(
    fillArchive(
      createArchiveWriter(output, timestamp, () => {}),
      []
    ),
    { message: 'EIO' }
  )
})

t.test('what is thrown at queued bytes stops the writer, not the process, and closes what it reads', async t => {
  const { output, release } = heldOutput()
  let isCancelled = false
  const writer = createArchiveWriter(output, timestamp, () => {
    if (isCancelled) throw new Error('cancelled')
  })
  let isClosed = false
  const source = (async function* () {
    try {
      for (let number = 0; number < 100; number += 1) yield block
    } finally {
      isClosed = true
    }
  })()
  const adding = writer.addLargeFile('files/acme/large', attributes, false, measureBlocks(source))
  adding.catch(() => {})
  for (let turn = 0; turn < 20; turn += 1) await tick()
  isCancelled = true
  const releasing = setInterval(() => {
    release()
  }, 1)
  t.teardown(() => {
    clearInterval(releasing)
  })
  await t.rejects(adding, { message: 'cancelled' })
  t.ok(isClosed)
  await t.rejects(writer.finish(metadataWith()), { message: 'cancelled' })
  t.ok(output.destroyed)
})

t.test('an output that is closed from outside fails the writer', async t => {
  const output = new Writable({
    write(_chunk, _encoding, done) {
      done()
    }
  })
  const writer = createArchiveWriter(output, timestamp, () => {})
  output.destroy()
  await tick()
  await t.rejects(
    writer.addLargeFile('files/acme/large', attributes, false, measureBlocks(blocksOf(block, block, block)))
  )
})

t.test('a slow output holds the source back', async t => {
  const { output } = heldOutput()
  const writer = createArchiveWriter(output, timestamp, () => {})
  let taken = 0
  const source = (async function* () {
    for (let number = 0; number < 100; number += 1) {
      taken += 1
      yield block
    }
  })()
  writer.addLargeFile('files/acme/large', attributes, false, measureBlocks(source)).catch(() => {})
  for (let turn = 0; turn < 200; turn += 1) await tick()
  t.ok(taken < 8, `${taken} MiB taken ahead`)
  output.destroy()
})

t.test("bytes are told as they pass, and sum up to the archive's size", async t => {
  let told = 0
  let got = 0
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      got += chunk.length
      done()
    }
  })
  const { size } = await fillArchive(
    createArchiveWriter(output, timestamp, bytes => {
      told += bytes
    }),
    [{ path: '' }, { path: 'a', content: block }]
  )
  t.strictSame([told, got], [size, size])
})

t.test('memory does not grow with the archive', async t => {
  const archive = join(await testFolder(t), 'large.zip')
  const { stdout } = await execa(process.execPath, [compiled('test/fixtures/large-archive.js'), archive])
  const { bytes, grownBytes } = JSON.parse(stdout) as { bytes: number; grownBytes: number }
  await rm(archive)
  t.equal(bytes, 1024 * 2 ** 20 + 2000 * 65536)
  t.comment(`grown by ${Math.round(grownBytes / 2 ** 20)} MiB`)
  t.ok(grownBytes < 300 * 2 ** 20)
})

t.test('an archive that no restore would read is not made', async t => {
  const content = { description: 'x'.repeat(mostBytes.metadata) }
  await t.rejects(archiveBytes([], content), {
    code: 'PAYLOAD_TOO_LARGE',
    reason: 'archive-not-readable',
    message: /16777216/
  })
  for (const kept of ['checksums', 'directory'] as const) {
    const usual = mostBytes[kept]
    t.teardown(() => {
      mostBytes[kept] = usual
    })
    mostBytes[kept] = 600
    await t.rejects(
      archiveBytes(Array.from({ length: 20 }, (_, number) => ({ path: `${number}` }))),
      { code: 'PAYLOAD_TOO_LARGE', reason: 'archive-not-readable' },
      kept
    )
    mostBytes[kept] = usual
  }
})
