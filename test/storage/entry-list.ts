import t from 'tap'
import { createEntryList, type StoredEntry } from '../../src/storage/entry-list.js'

t.test('entries come back as they were added, each time', async t => {
  const added: StoredEntry[] = [
    { kind: 'folder', path: '', size: 0, mode: 0o7777, mtime: new Date(0) },
    { kind: 'file', path: 'a/ü 😀\n"quoted"', size: 5 * 2 ** 40 + 1, mode: 0, mtime: new Date(1234567890123) },
    { kind: 'file', path: 'x'.repeat(4000), size: 1, mode: 0o640, mtime: new Date(-1500) },
    ...Array.from({ length: 10_000 }, (_, index): StoredEntry => ({
      kind: 'file',
      path: `file ${index}`,
      size: index,
      mode: 0o644,
      mtime: new Date(index)
    }))
  ]
  const list = createEntryList()
  t.strictSame([...list], [])
  for (const entry of added) list.append(entry)
  t.equal(list.length, added.length)
  t.equal(
    list.bytes,
    added.reduce((sum, { size }) => sum + size, 0)
  )
  t.strictSame([...list], added)
  const [first, second] = [list[Symbol.iterator](), list[Symbol.iterator]()]
  first.next()
  first.next()
  t.strictSame([first.next().value, second.next().value], [added[2], added[0]], 'two walks do not meet')
})
