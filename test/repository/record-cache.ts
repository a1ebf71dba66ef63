import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createRecordCache } from '../../src/repository/record-cache.js'
import type { Backup } from '../../src/repository/record.js'
import { testRecord } from '../support/record.js'

const mostRecords = 2000

/** A cache over these records, and over any other id, that tells what was read. */
function cacheOf(...records: Backup[]): { cache: ReturnType<typeof createRecordCache>; read: string[] } {
  const read: string[] = []
  const cache = createRecordCache(async (organizationId, id) => {
    read.push(id)
    return records.find(record => record.id === id) ?? testRecord({ organizationId, id })
  })
  return { cache, read }
}

t.test('the record that was asked for the longest time ago makes room', async t => {
  const { cache, read } = cacheOf()
  for (let number = 0; number < mostRecords; number += 1) await cache.read('acme', String(number))
  await cache.read('acme', '0')
  t.equal(read.length, mostRecords)
  await cache.read('acme', 'one more')
  read.length = 0
  for (const id of ['0', '2', 'one more', '1']) await cache.read('acme', id)
  t.strictSame(read, ['1'])
})

t.test('a record that warns of very much is not kept', async t => {
  const large = testRecord({ warnings: Array.from({ length: 100 }, () => 'x'.repeat(100)) })
  const { cache, read } = cacheOf(large)
  await cache.read('acme', large.id)
  await cache.read('acme', large.id)
  t.equal(read.length, 2)
})

t.test("one organization's record is no other's", async t => {
  const { cache } = cacheOf()
  const id = randomUUID()
  t.equal((await cache.read('acme', id))?.organizationId, 'acme')
  t.equal((await cache.read('globex', id))?.organizationId, 'globex')
})

t.test('what is being read while the record changes is not kept', async t => {
  let answer = (_: Backup): void => {}
  const [before, after] = [testRecord({ description: 'before' }), testRecord({ description: 'after' })]
  const cache = createRecordCache(
    async () =>
      await new Promise(resolve => {
        answer = resolve
      })
  )
  const reading = cache.read('acme', before.id)
  cache.forget('acme', before.id)
  answer(before)
  t.equal((await reading)?.description, 'before')
  const readingAgain = cache.read('acme', before.id)
  answer(after)
  t.equal((await readingAgain)?.description, 'after')
})
