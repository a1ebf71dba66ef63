import t from 'tap'
import { oddCycle, oddModes, oddNames } from '../support/odd-names.js'

let names = 0
for (const [index, mode] of oddModes.entries()) {
  await t.test(`everything bears an odd name, and is backed up, restored (${mode}) and undone`, async t => {
    names += await oddCycle(t, mode, index + 1)
  })
}
t.comment(`${names} names of ${oddNames.length} kinds, in 3 cycles`)
