import t from 'tap'
import { allRows, archive, loadScript, otherRows, restore, rowsOf } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'
import { fill, mutate, randomTenants, schemaOf, seeded } from '../../support/random-tenants.js'

// ORGANIZATION_ROUNDS=300 ORGANIZATION_SEED=1 for a long run; a failure names its seed.
const rounds = Number(process.env.ORGANIZATION_ROUNDS ?? 10)
const firstSeed = Number(process.env.ORGANIZATION_SEED ?? 1)
t.setTimeout(60_000 + rounds * 15_000)

let failures = 0
let changedRows = 0

for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
  await t.test(`random schema and data, seed ${seed}`, async (t) => {
    t.teardown(() => { if (!t.passing()) failures += 1 })
    const random = seeded(seed)
    const tenants = randomTenants(random)
    const live = await createTestDatabase(t)
    for (const statement of schemaOf(random, tenants)) await live.sql.unsafe(statement)
    await fill(live.sql, random, tenants)
    const organizationId = tenants.ids[random(3)]!
    const before = await rowsOf(live.sql, organizationId)

    const archived = await archive(live.connection, organizationId)
    const { sql: alone } = await loadScript(t, archived.script)
    const everything = await allRows(alone)
    t.strictSame(everything, { ...Object.fromEntries(Object.keys(everything).map((table) => [table, []])), ...before }, 'the archive holds that organization alone')

    await mutate(live.sql, random, tenants)
    const others = await otherRows(live.sql, organizationId)
    const changes = await restore(t, live.connection, archived, { organizationId })
    changedRows += changes.reduce((sum, { added, changed, removed }) => sum + added + changed + removed, 0)
    t.strictSame(await rowsOf(live.sql, organizationId), before, 'the organization equals the backup')
    t.strictSame(await otherRows(live.sql, organizationId), others, 'every other row is in its place and version')
    const again = await archive(live.connection, organizationId)
    t.strictSame(again.dump.tables, archived.dump.tables)
  })
}

t.comment(`${rounds} rounds from seed ${firstSeed}, ${changedRows} rows put back, ${failures} failures`)
t.ok(changedRows > rounds, 'the mutations were worth a restore')
