import t from 'tap'
import { deepSeeds } from '../support/deep.js'
import { runWithRandomSettings } from '../support/random-settings.js'

t.setTimeout(0)

t.test('random settings of database and role change nothing of what a restore brings back', async t => {
  const sums = { databases: 0, set: 0, refusedByPostgres: 0, undone: 0 }
  for (const seed of deepSeeds(2)) {
    const run = await runWithRandomSettings(t, seed)
    t.same([run.different, run.refusals], [[], []], `seed ${seed}: ${run.settings.join('; ')}`)
    sums.databases += 1
    sums.set += run.set
    sums.refusedByPostgres += run.refusedByPostgres
    sums.undone += run.undone ? 1 : 0
  }
  t.comment(
    `${sums.databases} databases: ${sums.set} settings set, ${sums.refusedByPostgres} not taken by PostgreSQL, ${sums.undone} undone too`
  )
})
