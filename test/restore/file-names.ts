import t from 'tap'
import { nameCycle } from '../support/file-names.js'

t.test('files with names of every kind are the same, byte for byte, after a restore', async t => {
  t.comment(`${await nameCycle(t, 1)} names went through a backup and a restore`)
})
