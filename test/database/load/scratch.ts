import { randomBytes } from 'node:crypto'
import t from 'tap'
import { parseConnectionUrl, withSql, type Connection } from '../../../src/database/connection/connection.js'
import { adoptScratch, createScratch, dropScratch, type ScratchNames } from '../../../src/database/load/scratch.js'
import { createTestDatabase, startCluster } from '../../support/postgres.js'

const locale = { encoding: 'UTF8', collate: 'C', ctype: 'C', localeProvider: 'c', icuLocale: null }

function newNames(): ScratchNames {
  const suffix = randomBytes(16).toString('hex')
  return { database: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
}

/** Which of the two are there. */
async function whatIsThere(connection: Connection, { database, loader }: ScratchNames): Promise<string[]> {
  return await withSql(connection, {}, async sql =>
    (
      await sql<Array<{ name: string }>>`
    SELECT 'database' AS name FROM pg_database WHERE datname = ${database} UNION ALL SELECT 'loader' FROM pg_roles WHERE rolname = ${loader}`
    ).map(({ name }) => name)
  )
}

t.test("a scratch database is its loader's alone, and the loader nobody else's", async t => {
  const { connection, name } = await createTestDatabase(t)
  const { connection: stranger } = await createTestDatabase(t)
  const names = newNames()
  const { loader, warnings, oid } = await createScratch(connection, names, locale, 1 << 30)
  t.same(warnings, [])
  await t.rejects(
    withSql(stranger, { database: names.database }, async sql => await sql`SELECT`),
    { code: '42501' }
  )
  await withSql(connection, { database: names.database, ...loader! }, async sql => {
    await sql`CREATE TABLE made (id int)`
    await t.rejects(sql.unsafe(`SET ROLE ${name}`), { code: '42501' })
    t.match(await sql`SELECT oid::text FROM pg_database WHERE datname = current_database()`, [{ oid }])
    t.match(
      await sql`SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user`,
      [{ rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolreplication: false, rolbypassrls: false }]
    )
  })

  await adoptScratch(connection, names, loader, { owner: name })
  t.same(await whatIsThere(connection, names), ['database'], 'the loader is gone')
  await withSql(connection, { database: names.database }, async sql => {
    t.match(await sql`SELECT tableowner FROM pg_tables WHERE tablename = 'made'`, [{ tableowner: name }])
    t.match(await sql`SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = current_database()`, [
      { owner: name }
    ])
  })
  await dropScratch(connection, names)
})

t.test('a database has its own provider of locales, whatever that of new databases is', async t => {
  const { connection } = await startCluster(t)
  const [column] = await withSql(connection, {}, async sql =>
    (
      await sql<Array<{ name: string }>>`
    SELECT attname AS name FROM pg_attribute WHERE attrelid = 'pg_database'::regclass AND attname IN ('daticulocale', 'datlocale')`
    ).map(({ name }) => name)
  )
  if (column === undefined) {
    t.comment('servers before 15 have one provider alone')
    return
  }
  await withSql(
    connection,
    {},
    async sql =>
      await sql.unsafe(`UPDATE pg_database SET datlocprovider = 'i', ${column} = 'en-US' WHERE datname = 'template0'`)
  )
  for (const [wanted, found] of [
    [locale, { datlocprovider: 'c', datcollate: 'C', locale: null }],
    [
      { ...locale, localeProvider: 'i', icuLocale: 'de-AT' },
      { datlocprovider: 'i', datcollate: 'C', locale: 'de-AT' }
    ]
  ] as const) {
    const names = newNames()
    t.same((await createScratch(connection, names, wanted, 1 << 30)).warnings, [])
    await withSql(connection, {}, async sql => {
      t.match(
        await sql.unsafe(
          `SELECT datlocprovider, datcollate, ${column} AS locale FROM pg_database WHERE datname = '${names.database}'`
        ),
        [found]
      )
    })
    await dropScratch(connection, names)
  }
})

t.test('whatever is there of it is removed, with the sessions in it', async t => {
  const { connection } = await createTestDatabase(t)
  const names = newNames()
  await dropScratch(connection, names)
  await withSql(connection, {}, async sql => {
    await sql.unsafe(`CREATE ROLE ${names.loader}; GRANT ${names.loader} TO CURRENT_USER`)
  })
  await dropScratch(connection, names)
  t.same(await whatIsThere(connection, names), [], 'a loader without a database')

  const { loader } = await createScratch(connection, names, locale, 1 << 30)
  await t.rejects(createScratch(connection, names, locale, 1 << 30), { code: 'DATABASE_ERROR' })
  await withSql(connection, { database: names.database, ...loader! }, async sql => {
    await sql`CREATE TABLE made (id int)`
    await dropScratch(connection, names)
    await t.rejects(sql`SELECT FROM made`)
  })
  t.same(await whatIsThere(connection, names), [])
})

t.test('an invalid database, as a drop that was cut off leaves it, is removed', async t => {
  const { connection, adminUrl } = await createTestDatabase(t)
  const names = newNames()
  await createScratch(connection, names, locale, 1 << 30)
  await withSql(parseConnectionUrl(adminUrl), {}, async sql => {
    await sql`UPDATE pg_database SET datconnlimit = -2 WHERE datname = ${names.database}`
  })
  await dropScratch(connection, names)
  t.same(await whatIsThere(connection, names), [])
})

t.test('a user without CREATEROLE loads as itself, and is told so', async t => {
  const { connection, name } = await createTestDatabase(t, { createrole: false })
  const names = newNames()
  const { loader, warnings } = await createScratch(connection, names, locale, 1 << 30)
  t.equal(loader, null)
  t.match(warnings, [/only archives that you trust/])
  await adoptScratch(connection, names, loader, { owner: name })
  await dropScratch(connection, names)
  t.same(await whatIsThere(connection, names), [])
})

t.test('a locale that this server does not have is told, and any other failure is one', async t => {
  const { connection } = await createTestDatabase(t)
  const names = newNames()
  const { warnings } = await createScratch(
    connection,
    names,
    { ...locale, collate: 'xx_XX.UTF-8', ctype: 'xx_XX.UTF-8' },
    1 << 30
  )
  t.match(warnings, [/does not have the locale xx_XX\.UTF-8/])
  await dropScratch(connection, names)
  const { connection: weak } = await createTestDatabase(t, { createdb: false })
  await t.rejects(createScratch(weak, names, locale, 1 << 30), { code: 'DATABASE_ERROR', reason: 'right-missing' })
  await dropScratch(weak, names).catch(() => {})
  t.same(await whatIsThere(connection, names), [])
})

t.test('a removal waits for a creation that outlives its client', async t => {
  const { connection } = await createTestDatabase(t)
  const names = newNames()
  await withSql(connection, { database: 'postgres' }, async other => {
    await other`SELECT pg_advisory_lock(hashtextextended(${names.database}, 0))`
    const removing = dropScratch(connection, names)
    let over = false
    void removing.finally(() => {
      over = true
    })
    // Until the removal is seen to wait.
    while (
      (await other`SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND usename = current_user`).length === 0
    )
      t.notOk(over)
    await other.unsafe(`CREATE DATABASE ${names.database}`)
    await other`SELECT pg_advisory_unlock(hashtextextended(${names.database}, 0))`
    await removing
  })
  t.same(await whatIsThere(connection, names), [])
})
