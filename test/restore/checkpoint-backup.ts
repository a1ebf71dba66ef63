import t from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { haveBadDay, leftOvers, setUpTenants } from '../support/tenants.js'

t.test('a checkpoint that could not be restored is told while nothing is changed yet', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme', 'globex'] })
  const { database: { adminUrl } } = tenants
  const backup = await tenants.create()
  await haveBadDay(tenants)
  await withSql(parseConnectionUrl(adminUrl), {}, async admin => { await admin`CREATE EXTENSION pg_stat_statements` })
  const before = await tenants.state()
  t.match(await tenants.post(`restore/${backup.id}`, {}, 409), {
    code: 'CHECKPOINT_IMPOSSIBLE',
    message: /could be backed up, but that backup could not be restored: The extension "pg_stat_statements" can only be created by a superuser/,
    remedy: /rollbackOnFailure: false/,
    errors: [{ message: /pg_stat_statements/ }]
  })
  t.same(await tenants.state(), before)
  t.same((await tenants.list()).map(({ id }) => id), [backup.id], 'nor is the checkpoint kept')
  t.match(await tenants.restores(), [{ state: 'rolled-back', undoable: false }])
  t.same(await leftOvers(tenants.database), [])
  await tenants.restore(backup.id, { rollbackOnFailure: false })
})
