import t from 'tap'
import { deepSeeds } from '../support/deep.js'
import { oddCycle, oddModes, oddNames } from '../support/odd-names.js'

let [names, cycles] = [0, 0]
for (const seed of deepSeeds(1)) {
  for (const mode of oddModes) {
    await t.test(`odd names, ${mode}, seed ${seed}`, async t => {
      names += await oddCycle(t, mode, seed)
    })
    cycles += 1
  }
}
t.comment(`${names} names of ${oddNames.length} kinds, in ${cycles} cycles`)
