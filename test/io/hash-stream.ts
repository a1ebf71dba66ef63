import { createHash, randomBytes } from 'node:crypto'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { createHashStream } from '../../src/io/hash-stream.js'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

t.test('bytes pass unchanged and are measured, however they are cut', async t => {
  const bytes = randomBytes(100_000)
  for (const size of [1, 7, 4096, 99_999, 100_000]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size)
    )
    let told = 0
    const hashed = createHashStream(count => {
      told += count
    })
    const passed = await buffer(Readable.from(chunks).pipe(hashed))
    t.ok(passed.equals(bytes))
    t.strictSame([hashed.bytes, told, hashed.digest()], [bytes.length, bytes.length, sha256(bytes)])
  }
})

t.test('nothing at all has a checksum too', async t => {
  const hashed = createHashStream()
  await buffer(Readable.from([]).pipe(hashed))
  t.strictSame([hashed.bytes, hashed.digest()], [0, sha256(Buffer.alloc(0))])
})

t.test('a chunk that its owner changes afterwards was hashed as it passed', async t => {
  const hashed = createHashStream()
  const passed = buffer(hashed.pipe(new PassThrough()))
  const chunk = Buffer.from('before')
  await new Promise<void>(resolve => {
    hashed.write(Buffer.from(chunk), () => {
      resolve()
    })
  })
  chunk.fill('x')
  hashed.end()
  t.equal((await passed).toString(), 'before')
  t.equal(hashed.digest(), sha256(Buffer.from('before')))
})

t.test('an error of the listener ends the stream with it, also from the queue', async t => {
  for (const failAt of [1, 5]) {
    let chunks = 0
    const hashed = createHashStream(() => {
      if (++chunks === failAt) throw new Error('stop')
    })
    const slow = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        setImmediate(done)
      }
    })
    await t.rejects(pipeline(Readable.from(Array.from({ length: 10 }, () => Buffer.alloc(1 << 20))), hashed, slow), {
      message: 'stop'
    })
  }
})
