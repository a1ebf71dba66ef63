import { createHash } from 'node:crypto'
import t from 'tap'
import { archivedSeconds, createAttributesDigest } from '../../src/archive/attributes-digest.js'

const mtime = new Date('2026-03-04T05:06:07.999Z')

t.test('it is the SHA-256 of the lines that FORMAT.md describes', async t => {
  const digest = createAttributesDigest()
  digest.add('files/acme/', { mode: 0o755, mtime }, 0)
  digest.add('files/acme/ü\n', { mode: 0o4640, mtime: new Date(0) }, 12)
  const lines = '755 1772600767 0 files/acme/\u00004640 0 12 files/acme/ü\n\0'
  t.equal(digest.value(), createHash('sha256').update(lines).digest('hex'))
})

t.test('every attribute, the name and the order change it', async t => {
  const one = { name: 'a', mode: 0o644, mtime, size: 1 }
  const two = { name: 'b', mode: 0o644, mtime, size: 1 }
  const digestOf = (...entries: Array<typeof one>) => {
    const digest = createAttributesDigest()
    for (const { name, size, ...attributes } of entries) digest.add(name, attributes, size)
    return digest.value()
  }
  const all = [
    [],
    [one],
    [one, two],
    [two, one],
    [{ ...one, mode: 0o645 }],
    [{ ...one, size: 2 }],
    [{ ...one, name: 'A' }],
    [{ ...one, mtime: new Date(mtime.getTime() + 1000) }]
  ].map(entries => digestOf(...entries))
  t.equal(new Set(all).size, all.length)
  t.equal(digestOf({ ...one, mtime: new Date(mtime.getTime() - 999) }), digestOf(one), 'parts of a second are not kept')
})

t.test('times are those that a zip can hold', async t => {
  t.equal(archivedSeconds(new Date('1969-12-31T23:59:59Z')), 0)
  t.equal(archivedSeconds(new Date('2038-01-19T03:14:07.900Z')), 2 ** 31 - 1)
  t.equal(archivedSeconds(new Date('2107-01-01T00:00:00Z')), 2 ** 31 - 1)
})
