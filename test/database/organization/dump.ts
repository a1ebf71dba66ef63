import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { openSql } from '../../../src/database/connection/connection.js'
import { openOrganizationDump } from '../../../src/database/organization/dump.js'
import { openSnapshot } from '../../../src/database/snapshot.js'
import { allRows, archive, loadScript, openFixture, rowsOf, tenantTable, tools } from '../../support/organization.js'

t.test('the script loads by itself and then holds that organization alone', async t => {
  const { live } = await openFixture(t)
  for (const organization of ['a', 'b']) {
    const { script, dump } = await archive(live.connection, organization)
    const { sql } = await loadScript(t, script)
    const expected = await rowsOf(live.sql, organization)
    t.strictSame(await allRows(sql), {
      ...expected,
      'public.countries': [],
      'public.settings': [],
      'public.imports': []
    })
    t.strictSame(
      Object.fromEntries(dump.tables.map(({ schema, name, rows }) => [`${schema}.${name}`, rows])),
      Object.fromEntries(Object.entries(expected).map(([table, rows]) => [table, rows.length]))
    )
    t.ok(
      Object.values(expected).every(rows => rows.length > 0),
      'every table has rows'
    )
    t.notOk(script.toString().includes(`@${organization === 'a' ? 'b' : 'a'}.example`))
    t.ok(dump.warnings.some(warning => warning.startsWith('2 rows of crm.labels have no owner')))
    t.strictSame(
      (await archive(live.connection, organization)).script.toString().replace(/^\\(un)?restrict .*$/gm, ''),
      script.toString().replace(/^\\(un)?restrict .*$/gm, ''),
      'the same rows make the same script'
    )
    t.equal(script.toString().match(/^\\restrict /gm)?.length, 1)
    t.match(script.toString(), /^\\unrestrict \w+\n+$/m)

    const [country] = await sql<
      [{ convalidated: boolean }]
    >`SELECT convalidated FROM pg_constraint WHERE conname = 'users_country_fkey'`
    t.equal(country.convalidated, false, "a key to rows that are not in the archive can't be valid in it")
    const [manager] = await sql<
      [{ convalidated: boolean }]
    >`SELECT convalidated FROM pg_constraint WHERE conname = 'users_manager_id_fkey'`
    t.equal(manager.convalidated, true)
    const [next] = await sql<
      [{ id: number }]
    >`INSERT INTO public.users ("organizationId", email) VALUES (${organization}, 'new') RETURNING id`
    const [last] = await live.sql<[{ last: string }]>`SELECT last_value AS last FROM public.users_id_seq`
    t.equal(next.id, Number(last.last) + 1, 'sequences go on where they were')
  }
})

t.test('a text that looks like a key is none, and a key left out has a name of any letters', async t => {
  const { live } = await openFixture(t)
  const [{ key }] = await live.sql.begin(async sql => {
    await sql`SET LOCAL search_path = ''`
    return await sql<
      [{ key: string }]
    >`SELECT E'\n\nALTER TABLE ONLY public.users\n    ADD CONSTRAINT users_country_fkey ' || pg_get_constraintdef(oid) || E';\n' AS key FROM pg_constraint WHERE conname = 'users_country_fkey'`
  })
  await live.sql.unsafe(`COMMENT ON CONSTRAINT users_country_fkey ON public.users IS '${key}'`)
  await live.sql
    .unsafe(`CREATE TABLE "\u00e0 la\ncarte" (org text NOT NULL REFERENCES public.organizations, country text) PARTITION BY LIST (org);
    ALTER TABLE "\u00e0 la\ncarte" ADD CONSTRAINT "\u00e0" FOREIGN KEY (country) REFERENCES public.countries;
    COMMENT ON CONSTRAINT "\u00e0" ON "\u00e0 la\ncarte" IS 'where; it''s from'`)
  const { script } = await archive(live.connection, 'a')
  t.match(script.toString(), /^-- A foreign key of "\u00e0 la carte" is left out/m)
  const { sql } = await loadScript(t, script)
  t.match(
    await sql`SELECT convalidated AS valid, obj_description(oid, 'pg_constraint') AS comment FROM pg_constraint WHERE conname = 'users_country_fkey'`,
    [{ valid: false, comment: key }]
  )
})

t.test('an organization without rows, and one that is not there', async t => {
  const { live } = await openFixture(t)
  await live.sql`INSERT INTO public.organizations (id, name) VALUES ('empty', 'Empty')`
  const { script, dump } = await archive(live.connection, 'empty')
  t.equal(
    dump.tables.reduce((sum, { rows }) => sum + rows, 0),
    1
  )
  const { sql } = await loadScript(t, script)
  t.equal((await sql`SELECT FROM public.organizations`).length, 1)
  await t.rejects(archive(live.connection, 'nobody'), { code: 'ORGANIZATION_NOT_FOUND' })
})

function pipes(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'PipeWrap').length
}

t.test('a dump that nobody reads ends its program', async t => {
  const { live } = await openFixture(t)
  await live.sql`INSERT INTO users (id, "organizationId", email) SELECT 10000 + n, 'a', repeat('x', 100) || n FROM generate_series(1, 20000) n`
  const before = pipes()
  const snapshot = await openSnapshot(live.connection)
  const signal = new AbortController().signal
  const dump = await openOrganizationDump({
    connection: live.connection,
    tools,
    snapshot,
    organizationId: 'a',
    tenantTable,
    signal
  })
  t.ok(pipes() > before)
  await dump.script.return(undefined)
  dump.close()
  await snapshot.close()
  while (pipes() > before) await delay(10)
  t.equal(pipes(), before)
})

t.test('rows that two organizations claim refuse the dump, unless they are declared', async t => {
  const { live } = await openFixture(t)
  await live.sql`INSERT INTO crm."Comments" (task_id, author_id, body) SELECT min(t.id), min(u.id), 'foreign words' FROM crm.tasks t, users u
    WHERE t.organization_id = 'a' AND u."organizationId" = 'b'`
  await t.rejects(archive(live.connection, 'a'), { code: 'TENANCY_VIOLATION' })
  await t.rejects(archive(live.connection, 'b'), { code: 'TENANCY_VIOLATION' })
  const before = pipes()
  for (let n = 0; n < 3; n += 1) await t.rejects(archive(live.connection, 'a'), { code: 'TENANCY_VIOLATION' })
  while (pipes() > before) await delay(10)
  t.equal(pipes(), before, 'a refused dump leaves no pipe open')
  await archive(live.connection, 'c')

  const tenancy = { tables: { 'crm.Comments': { owner: 'task_id' } } }
  const { script } = await archive(live.connection, 'a', tenancy)
  const { sql } = await loadScript(t, script)
  t.strictSame(
    await rowsOf(sql, 'a', tenancy),
    await rowsOf(live.sql, 'a', tenancy),
    'loads, though the author is not there'
  )
  t.match(script.toString(), /foreign words/)
  t.notMatch((await archive(live.connection, 'b', tenancy)).script.toString(), /foreign words/)
})

t.test('a table is not changed while it is dumped', async t => {
  const { live } = await openFixture(t)
  const expected = await rowsOf(live.sql, 'a')
  const snapshot = await openSnapshot(live.connection)
  t.teardown(async () => await snapshot.close())
  const signal = new AbortController().signal
  const dump = await openOrganizationDump({ ...live, tools, snapshot, organizationId: 'a', tenantTable, signal })
  const other = openSql(live.connection)
  t.teardown(async () => await other.end({ timeout: 1 }))
  // Rewrites the table: a snapshot taken before would see it empty afterwards.
  const altered = other`ALTER TABLE crm.tasks ALTER cost TYPE text`.execute()
  await live.sql`INSERT INTO crm.labels (organization_id, name) VALUES ('a', 'too late')`
  for (;;) {
    const waiting = await live.sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'crm.tasks'::regclass`
    if (waiting.length > 0) break
  }
  const chunks: Buffer[] = []
  for await (const chunk of dump.script) chunks.push(chunk)
  await snapshot.close()
  await altered
  const { sql } = await loadScript(t, Buffer.concat(chunks))
  t.strictSame(await rowsOf(sql, 'a'), expected)
})

t.test('a change that waits already is told as busy, not waited for until the end of days', async t => {
  const { live } = await openFixture(t)
  const snapshot = await openSnapshot(live.connection)
  t.teardown(async () => await snapshot.close())
  const other = openSql(live.connection)
  t.teardown(async () => await other.end({ timeout: 1 }))
  const altered = other`ALTER TABLE crm.tasks ALTER cost TYPE text`.execute()
  for (;;) {
    const waiting = await live.sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'crm.tasks'::regclass`
    if (waiting.length > 0) break
  }
  const signal = new AbortController().signal
  await t.rejects(openOrganizationDump({ ...live, tools, snapshot, organizationId: 'a', tenantTable, signal }), {
    code: 'DATABASE_BUSY'
  })
  await snapshot.close()
  await altered
})

t.test('a dump can be cancelled, and one that breaks off fails', async t => {
  const { live } = await openFixture(t)
  await live.sql`INSERT INTO crm.projects SELECT 'a', n, repeat('x', 1000) FROM generate_series(1000, 20000) n`
  const snapshot = await openSnapshot(live.connection)
  t.teardown(async () => await snapshot.close())
  const open = async (signal: AbortSignal): ReturnType<typeof openOrganizationDump> =>
    await openOrganizationDump({ ...live, tools, snapshot, organizationId: 'a', tenantTable, signal })

  const controller = new AbortController()
  const cancelled = await open(controller.signal)
  await cancelled.script.next()
  controller.abort(new Error('enough'))
  await t.rejects(
    async () => {
      for await (const _ of cancelled.script);
    },
    { message: 'enough' }
  )
  await t.rejects(open(controller.signal), { message: 'enough' })

  const broken = await open(new AbortController().signal)
  await broken.script.next()
  const ended = await live.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'psql'`
  t.equal(ended.length, 1)
  await t.rejects(
    async () => {
      for await (const _ of broken.script);
    },
    { code: 'DATABASE_UNAVAILABLE' }
  )
})
