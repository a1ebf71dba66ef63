import t from 'tap'
import { deepSeeds } from '../support/deep.js'
import { nameCycle } from '../support/file-names.js'

let names = 0
for (const seed of deepSeeds(1))
  await t.test(`names of every kind, seed ${seed}`, async t => {
    names += await nameCycle(t, seed)
  })
t.comment(`${names} names went through a backup and a restore`)
