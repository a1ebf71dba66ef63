import t from 'tap'
import { withSql } from '../../src/database/connection/connection.js'
import { applyDatabaseDetails, readDatabaseDetails } from '../../src/database/database-details.js'
import { createTestDatabase } from '../support/postgres.js'

t.test("what can't be put back is a warning, and the rest is put back", async t => {
  const { name, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE mine (id int)`
  const details = await readDatabaseDetails(sql)
  t.match(details, {
    owner: name,
    privileges: null,
    settings: [],
    comment: null,
    connectionLimit: -1,
    owners: [],
    defaultPrivileges: [],
    largeObjects: 0
  })
  const warnings = await applyDatabaseDetails(sql, name, {
    ...details,
    comment: "a 'comment' \\ of\ntwo lines",
    connectionLimit: 42,
    settings: [
      { role: null, name: 'search_path', value: '"odd ""schema", public' },
      { role: 'nobody at all', name: 'work_mem', value: '1MB' },
      { role: null, name: 'no_such_setting', value: '1' },
      { role: null, name: 'work_mem', value: '3MB' },
      { role: null, name: 'app.tenant', value: "it's" }
    ],
    owners: [{ type: 'table', identity: 'public.mine', owner: 'nobody at all' }],
    privileges: [{ grantee: null, privilege: 'CONNECT', grantable: false }],
    defaultPrivileges: [
      { role: 'nobody at all', schema: null, objectType: 'r', grantee: null, privilege: 'SELECT', grantable: false }
    ]
  })
  t.match(warnings, [
    /the owner of the table public\.mine: .*"nobody at all" does not exist/,
    /default privileges: .*"nobody at all" does not exist/,
    /the setting work_mem of the database for the role nobody at all: .*"nobody at all" does not exist/,
    /the setting no_such_setting of the database: /,
    // Only a superuser can have made it, too: a parameter that the server does not know.
    /the setting app\.tenant of the database: .*permission denied/
  ])
  t.equal(warnings.length, 5)
  t.match(await readDatabaseDetails(sql), {
    comment: "a 'comment' \\ of\ntwo lines",
    connectionLimit: 42,
    privileges: [{ grantee: null, privilege: 'CONNECT' }],
    settings: [
      { name: 'search_path', value: '"odd ""schema", public' },
      { name: 'work_mem', value: '3MB' }
    ]
  })
})

t.test('nothing out of an archive becomes SQL', async t => {
  const { name, sql, connection } = await createTestDatabase(t)
  await sql`CREATE TABLE live (id int)`
  const details = await readDatabaseDetails(sql)
  const attack = '"; DROP TABLE live; --'
  const text = "'; DROP TABLE live; --"
  await applyDatabaseDetails(sql, name, {
    ...details,
    comment: text,
    settings: [
      { role: attack, name: attack, value: text },
      { role: null, name: `x.${attack}`, value: text }
    ],
    owners: [{ type: 'table; DROP TABLE live', identity: 'public.live; DROP TABLE live', owner: attack }],
    privileges: [
      { grantee: attack, privilege: 'CONNECT', grantable: true },
      { grantee: null, privilege: 'CONNECT ON DATABASE x TO y; DROP TABLE live; --', grantable: false }
    ],
    defaultPrivileges: [
      { role: attack, schema: attack, objectType: 'r', grantee: attack, privilege: 'SELECT', grantable: false },
      {
        role: name,
        schema: null,
        objectType: 'TABLES; DROP TABLE live',
        grantee: null,
        privilege: 'SELECT',
        grantable: false
      }
    ]
  })
  t.equal((await sql`SELECT FROM live`).length, 0)
  t.equal((await readDatabaseDetails(sql)).comment, text)
  await withSql(connection, {}, async again => {
    t.equal((await again`SELECT FROM live`).length, 0)
  })
})

t.test('a database whose privileges were never changed lets PUBLIC in again', async t => {
  const { name, sql } = await createTestDatabase(t)
  const { connection: stranger } = await createTestDatabase(t)
  const enter = async (): Promise<unknown> =>
    await withSql(stranger, { database: name }, async sql => await sql`SELECT 1`)
  const details = await readDatabaseDetails(sql)
  await sql.unsafe(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`)
  await t.rejects(enter(), { code: '42501' })
  t.same(await applyDatabaseDetails(sql, name, details), [])
  await t.resolves(enter())
})
