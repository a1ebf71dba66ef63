import t from 'tap'
import { otherRows } from '../support/organization.js'
import { setUpTenants, type Tenants } from '../support/tenants.js'

/** Gives the rows of numbered tables other numbers, as they would have in another installation. */
async function renumber ({ database: { sql } }: Tenants): Promise<void> {
  for (const table of ['audit_log', 'maintenance_events']) await sql`UPDATE ${sql(table)} SET id = DEFAULT`
}

t.test('an organization moves to another installation', async t => {
  const home = await setUpTenants(t)
  const backup = await home.create()
  const before = await home.state()
  const bring = async (there: Tenants): Promise<void> => {
    const { rawPayload } = await home.app.inject({ url: `/api/backup/${backup.id}/download`, headers: home.as() })
    const uploaded = await there.app.inject({ method: 'POST', url: '/api/backup/upload', headers: { ...there.as(), 'content-type': 'application/zip' }, payload: rawPayload })
    t.equal(uploaded.statusCode, 201, uploaded.body)
  }

  await t.test('into an empty database, whose own settings stay', async t => {
    const there = await setUpTenants(t, { ids: [] })
    await there.database.sql.unsafe(`ALTER DATABASE ${there.database.name} SET statement_timeout = '77s'`)
    await there.database.sql.unsafe(`REVOKE CONNECT ON DATABASE ${there.database.name} FROM PUBLIC`)
    await bring(there)
    const { report, restoreId } = await there.restore(backup.id)
    t.match(report.database, { mode: 'swap' })
    t.same((await there.state()).rows, before.rows)
    t.same((await there.state()).files, before.files)
    const [{ acl }] = await there.database.sql<[{ acl: string }]>`SELECT datacl::text AS acl FROM pg_database WHERE datname = current_database()`
    t.notMatch(acl, /[{,]=[A-Za-z]*c/, 'PUBLIC still can\'t connect')
    t.equal((await there.database.sql`SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database()`)[0]?.setconfig?.[0], 'statement_timeout=77s')
    await there.post(`restores/${restoreId}/undo`)
    t.equal((await there.database.sql`SELECT FROM pg_tables WHERE schemaname = 'public'`).length, 0)
  })

  await t.test('into one that others use', async t => {
    const there = await setUpTenants(t, { ids: ['globex', 'hooli'] })
    await bring(there)
    t.match(await there.post(`restore/${backup.id}`, {}, 409), { code: 'CHECKPOINT_IMPOSSIBLE', remedy: /rollbackOnFailure: false/ })
    const refused = await there.post<{ errors: object[] }>(`restore/${backup.id}`, { rollbackOnFailure: false }, 409)
    t.match(refused, { code: 'RESTORE_CONFLICT', errors: [{ field: 'public.audit_log', message: /8 rows of public\.audit_log can't come back/ }] }, 'numbers that others have')
    await renumber(there)
    const others = await otherRows(there.database.sql, 'acme')
    const { report } = await there.restore(backup.id, { rollbackOnFailure: false })
    t.match(report.database, { mode: 'merge', scope: 'organization' })
    t.same(await there.state(), before)
    t.same(await otherRows(there.database.sql, 'acme'), others)
  })

  await t.test('into one that a single other organization uses, whose rows no checkpoint may show', async t => {
    const there = await setUpTenants(t, { ids: ['globex'] })
    await bring(there)
    t.match(await there.post(`restore/${backup.id}`, {}, 409), { code: 'CHECKPOINT_IMPOSSIBLE' })
    t.same((await there.list()).map(({ id }) => id), [backup.id])
    await renumber(there)
    await there.restore(backup.id, { rollbackOnFailure: false })
    t.same(await there.state(), before)
  })
})
