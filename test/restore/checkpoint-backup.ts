import t from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { haveBadDay, leftOvers, setUpTenants } from '../support/tenants.js'

t.test('a checkpoint that could not be restored is told while nothing is changed yet', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme', 'globex'] })
  const {
    database: { adminUrl }
  } = tenants
  const backup = await tenants.create()
  await haveBadDay(tenants)
  await withSql(parseConnectionUrl(adminUrl), {}, async admin => {
    await admin`CREATE EXTENSION pg_stat_statements`
  })
  const before = await tenants.state()
  for (const dryRun of [true, false]) {
    t.match(
      await tenants.post(`restore/${backup.id}`, { dryRun }, 409),
      {
        code: 'CHECKPOINT_IMPOSSIBLE',
        reason: 'extension-needs-superuser',
        message: /pg_stat_statements/,
        remedy: /rollbackOnFailure: false/,
        errors: [{ reason: 'extension-needs-superuser', message: /pg_stat_statements/ }]
      },
      `dryRun: ${dryRun}`
    )
    t.same(await tenants.state(), before)
    t.same(
      (await tenants.list()).map(({ id }) => id),
      [backup.id],
      'nor is the checkpoint kept'
    )
    t.match(await tenants.restores(), [{ state: 'rolled-back', undoable: false }])
  }
  t.same(await leftOvers(tenants.database), [])
  await tenants.restore(backup.id, { rollbackOnFailure: false })
})

t.test('what refuses the checkpoint and the restore alike is told with what helps against it', async t => {
  const tenants = await setUpTenants(t)
  const {
    database: { sql }
  } = tenants
  const backup = await tenants.create()
  await haveBadDay(tenants)
  await sql`INSERT INTO comments VALUES ('stray', 'acme-asset-1', 'globex-user-1', 'text', now())`
  for (const dryRun of [true, false]) {
    const refused = await tenants.post<{ remedy: string }>(`restore/${backup.id}`, { dryRun }, 409)
    t.match(refused, {
      code: 'CHECKPOINT_IMPOSSIBLE',
      remedy: /^Correct the rows that are listed.*TENANCY_FILE.*Then restore again\.$/,
      errors: [{ field: 'public.comments' }]
    })
    t.notMatch(refused.remedy, /rollbackOnFailure/)
    t.match(
      await tenants.post(`restore/${backup.id}`, { dryRun, rollbackOnFailure: false }, 409),
      { code: 'TENANCY_VIOLATION' },
      'it would not have helped'
    )
  }
  await sql`DELETE FROM comments WHERE id = 'stray'`
  await tenants.restore(backup.id)
})
