import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { sha256Of } from '../../src/io/hash-file.js'
import { fileWith } from '../support/archive.js'

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

t.test('the SHA-256 of a file, over many blocks and none', async t => {
  const bytes = randomBytes((3 << 20) + 7)
  const handle = await fileWith(t, bytes)
  for (const size of [0, 1, 1 << 20, (1 << 20) + 1, bytes.length])
    t.equal(await sha256Of(handle, size), sha256(bytes.subarray(0, size)), String(size))
  t.equal(await sha256Of(handle, bytes.length + 5), sha256(bytes), 'it has become shorter')
})

t.test('it stops when it is told to', async t => {
  const handle = await fileWith(t, randomBytes(4 << 20))
  await t.rejects(sha256Of(handle, 4 << 20, AbortSignal.abort(new Error('enough'))), { message: 'enough' })
})
