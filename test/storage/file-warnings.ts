import t from 'tap'
import { createFileWarnings } from '../../src/storage/file-warnings.js'

t.test('of very many of a kind the first are named, and the number of the others', async t => {
  const warnings = createFileWarnings()
  for (let number = 0; number < 150; number += 1)
    warnings.add('Left out {}: it is no regular file or folder.', `"$& ${number}"`)
  warnings.add('{} changed.', '"a"')
  const told = warnings.list()
  t.equal(told.length, 102)
  t.equal(told[99], 'Left out "$& 99": it is no regular file or folder.')
  t.same(told.slice(-2), ['"a" changed.', 'Left out 50 more: it is no regular file or folder.'])
})
