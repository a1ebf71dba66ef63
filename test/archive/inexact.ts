import t from 'tap'
import { createInexact } from '../../src/archive/inexact.js'

const at = (iso: string): Date => new Date(iso)
const plain = { kind: 'file', path: 'plain', mode: 0o777, mtime: at('2038-01-19T03:14:07.900Z') } as const

t.test('what comes back as it was is not told', async t => {
  const inexact = createInexact()
  inexact.look(plain)
  inexact.look({ ...plain, mtime: at('1970-01-01T00:00:00Z') })
  inexact.look({ ...plain, kind: 'folder', mode: 0o7777 })
  t.same(inexact.sentences(), [])
})

t.test('each kind is told once, with how many there are and the first of them', async t => {
  const inexact = createInexact()
  for (const mode of [0o4755, 0o2755, 0o1644]) inexact.look({ ...plain, path: `bin/"${mode.toString(8)}"`, mode })
  inexact.look({ ...plain, path: 'future', mtime: at('2038-01-19T03:14:08Z') })
  inexact.look({ ...plain, path: 'old', kind: 'folder', mtime: at('1969-12-31T23:59:59.500Z') })
  t.match(inexact.sentences(), [
    /^Set-user-id, set-group-id or sticky bits of 3 files, such as "bin\/\\"4755\\"", .* chmod/,
    /^Times of 2 files and folders, such as "future", are before 1970 or after 2038/
  ])
})
