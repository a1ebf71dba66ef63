import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { openSql, withSql, type Connection } from '../../src/database/connection/connection.js'
import { createScratch, dropScratch } from '../../src/database/load/scratch.js'
import { renameDatabases } from '../../src/database/swap.js'
import { expireCheckpoints } from '../../src/restore/recover.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { testJob } from '../support/job.js'
import { createTestDatabase, startCluster } from '../support/postgres.js'
import { coreOf, createFolders, leftovers, organizationId } from '../support/restore-site.js'
import { restoresOf } from '../support/restores.js'

/** A worker that is in every database with a changed table within a second, and that stays for minutes. */
const busy = {
  autovacuum: 'on',
  autovacuum_naptime: '1s',
  autovacuum_vacuum_cost_delay: '100ms',
  autovacuum_vacuum_cost_limit: '1',
  autovacuum_vacuum_insert_threshold: '10',
  autovacuum_vacuum_insert_scale_factor: '0',
  autovacuum_vacuum_threshold: '10',
  autovacuum_vacuum_scale_factor: '0'
}
const rows = 20_000
const cluster = await startCluster(t, { settings: busy })

/** Waits until an autovacuum worker is in the database. */
async function untilVacuumed(admin: Connection, database: string): Promise<void> {
  await withSql(admin, {}, async sql => {
    for (let found = 0; found === 0;) {
      found = (
        await sql`SELECT FROM pg_stat_activity WHERE datname = ${database} AND backend_type = 'autovacuum worker'`
      ).length
    }
  })
}

t.test('a scratch database with an autovacuum worker in it is renamed, and dropped', async t => {
  const { connection } = await createTestDatabase(t, { cluster: cluster.files })
  const suffix = randomBytes(16).toString('hex')
  const names = { database: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
  const { loader } = await createScratch(
    connection,
    names,
    { encoding: 'UTF8', collate: 'C', ctype: 'C', localeProvider: 'c', icuLocale: null },
    1 << 30
  )
  await withSql(connection, { database: names.database, ...loader! }, async sql => {
    await sql.unsafe(`CREATE TABLE made AS SELECT n, repeat('x', 200) AS t FROM generate_series(1, ${rows}) n`)
  })
  await untilVacuumed(cluster.connection, names.database)
  const renamed = `${names.database}_2`
  await renameDatabases(connection, [{ from: names.database, to: renamed }])
  await untilVacuumed(cluster.connection, renamed)
  await dropScratch(connection, { database: renamed, loader: names.loader })
  t.same(
    await withSql(connection, {}, async sql => [
      ...(await sql`SELECT datname FROM pg_database WHERE starts_with(datname, 'dab_')`),
      ...(await sql`SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'dab_')`)
    ]),
    []
  )
})

for (const scope of ['instance', 'organization'] as const) {
  t.test(`a ${scope} restore and its rehearsal end well while autovacuum works in every database`, async t => {
    const { url, sql, user } = await createTestDatabase(t, { cluster: cluster.files })
    await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('acme'), ('globex');
      CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations, t text);
      INSERT INTO items SELECT n, 'acme', repeat('x', 200) FROM generate_series(1, ${rows}) n`)
    const core = coreOf({ ...(await createFolders(t, url)), scope })
    const { id } = await createBackup(
      core,
      { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
      testJob()
    )
    await sql.unsafe('DELETE FROM items WHERE id > 10')
    await sql.end()
    const request = {
      organizationId,
      backupId: id,
      validateChecksum: false,
      rollbackOnFailure: true,
      dryRun: false,
      startedBy: 't'
    }
    await restoreBackup(core, { ...request, dryRun: true }, testJob({ core }))
    const { restoreId } = await restoreBackup(core, request, testJob({ core }))
    const count = async (): Promise<number> =>
      await withSql(core.database.connection(), {}, async own =>
        Number((await own`SELECT count(*) AS n FROM items`)[0]!.n)
      )
    t.equal(await count(), rows)
    await undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core }))
    t.equal(await count(), 10)
    t.same(await leftovers(core, user), [])
  })

  t.test(
    `a superuser's session in the scratch database of a ${scope} rehearsal fails nothing, and what is left goes later`,
    async t => {
      const { url, sql, user } = await createTestDatabase(t, { cluster: cluster.files })
      await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('acme'), ('globex');
      CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations); INSERT INTO items VALUES (1, 'acme')`)
      await sql.end()
      const core = coreOf({ ...(await createFolders(t, url)), scope })
      const { id } = await createBackup(
        core,
        { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
        testJob()
      )
      const request = {
        organizationId,
        backupId: id,
        validateChecksum: false,
        rollbackOnFailure: true,
        dryRun: true,
        startedBy: 't'
      }
      const intruder = enter(cluster.connection, user)
      await restoreBackup(core, request, testJob({ core }))
      const session = await intruder
      t.match(await restoresOf(core, organizationId), [{ state: 'rehearsed' }])
      t.match(
        await leftovers(core, user),
        [/^dab_restore_/, ...(scope === 'organization' ? [/^dab_loader_/] : [])],
        'the database is still there'
      )
      await restoreBackup(core, request, testJob({ core }))
      t.match(
        await restoresOf(core, organizationId),
        [{ state: 'rehearsed' }, { state: 'rehearsed' }],
        'the next one works'
      )
      await session.end()
      await expireCheckpoints(core)
      t.same(await leftovers(core, user), [], 'upkeep has removed it')
    }
  )
}

/** A superuser's session in the scratch database, from when it is there on. */
async function enter(admin: Connection, user: string): Promise<ReturnType<typeof openSql>> {
  const database = await withSql(admin, {}, async sql => {
    for (;;) {
      const [found] = await sql<
        Array<{ name: string }>
      >`SELECT datname AS name FROM pg_database WHERE starts_with(datname, 'dab_restore_')
        AND (pg_get_userbyid(datdba) = ${user} OR starts_with(pg_get_userbyid(datdba), 'dab_loader_'))`
      if (found !== undefined) return found.name
    }
  })
  const session = openSql({ ...admin, database })
  await session`SELECT`
  return session
}
