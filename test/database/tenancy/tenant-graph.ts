import { join } from 'node:path'
import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import type postgres from 'postgres'
import { quoteIdentifier } from '../../../src/database/identifiers.js'
import { parseTenancy, readTenancyFile, type Tenancy } from '../../../src/database/tenancy/tenancy-file.js'
import { readCatalog, type Catalog } from '../../../src/database/tenancy/tenant-catalog.js'
import {
  buildTenantGraph,
  describeTenancy,
  readTenantGraph,
  TenancyReport
} from '../../../src/database/tenancy/tenant-graph.js'
import type { TenantGraph } from '../../../src/database/tenancy/tenant-table.js'
import { checkOwnership, findViolations, requireTenancy } from '../../../src/database/tenancy/tenant-ownership.js'
import type { AppError } from '../../../src/errors.js'
import { fixtureClasses, loadFixture, tenantTable } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

function pathOf(graph: TenantGraph, table: string): string[] | undefined {
  return describeTenancy(graph).tables.find(described => described.table === table)?.path
}

function classes(graph: TenantGraph): Record<string, string> {
  return Object.fromEntries(graph.tables.map(table => [table.label, table.class]))
}

async function violationsOf(sql: postgres.Sql, organizationId: string, tenancy?: Tenancy): Promise<string[]> {
  const graph = await readTenantGraph(sql, { tenantTable, tenancy })
  const { listed } = await findViolations(sql, graph, organizationId)
  return listed.map(({ table, row, key }) => `${table} ${row} | ${key}`)
}

t.test('classifies every table and says by which path', async t => {
  const { sql } = await createTestDatabase(t)
  await loadFixture(sql)
  const graph = await readTenantGraph(sql, { tenantTable })
  t.strictSame(classes(graph), fixtureClasses, 'views and partitions are not tables of their own')
  t.strictSame(graph.obstacles, [])
  t.strictSame(
    pathOf(graph, 'crm.Comments'),
    [
      'crm.Comments (task_id) → crm.tasks (id)',
      'crm.tasks (organization_id, project) → crm.projects (organization_id, number)',
      'crm.projects (organization_id) → public.organizations (id)'
    ],
    'required keys come before a shorter path that can be null'
  )
  t.strictSame(pathOf(graph, 'public.organizations'), [], 'a cycle does not give the root a path')
  t.match(graph.notes.join('\n'), /crm\.labels reaches[^]*public\.imports .*NOT VALID[^]*public\.countries/)
  t.ok(graph.notes.some(note => note.includes('Audit Log.My "Events" has no key')))
  t.ok(Value.Check(TenancyReport, describeTenancy(graph)))
  t.strictSame(JSON.parse(JSON.stringify(describeTenancy(graph))), describeTenancy(graph))
  for (const organization of ['a', 'b', 'c']) await checkOwnership(sql, graph, organization)
})

t.test("a key that compares periods makes an organization's table an obstacle", async t => {
  const { sql } = await createTestDatabase(t)
  await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY);
    CREATE TABLE rooms (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations);
    CREATE TABLE bookings (room int NOT NULL CONSTRAINT bookings_room REFERENCES rooms);
    CREATE TABLE calendar (day int PRIMARY KEY)`)
  const catalog = await readCatalog(sql)
  t.strictSame(buildTenantGraph(catalog, { tenantTable }).obstacles, [])
  // PostgreSQL before 18 can't make them: test:versions does.
  const changed = (names: string[], periodKeys: string[], key: string): Catalog => ({
    ...catalog,
    tables: catalog.tables.map(table => (names.includes(table.name) ? { ...table, periodKeys } : table)),
    keys: catalog.keys.map(found => (found.name === key ? { ...found, period: true } : found))
  })
  t.match(buildTenantGraph(changed(['rooms'], ['rooms_pkey'], 'bookings_room'), { tenantTable }).obstacles, [
    /public\.rooms .*WITHOUT OVERLAPS: rooms_pkey/,
    /public\.bookings \(room\) → public\.rooms \(id\) .*PERIOD/
  ])
  t.strictSame(
    buildTenantGraph(changed(['calendar'], ['calendar_pkey'], ''), { tenantTable }).obstacles,
    [],
    'a table that belongs to no organization may have one'
  )
})

t.test('constraints that PostgreSQL does not hold its rows to are told', async t => {
  const { sql } = await createTestDatabase(t)
  await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY);
    CREATE TABLE rooms (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations);
    CREATE TABLE bookings (room int NOT NULL CONSTRAINT bookings_room REFERENCES rooms, day int) PARTITION BY LIST (day);
    CREATE TABLE monday PARTITION OF bookings FOR VALUES IN (1);
    CREATE TABLE calendar (day int PRIMARY KEY)`)
  const catalog = await readCatalog(sql)
  const notesOf = (read: Catalog): string[] =>
    buildTenantGraph(read, { tenantTable }).notes.filter(note => !/has no key|No foreign key/.test(note))
  t.strictSame(notesOf(catalog), [])
  await sql.unsafe(
    'ALTER TABLE bookings ADD CONSTRAINT early CHECK (day < 7) NOT VALID; ALTER TABLE monday ADD CONSTRAINT again CHECK (room > 0) NOT VALID; ALTER TABLE calendar ADD CHECK (day < 7) NOT VALID'
  )
  t.match(notesOf(await readCatalog(sql)), [
    /^public\.bookings has constraints that are NOT VALID \(again, early\): the restore/
  ])
  // PostgreSQL before 18 can't make it: test:versions does.
  const keys = catalog.keys.map(found =>
    found.name === 'bookings_room' ? { ...found, enforced: false, validated: false } : found
  )
  t.match(notesOf({ ...catalog, keys }), [/public\.bookings \(room\) → public\.rooms \(id\) is NOT ENFORCED/])
})

t.test('the shortest path wins, then names, whatever the order of creation', async t => {
  const graphs = await Promise.all(
    [
      ['x', 'y'],
      ['y', 'x']
    ].map(async order => {
      const { sql } = await createTestDatabase(t)
      await sql`CREATE TABLE organizations (id uuid PRIMARY KEY)`
      for (const name of order)
        await sql.unsafe(`CREATE TABLE ${name} (id int PRIMARY KEY, org uuid NOT NULL REFERENCES organizations)`)
      await sql`CREATE TABLE z (id int PRIMARY KEY, y int NOT NULL REFERENCES y, x int NOT NULL REFERENCES x, opt uuid REFERENCES organizations)`
      await sql`CREATE TABLE loop_a (id int PRIMARY KEY, b int NOT NULL)`
      await sql`CREATE TABLE loop_b (id int PRIMARY KEY, a int NOT NULL REFERENCES loop_a)`
      await sql`ALTER TABLE loop_a ADD FOREIGN KEY (b) REFERENCES loop_b`
      await sql`CREATE TABLE self (id int PRIMARY KEY, parent int REFERENCES self)`
      return await readTenantGraph(sql, { tenantTable })
    })
  )
  for (const graph of graphs) {
    t.strictSame(pathOf(graph, 'public.z'), [
      'public.z (x) → public.x (id)',
      'public.x (org) → public.organizations (id)'
    ])
    t.match(
      classes(graph),
      { 'public.loop_a': 'global', 'public.loop_b': 'global', 'public.self': 'global' },
      'cycles and self references lead nowhere'
    )
  }
})

t.test("partitions that bear other organizations' names are told", async t => {
  const { sql } = await createTestDatabase(t)
  await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY);
    CREATE TABLE listed (org text NOT NULL REFERENCES organizations) PARTITION BY LIST (org);
    CREATE TABLE secret_plan_of_rival PARTITION OF listed FOR VALUES IN ('rival');
    CREATE TABLE below (org text NOT NULL REFERENCES organizations, at int) PARTITION BY RANGE (at);
    CREATE TABLE below_1 PARTITION OF below FOR VALUES FROM (0) TO (10) PARTITION BY LIST (org);
    CREATE TABLE hashed (org text NOT NULL REFERENCES organizations) PARTITION BY HASH (org);
    CREATE TABLE ranged (org text NOT NULL REFERENCES organizations, at int) PARTITION BY RANGE (at);
    CREATE TABLE by_kind (org text NOT NULL REFERENCES organizations, kind text) PARTITION BY LIST (kind);
    CREATE TABLE nobodys (org text) PARTITION BY LIST (org)`)
  const { notes } = await readTenantGraph(sql, { tenantTable })
  t.match(
    notes.filter(note => note.includes('partitions')),
    [/^public\.below has partitions for organizations/, /^public\.listed has partitions/]
  )
  t.equal(notes.filter(note => note.includes('partitions')).length, 2)
})

t.test('obstacles say what stands in the way', async t => {
  const { sql, user } = await createTestDatabase(t)
  const refused = async (tenancy?: Tenancy): Promise<string> => {
    const graph = await readTenantGraph(sql, { tenantTable, tenancy })
    t.throws(
      () => {
        requireTenancy(graph)
      },
      { code: 'TENANCY_UNSUPPORTED' }
    )
    return graph.obstacles.join('\n')
  }
  t.match(await refused(), /no table "organizations"/)
  await sql`CREATE TABLE organizations (a int, b int, PRIMARY KEY (a, b))`
  t.match(await refused(), /public.organizations has no primary key of one column/)
  await sql`DROP TABLE organizations`
  await sql`CREATE TABLE organizations (id text PRIMARY KEY)`
  await sql`CREATE TABLE things (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations, number int)`
  t.match(await refused({ tables: { nothing: { exclude: true } } }), /"nothing", but there is no such table/)
  t.match(await refused({ tables: { things: { owner: 'nothing' } } }), /no such column/)
  t.match(await refused({ tables: { things: { owner: 'number' } } }), /type is integer, not text/)
  t.match(await refused({ tables: { organizations: { exclude: true } } }), /excludes the tenant table/)
  await sql`ALTER TABLE things ENABLE ROW LEVEL SECURITY`
  await sql`ALTER TABLE things FORCE ROW LEVEL SECURITY`
  t.match(await refused(), /Row level security of public.things/)
  await sql`ALTER TABLE things NO FORCE ROW LEVEL SECURITY`
  await sql.unsafe(`REVOKE ALL ON things FROM ${quoteIdentifier(user)}`)
  t.match(await refused(), /public.things can't be read/)
})

t.test('rows that contradict the rule are listed without their contents', async t => {
  const { sql } = await createTestDatabase(t)
  await loadFixture(sql)
  const [task] = await sql<[{ id: string }]>`SELECT min(id) AS id FROM crm.tasks WHERE organization_id = 'a'`
  const [author] = await sql<[{ id: number }]>`SELECT min(id) AS id FROM users WHERE "organizationId" = 'b'`
  const [comment] = await sql<
    [{ Id: string }]
  >`INSERT INTO crm."Comments" (task_id, author_id, body) VALUES (${task.id}, ${author.id}, 'secret words') RETURNING "Id"`
  const key = 'crm.Comments (author_id) → public.users (id)'
  t.strictSame(
    await violationsOf(sql, 'a'),
    [`crm.Comments Id=${comment.Id} | ${key}`],
    "B's comment on A's task, seen from A"
  )
  t.strictSame(await violationsOf(sql, 'b'), [`public.users id=${author.id} | ${key}`], 'and from B')
  t.strictSame(await violationsOf(sql, 'c'), [])
  const graph = await readTenantGraph(sql, { tenantTable })
  const error = await checkOwnership(sql, graph, 'a').then(
    () => null,
    (error: AppError) => error
  )
  t.match(error, { code: 'TENANCY_VIOLATION', errors: [{ field: 'crm.Comments' }] })
  t.notMatch(JSON.stringify(error?.errors), /secret/)

  t.strictSame(
    await violationsOf(sql, 'a', { tables: { 'crm.Comments': { owner: 'author_id' } } }),
    [],
    'declared rows may cross'
  )
  t.strictSame(await violationsOf(sql, 'a', { tables: { Comments: { exclude: true } } }), [])

  await sql`UPDATE users SET manager_id = ${author.id} WHERE id = (SELECT max(id) FROM users WHERE "organizationId" = 'a')`
  t.equal((await violationsOf(sql, 'a')).length, 2, 'self references are no evidence, but must not cross')
  await sql`UPDATE organizations SET owner_id = ${author.id} WHERE id = 'c'`
  t.strictSame(await violationsOf(sql, 'c'), [
    'public.organizations id=c | public.organizations (owner_id) → public.users (id)'
  ])
})

t.test('many contradictions are counted, not all listed', async t => {
  const { sql } = await createTestDatabase(t)
  await loadFixture(sql)
  await sql`INSERT INTO crm."Comments" (task_id, author_id) SELECT t.id, u.id FROM crm.tasks t, users u, generate_series(1, 5)
    WHERE t.organization_id = 'a' AND u."organizationId" = 'b'`
  const graph = await readTenantGraph(sql, { tenantTable })
  await t.rejects(checkOwnership(sql, graph, 'a'), {
    reason: 'rows-of-several-organizations',
    message: /180/,
    errors: { length: 51 }
  })
})

t.test('a column without a foreign key can be declared', async t => {
  const { sql } = await createTestDatabase(t)
  await loadFixture(sql)
  const graph = await readTenantGraph(sql, {
    tenantTable,
    tenancy: { tables: { imports: { owner: 'organization_id' }, 'crm.labels': { exclude: true } } }
  })
  t.match(classes(graph), { 'public.imports': 'declared', 'crm.labels': 'excluded' })
  t.strictSame(pathOf(graph, 'public.imports'), ['public.imports (organization_id) → public.organizations (id)'])
  await sql`CREATE TABLE loose (owner text)`
  const loose = await readTenantGraph(sql, { tenantTable, tenancy: { tables: { loose: { owner: 'owner' } } } })
  t.strictSame(pathOf(loose, 'public.loose'), ['public.loose (owner) → public.organizations (id)'])
})

t.test('the tenancy file is checked', async t => {
  const folder = t.testdir({ good: '{"tables": {"a.b": {"owner": "c"}, "d": {"exclude": true}}}' })
  t.strictSame(await readTenancyFile(join(folder, 'good')), { tables: { 'a.b': { owner: 'c' }, d: { exclude: true } } })
  await t.rejects(readTenancyFile(join(folder, 'none')), { code: 'CONFIG_INVALID', reason: 'tenancy-file-unreadable' })
  for (const text of [
    '',
    '[]',
    '{}',
    '{"tables": {"a": {}}}',
    '{"tables": {"a": {"owner": ""}}}',
    '{"tables": {"a": {"exclude": false}}}',
    '{"tables": {}, "x": 1}'
  ]) {
    t.throws(() => parseTenancy(text), { code: 'CONFIG_INVALID' }, text)
  }
})
