import t from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { renameDatabases } from '../../src/database/swap.js'
import { startCluster, type TestCluster } from '../support/postgres.js'
import { setUpTenants, type Tenants, type TenantsOptions } from '../support/tenants.js'
import type { Test } from 'tap'
import { untilIdle } from '../support/work.js'

let cluster: TestCluster

t.before(async () => {
  cluster = await startCluster(t, { settings: { wal_level: 'logical', max_prepared_transactions: '5' } })
})

async function setUp(
  t: Test,
  database: TenantsOptions['database'] = {}
): Promise<Tenants & { admin: (...statements: string[]) => Promise<void> }> {
  const tenants = await setUpTenants(t, { ids: ['acme'], database: { cluster: cluster.files, ...database } })
  return {
    ...tenants,
    // One by one: some of them can't be in a transaction with others.
    admin: async (...statements) => {
      await withSql(parseConnectionUrl(tenants.database.adminUrl), {}, async sql => {
        for (const statement of statements) await sql.unsafe(statement)
      })
    }
  }
}

t.test('a prepared transaction is named, before anything is begun', async t => {
  for (const createdb of [true, false]) {
    const tenants = await setUp(t, { createdb, createrole: createdb })
    const backup = await tenants.create('database')
    const {
      database: { connection, name }
    } = tenants
    await withSql(connection, {}, async sql => {
      await sql.unsafe(`BEGIN; UPDATE users SET "fullName" = 'half way'; PREPARE TRANSACTION 'the payroll of ${name}'`)
    })
    t.teardown(async () => {
      await withSql(connection, {}, async sql => {
        await sql.unsafe(`ROLLBACK PREPARED 'the payroll of ${name}'`)
      }).catch(() => {})
    })
    for (const dryRun of [true, false]) {
      const refused = await tenants.post<{ errors: unknown[] }>(`restore/${backup.id}`, { dryRun }, 409)
      t.match(refused, {
        code: 'PREFLIGHT_FAILED',
        errors: [{ reason: 'prepared-transaction', message: new RegExp(`'the payroll of ${name}'`) }]
      })
      t.equal(refused.errors.length, 1)
    }
    t.same(await tenants.restores(), [])
    if (createdb) {
      await t.rejects(
        renameDatabases(connection, [{ from: name, to: `${name}_checkpoint` }]),
        {
          code: 'DATABASE_BUSY',
          message: new RegExp(`'the payroll of ${name}'`),
          remedy: /ROLLBACK PREPARED/
        },
        'one that comes later'
      )
    }
    await withSql(connection, {}, async sql => {
      await sql.unsafe(`ROLLBACK PREPARED 'the payroll of ${name}'`)
    })
    await tenants.restore(backup.id)
  }
})

t.test('a subscription keeps the database from being exchanged or dropped', async t => {
  const tenants = await setUp(t)
  const backup = await tenants.create('database')
  await tenants.admin(
    'CREATE SUBSCRIPTION "from the head office" CONNECTION \'host=127.0.0.1\' PUBLICATION everything WITH (connect = false, slot_name = NONE)'
  )
  t.match(await tenants.post(`restore/${backup.id}`, { dryRun: true }, 409), {
    code: 'PREFLIGHT_FAILED',
    errors: [{ reason: 'subscription', message: /"from the head office"/ }]
  })
  await tenants.admin('DROP SUBSCRIPTION "from the head office"')
  await tenants.restore(backup.id)
})

t.test('what stays with the former database is told, and keeps nobody from dropping it', async t => {
  const tenants = await setUp(t)
  const {
    database: { name }
  } = tenants
  const backup = await tenants.create('database')
  await tenants.admin(
    "SELECT pg_create_logical_replication_slot('to_the_warehouse', 'pgoutput')",
    `ALTER DATABASE ${name} IS_TEMPLATE true`
  )
  for (const dryRun of [true, false]) {
    const { report } = await tenants.restore(backup.id, { dryRun })
    t.match(report.warnings, [
      /slot "to_the_warehouse" stays with the former database/,
      /is a template, and the restored one is none/
    ])
  }
  const again = await tenants.restore(backup.id)
  t.match(again.report.warnings, [/^Only the newest restore can be undone/], 'it is another database now')
  t.equal(again.report.warnings.length, 1)
  // The first checkpoint is dropped after the answer.
  await untilIdle(tenants.jobs)
  await withSql(cluster.connection, {}, async sql => {
    const databases = await sql<
      Array<{ datname: string }>
    >`SELECT datname FROM pg_database WHERE datdba = (SELECT oid FROM pg_roles WHERE rolname = ${name}) ORDER BY 1`
    t.match(
      databases.map(({ datname }) => datname),
      [/^dab_checkpoint_/, name],
      'the first checkpoint is gone'
    )
    t.same([...(await sql`SELECT slot_name FROM pg_replication_slots`)], [])
  })
})
