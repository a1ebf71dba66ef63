import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { rowsOf } from '../support/organization.js'
import { databaseFingerprint } from '../support/restore-site.js'
import { leftOvers, readArchived, setUpTenants, type Tenants } from '../support/tenants.js'

t.test('an organization that is alone has the whole database backed up, until another comes', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme'] })
  const {
    database: { sql }
  } = tenants
  const backup = await tenants.create()
  t.equal(backup.databaseScope, 'instance')
  const swapped = await tenants.restore(backup.id)
  t.equal(swapped.report.database?.mode, 'swap')
  await sql`INSERT INTO organizations VALUES ('globex-secret', 'Globex', now())`
  const refused = await tenants.post<{ message: string }>(`restore/${backup.id}`, { dryRun: true }, 409)
  t.match(refused, { code: 'OTHER_ORGANIZATIONS_AFFECTED', reason: 'other-organizations' })
  t.notMatch(JSON.stringify(refused), /globex/i)
  t.match(await tenants.post(`restores/${swapped.restoreId}/undo`, undefined, 409), {
    code: 'OTHER_ORGANIZATIONS_AFFECTED',
    reason: 'other-organizations'
  })
  t.same(
    (await sql`SELECT id FROM organizations ORDER BY id`).map(({ id }) => id as string),
    ['acme', 'globex-secret']
  )
  t.equal((await tenants.create()).databaseScope, 'organization')
})

t.test('whoever is not in the database gets nothing of those who are', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme'] })
  t.match(await tenants.post('create', { type: 'full' }, 404, 'globex'), { code: 'ORGANIZATION_NOT_FOUND' })
})

t.test('the operator can set the scope', async t => {
  const whole = await setUpTenants(t, { env: { DATABASE_SCOPE: 'instance' } })
  const backup = await whole.create()
  t.equal(backup.databaseScope, 'instance')
  t.equal((await whole.restore(backup.id)).report.database?.mode, 'swap')
  const one = await setUpTenants(t, { ids: ['acme'], env: { DATABASE_SCOPE: 'organization' } })
  t.equal((await one.create()).databaseScope, 'organization')
})

t.test(
  "where tables are there and TENANT_TABLE can't tell whose they are, nothing is backed up or restored",
  async t => {
    const ways: Record<string, string> = {
      renamed: 'ALTER TABLE organizations RENAME TO tenants',
      'a view in its place':
        "ALTER TABLE organizations RENAME TO tenants; CREATE VIEW organizations AS SELECT * FROM tenants WHERE id = 'acme'",
      'a materialized view in its place':
        "ALTER TABLE organizations RENAME TO tenants; CREATE MATERIALIZED VIEW organizations AS SELECT * FROM tenants WHERE id = 'acme'",
      'no key of one column': `ALTER TABLE organizations ADD region text DEFAULT 'eu';
      ALTER TABLE organizations DROP CONSTRAINT organizations_pkey CASCADE; ALTER TABLE organizations ADD PRIMARY KEY (id, region)`,
      'no key at all': 'ALTER TABLE organizations DROP CONSTRAINT organizations_pkey CASCADE'
    }
    for (const [way, sql] of Object.entries(ways)) {
      await t.test(way, async t => {
        const tenants = await setUpTenants(t, { ids: ['acme'] })
        const backup = await tenants.create('database')
        await tenants.database.sql.unsafe(sql)
        const before = await rowsNow(tenants)
        const refused = {
          code: 'TENANCY_UNSUPPORTED',
          reason: 'organizations-uncountable',
          remedy: /TENANT_TABLE.*DATABASE_SCOPE=instance/
        }
        for (const organizationId of ['acme', 'nobody'])
          t.match(await tenants.post('create', { type: 'database' }, 409, organizationId), refused)
        for (const dryRun of [true, false])
          t.match(await tenants.post(`restore/${backup.id}`, { dryRun }, 409), refused)
        t.equal(await rowsNow(tenants), before)
      })
    }
    const meant = await setUpTenants(t, { env: { TENANT_TABLE: 'organisations', DATABASE_SCOPE: 'instance' } })
    const backup = await meant.create('database')
    t.match(backup, { databaseScope: 'instance', warnings: [] }, 'the operator has said that it is meant')
    await meant.restore(backup.id)
  }
)

t.test('an organization without its row gets no backup, but can bring the row back', async t => {
  for (const createdb of [true, false]) {
    const tenants = await setUpTenants(t, { ids: ['acme'], database: { createdb, createrole: createdb } })
    const backup = await tenants.create('database')
    const before = await rowsNow(tenants)
    await tenants.database.sql`TRUNCATE organizations CASCADE`
    const after = await rowsNow(tenants)
    for (const organizationId of ['acme', 'nobody']) {
      t.match(await tenants.post('create', { type: 'full' }, 404, organizationId), {
        code: 'ORGANIZATION_NOT_FOUND',
        reason: 'organization-without-row',
        message: /public\.organizations/,
        remedy: /^If the organization was deleted, restore one of its backups/
      })
    }
    const { restoreId } = await tenants.restore(backup.id)
    t.equal(await rowsNow(tenants), before)
    await tenants.post(`restores/${restoreId}/undo`)
    t.equal(await rowsNow(tenants), after, createdb ? 'swap' : 'in-place')
  }
})

t.test("a database without tables is nobody's yet", async t => {
  const tenants = await setUpTenants(t, { ids: ['acme'] })
  const backup = await tenants.create('database')
  const before = await rowsNow(tenants)
  await tenants.database.sql`DROP SCHEMA public CASCADE`
  t.match(await tenants.create('database'), { databaseScope: 'instance', warnings: [] })
  await tenants.restore(backup.id)
  t.equal(await rowsNow(tenants), before)
})

/** Every row of the database, whoever owns it. */
async function rowsNow({ database: { connection } }: Tenants): Promise<string> {
  return await databaseFingerprint(connection)
}

t.test(
  'rows that two organizations have a claim on refuse the backup, until the operator says whose they are',
  async t => {
    const file = join(t.testdir({}), 'tenancy.json')
    await writeFile(file, '{"tables": {}}')
    const tenants = await setUpTenants(t, { env: { TENANCY_FILE: file } })
    const {
      database: { sql }
    } = tenants
    await sql`INSERT INTO comments VALUES ('stray', 'acme-asset-1', 'globex-user-1', 'the secret of globex', now())`
    const refused = await tenants.post('create', { type: 'database' }, 409)
    t.match(refused, {
      code: 'TENANCY_VIOLATION',
      remedy: /TENANCY_FILE/,
      errors: [{ field: 'public.comments', reason: 'claimed-twice', message: /id=stray.*authorId/ }]
    })
    t.notMatch(JSON.stringify(refused), /secret of globex/)
    await writeFile(file, '{"tables": {"comments": {"owner": "assetId"}}}')
    const backup = await tenants.create('database')
    t.match((await readArchived(tenants, backup)).sql, /the secret of globex/)
    const before = await rowsOf(sql, 'acme', { tables: { comments: { owner: 'assetId' } } })
    await sql`DELETE FROM comments WHERE id = 'stray'`
    await tenants.restore(backup.id)
    t.same(await rowsOf(sql, 'acme', { tables: { comments: { owner: 'assetId' } } }), before)
    await sql`DELETE FROM users WHERE id = 'globex-user-1'`
    t.match(await tenants.post(`restore/${backup.id}`, {}, 409), { code: 'RESTORE_CONFLICT' })
    await writeFile(file, '{"tables": {"comments": {"exclude": true}}}')
    t.notMatch((await readArchived(tenants, await tenants.create('database'))).sql, /Très bien/)
  }
)

t.test('a schema that has moved on', async t => {
  const tenants = await setUpTenants(t)
  const {
    database: { sql }
  } = tenants
  const backup = await tenants.create('database')
  await sql`ALTER TABLE assets ADD COLUMN colour text`
  await sql`CREATE TABLE reports (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations)`
  await sql`UPDATE assets SET name = 'oops', colour = 'red' WHERE "organizationId" = 'acme'`
  const { report } = await tenants.restore(backup.id)
  t.match(
    report.database?.tables.find(({ table }) => table === 'public.assets'),
    { note: /colour/, changed: 8 }
  )
  t.match(report.warnings.join('\n'), /public\.reports: The backup does not have this table/)
  await sql`ALTER TABLE users DROP COLUMN preferences`
  await sql`ALTER TABLE components ALTER COLUMN quantity TYPE bigint`
  const refused = await tenants.post<{ errors: object[] }>(`restore/${backup.id}`, { dryRun: true }, 409)
  t.match(refused, { code: 'SCHEMA_DRIFT' })
  t.match(
    JSON.stringify(refused.errors),
    /public\.users has no column preferences any more.*|quantity as integer, which is bigint now/
  )
  t.equal(refused.errors.length, 2, 'all of it at once')
  t.same(await leftOvers(tenants.database), [])
})

t.test('tables in partitions come back too', async t => {
  const tenants = await setUpTenants(t)
  const {
    database: { sql }
  } = tenants
  await sql.unsafe(`CREATE TABLE readings (org text NOT NULL REFERENCES organizations, at int NOT NULL, PRIMARY KEY (org, at)) PARTITION BY RANGE (at);
    CREATE TABLE readings_low PARTITION OF readings FOR VALUES FROM (0) TO (10);
    CREATE TABLE readings_high PARTITION OF readings FOR VALUES FROM (10) TO (100);
    INSERT INTO readings SELECT o.id, n FROM organizations o, generate_series(5, 15) n`)
  const before = await tenants.state()
  const backup = await tenants.create()
  await sql`DELETE FROM readings WHERE org = 'acme' AND at IN (7, 12)`
  const { report } = await tenants.restore(backup.id)
  t.match(
    report.database?.tables.find(({ table }) => table === 'public.readings'),
    { rows: 11, added: 2 }
  )
  t.same(await tenants.state(), before)
})
