import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import t from 'tap'
import { verifyChecksum } from '../../src/backup/verify.js'
import { AppError } from '../../src/errors.js'
import { recordOf } from '../../src/repository/record.js'
import { archiveBytes, fileWith, metadataWith, readAll, type TestEntry } from '../support/archive.js'
import { isDeep } from '../support/deep.js'
import { testJob } from '../support/job.js'

// Much work on a slow machine; tap ends a file after two minutes otherwise.
t.setTimeout(300_000)

const entries: TestEntry[] = [
  { path: '' },
  { path: 'empty/', mode: 0o2750, mtime: new Date('2020-02-29T12:00:01Z') },
  { path: 'nothing.txt', mode: 0o600 },
  { path: 'notes.txt', content: 'a line that repeats itself\n'.repeat(20) },
  { path: 'photos/' },
  {
    path: 'photos/löwe 🦁.png',
    content: createHash('sha512').update('random').digest(),
    mtime: new Date('2001-01-01T00:00:00Z')
  }
]
const bytes = await archiveBytes(entries, { sql: 'CREATE TABLE assets (id int);\n' })

/**
 * How an archive that was changed is taken: refused, taken with everything as it was, or taken with a change unseen.
 */
async function judge(
  handle: FileHandle,
  size: number,
  original: string
): Promise<'detected' | 'harmless' | 'undetected'> {
  try {
    return JSON.stringify(await readAll(handle, size)) === original ? 'harmless' : 'undetected'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return 'detected'
  }
}

/**
 * Bytes of deflated data with bits that belong to nothing: those behind its last block, and those between the three of
 * a stored block's header and its length (RFC 1951, sections 3.2.3 and 3.2.4).
 */
function paddedBytes(): number[] {
  const positions: number[] = []
  for (let at = 0; bytes.readUInt32LE(at) === 0x04034b50;) {
    const isStreamed = (bytes.readUInt16LE(at + 6) & 8) !== 0
    const start = at + 30 + bytes.readUInt16LE(at + 26)
    const end = isStreamed ? bytes.indexOf('PK\x07\x08', start) : start + bytes.readUInt32LE(at + 18)
    if (bytes.readUInt16LE(at + 8) === 8) {
      positions.push(end - 1)
      for (
        let block = start;
        block < end && (bytes.readUInt8(block) & 6) === 0;
        block += 5 + bytes.readUInt16LE(block + 1)
      )
        positions.push(block)
    }
    at = isStreamed ? end + 16 : end
  }
  return positions
}

t.test('a flipped byte anywhere in an archive is noticed when it is read', async t => {
  const handle = await fileWith(t, bytes)
  const original = JSON.stringify(await readAll(handle, bytes.length))
  // Each of them at every place in `npm run test:deep`, else in turn.
  const masks = [0xff, 0x01, 0x80]
  for (let round = 0; round < (isDeep ? masks.length : 1); round += 1) {
    const counts = { detected: 0, harmless: 0, undetected: 0 }
    const harmless: number[] = []
    for (let position = 0; position < bytes.length; position += 1) {
      const mask = masks[(position + round) % masks.length] as number
      await handle.write(Buffer.of((bytes[position] as number) ^ mask), 0, 1, position)
      const verdict = await judge(handle, bytes.length, original)
      counts[verdict] += 1
      if (verdict === 'harmless') harmless.push(position)
      await handle.write(bytes, position, 1, position)
    }
    t.comment(`${bytes.length} bytes flipped: ${JSON.stringify(counts)}`)
    t.equal(counts.undetected, 0)
    // Nothing is made of these bits; the checksum of the whole archive covers them.
    t.strictSame(
      harmless.filter(position => !paddedBytes().includes(position)),
      []
    )
  }
})

t.test('an archive cut at any length, or with more after its end, is refused', async t => {
  const handle = await fileWith(t, bytes)
  const original = JSON.stringify(await readAll(handle, bytes.length))
  await handle.write(Buffer.of(0), 0, 1, bytes.length)
  t.equal(await judge(handle, bytes.length + 1, original), 'detected')
  let detected = 0
  for (let size = bytes.length - 1; size >= 0; size -= 1) {
    await handle.truncate(size)
    if ((await judge(handle, size, original)) === 'detected') detected += 1
  }
  t.comment(`cut at ${bytes.length} lengths: ${detected} detected`)
  t.equal(detected, bytes.length)
})

t.test('the checksum of the whole archive catches every flip and every cut', async t => {
  const handle = await fileWith(t, bytes)
  const backup = recordOf(metadataWith(), {
    size: bytes.length,
    checksum: createHash('sha256').update(bytes).digest('hex'),
    signedBy: null
  })
  await verifyChecksum({ handle, size: bytes.length }, backup, testJob())
  let detected = 0
  const notices = async (size: number) => {
    await verifyChecksum({ handle, size }, backup, testJob()).catch((error: AppError) => {
      if (error.code !== 'CHECKSUM_MISMATCH') throw error
      detected += 1
    })
  }
  for (let position = 0; position < bytes.length; position += 1) {
    await handle.write(Buffer.of((bytes[position] as number) ^ 0x01), 0, 1, position)
    await notices(bytes.length)
    await handle.write(bytes, position, 1, position)
  }
  for (const size of [0, 1, bytes.length - 1]) await notices(size)
  t.equal(detected, bytes.length + 3)
})
