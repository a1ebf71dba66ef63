import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { TenancyReport } from '../../src/database/tenancy/tenant-graph.js'
import { buildTestApp } from '../support/app.js'
import { fixtureClasses, loadFixture } from '../support/organization.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

async function ask(t: Test, database: TestDatabase, env: NodeJS.ProcessEnv = {}): Promise<TenancyReport> {
  const { app, as } = await buildTestApp(t, { databaseUrl: database.url, env })
  const response = await app.inject({ url: '/api/backup/tenancy', headers: as('OWNER', 'a') })
  t.equal(response.statusCode, 200, response.body)
  return response.json()
}

const classesOf = ({ tables }: TenancyReport): Record<string, string> =>
  Object.fromEntries(tables.map(table => [table.table, table.class]))

t.test("shows each table's class, the path that decides it, and what needs care", async t => {
  const database = await createTestDatabase(t)
  await loadFixture(database.sql)
  const report = await ask(t, database)
  t.equal(report.tenantTable, 'public.organizations')
  t.same(classesOf(report), fixtureClasses)
  t.match(
    report.tables.find(({ table }) => table === 'crm.tasks'),
    {
      path: [
        'crm.tasks (organization_id, project) → crm.projects (organization_id, number)',
        'crm.projects (organization_id) → public.organizations (id)'
      ],
      key: ['id']
    }
  )
  t.same(report.obstacles, [])
  const notes = report.notes.join('\n')
  t.match(
    notes,
    /crm\.labels reaches the tenant table only through keys that can be null: rows without an owner are left out\./
  )
  t.match(notes, /Audit Log\.My "Events" has no key: its rows are compared by their whole content\./)
  t.match(
    notes,
    /public\.imports \(organization_id\) → public\.organizations \(id\) is NOT VALID, so it is no evidence/
  )
  t.match(
    notes,
    /No foreign key leads from these tables to the tenant table.*public\.countries, public\.imports, public\.settings/
  )
  t.notMatch(JSON.stringify(report), /Alpha|@a\.example/, 'no row is told')
})

t.test('says what makes a backup of one organization impossible, and how to go on', async t => {
  const database = await createTestDatabase(t)
  const { sql } = database
  t.match(await ask(t, database), {
    tenantTable: null,
    tables: [],
    obstacles: [/^There is no table "organizations" \(a view is none\): set TENANT_TABLE/]
  })
  await sql`CREATE TABLE organizations (id text, region text, PRIMARY KEY (id, region))`
  t.match(await ask(t, database), {
    obstacles: ['public.organizations has no primary key of one column, so an organization has no single id.']
  })
  await sql`CREATE TABLE tenants (id text PRIMARY KEY)`
  await sql`CREATE TABLE things (tenant text NOT NULL REFERENCES tenants)`
  await sql`ALTER TABLE things ENABLE ROW LEVEL SECURITY`
  await sql`ALTER TABLE things FORCE ROW LEVEL SECURITY`
  const report = await ask(t, database, { TENANT_TABLE: 'tenants' })
  t.equal(report.tenantTable, 'public.tenants')
  t.match(report.obstacles, [/^Row level security of public\.things hides rows .* BYPASSRLS/])
})

t.test("takes the operator's word, and says what is wrong with it", async t => {
  const database = await createTestDatabase(t)
  await loadFixture(database.sql)
  const file = join(t.testdir({}), 'tenancy.json')
  await writeFile(
    file,
    JSON.stringify({
      tables: {
        'crm.Comments': { owner: 'author_id' },
        imports: { owner: 'organization_id' },
        'crm.labels': { exclude: true }
      }
    })
  )
  const declared = await ask(t, database, { TENANCY_FILE: file })
  t.match(classesOf(declared), { 'crm.Comments': 'declared', 'public.imports': 'declared', 'crm.labels': 'excluded' })
  t.same(declared.obstacles, [])
  t.match(declared.notes.join('\n'), /TENANCY_FILE leaves these tables out: crm\.labels\./)

  await writeFile(
    file,
    JSON.stringify({
      tables: {
        'crm.nothing': { exclude: true },
        'crm.tasks': { owner: 'nobody' },
        countries: { owner: 'code' },
        settings: { owner: 'value' }
      }
    })
  )
  const wrong = await ask(t, database, { TENANCY_FILE: file })
  t.match(wrong.obstacles.join('\n'), /TENANCY_FILE names "crm\.nothing", but there is no such table\./)
  t.match(
    wrong.obstacles.join('\n'),
    /TENANCY_FILE declares crm\.tasks by "nobody", but the table has no such column\./
  )
  t.match(
    wrong.obstacles.join('\n'),
    /TENANCY_FILE declares settings by "value", but its type is json, not text as the organization's id\./
  )
})

t.test('a database that is down is told', async t => {
  const { app, as } = await buildTestApp(t)
  t.match((await app.inject({ url: '/api/backup/tenancy', headers: as() })).json(), {
    statusCode: 503,
    code: 'DATABASE_UNAVAILABLE'
  })
  t.equal((await app.inject({ url: '/api/backup/tenancy', headers: as('MANAGER') })).statusCode, 403)
})
