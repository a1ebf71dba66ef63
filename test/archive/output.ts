import { createHash, randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import t from 'tap'
import { createArchiveOutput } from '../../src/archive/output.js'

const mebibyte = 1 << 20

/** A stream that keeps what it gets. */
function keepingStream(): { stream: Writable; chunks: Buffer[] } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    }
  })
  return { stream, chunks }
}

t.test('small and large pieces come out in order, hashed, the small ones gathered', async t => {
  const { stream, chunks } = keepingStream()
  let told = 0
  const output = createArchiveOutput(stream, bytes => {
    told += bytes
  })
  const pieces: Buffer[] = []
  for (let number = 0; number < 3000; number += 1) {
    const isLarge = number % 500 === 499
    const piece = randomBytes(isLarge ? 3 * mebibyte : number)
    pieces.push(Buffer.from(piece))
    if (isLarge)
      await output.write(piece, () => {
        piece.fill(0)
      })
    else
      await output.write(piece).then(() => {
        piece.fill(0)
      })
  }
  const expected = Buffer.concat(pieces)
  t.strictSame(await output.end(), {
    size: expected.length,
    checksum: createHash('sha256').update(expected).digest('hex')
  })
  t.ok(Buffer.concat(chunks).equals(expected))
  t.equal(told, expected.length)
  t.ok(chunks.length < 30, `${chunks.length} writes`)
})

t.test('memory that is given with a callback is read until it is called', async t => {
  const held: Array<() => void> = []
  const got: Buffer[] = []
  const stream = new Writable({
    highWaterMark: 8 * mebibyte,
    write(chunk: Buffer, _encoding, done) {
      held.push(() => {
        got.push(Buffer.from(chunk))
        done()
      })
    }
  })
  const output = createArchiveOutput(stream, () => {})
  let written = 0
  await output.write(Buffer.alloc(mebibyte, 'a'), () => {
    written += 1
  })
  await output.write(Buffer.alloc(mebibyte, 'b'), () => {
    written += 1
  })
  t.equal(written, 0)
  const ending = output.end()
  while (got.length < 2) {
    held.shift()?.()
    await new Promise(setImmediate)
  }
  await ending
  t.equal(written, 2)
  t.ok(Buffer.concat(got).equals(Buffer.concat([Buffer.alloc(mebibyte, 'a'), Buffer.alloc(mebibyte, 'b')])))
})

t.test('a stream that is destroyed without a reason while it is waited for fails the write', async t => {
  const stream = new Writable({ highWaterMark: 1, write() {} })
  const output = createArchiveOutput(stream, () => {})
  const writing = output.write(Buffer.alloc(mebibyte), () => {})
  stream.destroy()
  await t.rejects(writing, { message: /closed before/ })
  await t.rejects(output.end())
})

t.test('a stream that fails without being destroyed fails the write that waits for it, and the next', async t => {
  const stream = new Writable({
    autoDestroy: false,
    highWaterMark: 1,
    write(_chunk, _encoding, done) {
      setImmediate(done, new Error('ENOSPC'))
    }
  })
  const output = createArchiveOutput(stream, () => {})
  await t.rejects(
    output.write(Buffer.alloc(mebibyte), () => {}),
    { message: 'ENOSPC' }
  )
  await t.rejects(
    output.write(Buffer.alloc(mebibyte), () => {}),
    { message: 'ENOSPC' }
  )
})
