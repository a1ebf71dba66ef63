import t from 'tap'
import { deepSeeds } from '../../support/deep.js'
import {
  allRows,
  archive,
  changed,
  finish,
  loadScript,
  mergeLoaded,
  otherRows,
  restore,
  rowsOf
} from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'
import { addNewer, fill, mutate, randomTenants, schemaOf, seeded } from '../../support/random-tenants.js'

// The time is limited by the runner's own limit.
t.setTimeout(0)

let rounds = 0
let failures = 0
let changedRows = 0
let refusals = 0

for (const seed of deepSeeds(4)) {
  rounds += 1
  await t.test(`random schema and data, seed ${seed}`, async t => {
    t.teardown(() => {
      if (!t.passing()) failures += 1
    })
    const random = seeded(seed)
    const tenants = randomTenants(random)
    const live = await createTestDatabase(t)
    const { first, newer } = schemaOf(random, tenants)
    for (const statement of first) await live.sql.unsafe(statement)
    await fill(live.sql, random, tenants)
    const organizationId = tenants.ids[random(3)]!
    const before = await rowsOf(live.sql, organizationId)

    const archived = await archive(live.connection, organizationId)
    const alone = await loadScript(t, archived.script)
    const everything = await allRows(alone.sql)
    t.strictSame(
      everything,
      { ...Object.fromEntries(Object.keys(everything).map(table => [table, []])), ...before },
      'the archive holds that organization alone'
    )

    await addNewer(live.sql, random, tenants, newer)
    await mutate(live.sql, random, tenants)
    const mutated = await rowsOf(live.sql, organizationId)
    const others = await otherRows(live.sql, organizationId)
    const checkpoint = await archive(live.connection, organizationId)
    const merge = async (dryRun: boolean): ReturnType<typeof mergeLoaded> =>
      await mergeLoaded(t, live.connection, alone.connection, archived, { organizationId, dryRun })
    const rehearsal = await merge(true).catch((error: Error & { code?: string }) => error)
    if (!('rollback' in rehearsal)) {
      // Rows of the newer table can hold on to what goes, if their key says so.
      if (tenants.newer === null || rehearsal.code !== 'RESTORE_CONFLICT') throw rehearsal
      refusals += 1
      await t.rejects(merge(false), { code: 'RESTORE_CONFLICT' }, 'refused as rehearsed')
      t.strictSame(
        [await rowsOf(live.sql, organizationId), await otherRows(live.sql, organizationId)],
        [mutated, others]
      )
      return
    }
    await rehearsal.rollback()
    const changes = await finish(await merge(false))
    t.strictSame(changes, changed(rehearsal), 'the rehearsal said what happens')
    changedRows += changes.reduce((sum, { added, changed, removed }) => sum + added + changed + removed, 0)
    const restored = await rowsOf(live.sql, organizationId)
    t.strictSame({ ...restored, ...before }, restored, 'the organization equals the backup')
    t.strictSame(await otherRows(live.sql, organizationId), others, 'every other row is in its place and version')
    const again = await archive(live.connection, organizationId)
    t.strictSame(
      again.dump.tables.filter(({ schema, name }) => before[`${schema}.${name}`] !== undefined),
      archived.dump.tables
    )

    await restore(t, live.connection, checkpoint, { organizationId })
    t.strictSame(await rowsOf(live.sql, organizationId), mutated, 'the undo brings everything back')
    t.strictSame(await otherRows(live.sql, organizationId), others, 'and nothing else')
  })
}

t.comment(
  `${rounds} rounds, ${changedRows} rows put back, ${refusals} refused for a newer table's rows, ${failures} failures`
)
t.ok(changedRows > rounds, 'the mutations were worth a restore')
