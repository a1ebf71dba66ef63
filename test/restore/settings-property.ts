import t from 'tap'
import { runWithRandomSettings, type SettingsRun } from '../support/random-settings.js'

/** Of a longer run in test/deep/settings.ts. */
const seeds = [1, 2, 3]

t.test('random settings of database and role change nothing of what a restore brings back', async t => {
  const runs: SettingsRun[] = []
  for (const seed of seeds) {
    const run = await runWithRandomSettings(t, seed)
    t.same([run.different, run.refusals], [[], []], `seed ${seed}: ${run.settings.join('; ')}`)
    runs.push(run)
  }
  const sum = (count: (run: SettingsRun) => number): number => runs.reduce((total, run) => total + count(run), 0)
  t.comment(`${runs.length} databases: ${sum(({ set }) => set)} settings set, ${sum(({ refusedByPostgres }) => refusedByPostgres)} not taken by PostgreSQL, ${sum(({ undone }) => undone ? 1 : 0)} undone too`)
})
