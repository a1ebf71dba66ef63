import { execFile } from 'node:child_process'
import { lstat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { leftOvers, setUpTenants } from '../support/tenants.js'

t.test('what no backup holds and a restore takes away is told', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme'] })
  const live = join(tenants.uploadDir, 'acme')
  const backup = await tenants.create('files')
  await symlink('logo.png', join(live, 'shortcut'))
  await promisify(execFile)('mkfifo', [join(live, 'pipe')])
  for (const dryRun of [true, false]) {
    const { report } = await tenants.restore(backup.id, { dryRun })
    t.match(report.warnings, [
      /in no backup, and gone with the former folder: "pipe"/,
      /"shortcut": it is no regular file/
    ])
  }
  await t.rejects(lstat(join(live, 'shortcut')), { code: 'ENOENT' })
})

t.test('a dry run tells that there can be no checkpoint', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme', 'globex'] })
  const {
    core,
    database: { sql }
  } = tenants
  const backup = await tenants.create()
  const { report } = await tenants.restore(backup.id, { dryRun: true })
  t.match(report.warnings.join('\n'), /between the checkpoint's backup.*in no checkpoint/)
  t.match(
    report.disk.find(({ place }) => place === 'BACKUP_DIR'),
    { neededBytes: Number, availableBytes: Number }
  )
  t.notMatch(
    (await tenants.restore(backup.id, { dryRun: true, rollbackOnFailure: false })).report.warnings.join('\n'),
    /in no checkpoint/
  )

  const { freeBytes } = core.repository
  Object.assign(core.repository, { freeBytes: async () => 0 })
  for (const dryRun of [true, false]) {
    t.match(await tenants.post(`restore/${backup.id}`, { dryRun }, 507), {
      code: 'DISK_FULL',
      errors: [{ reason: 'disk-full', message: /BACKUP_DIR/ }],
      remedy: /^Free disk space/
    })
  }
  Object.assign(core.repository, { freeBytes })

  t.same(await leftOvers(tenants.database), [])
  // An organization that has gone wholly has a checkpoint all the same: one without rows.
  await sql`DELETE FROM organizations WHERE id = 'acme'`
  for (const dryRun of [true, false]) {
    const { database } = (await tenants.restore(backup.id, { dryRun })).report
    t.ok(database?.tables.every(({ rows, added }) => added === rows))
  }
  t.equal((await sql`SELECT FROM organizations WHERE id = 'acme'`).length, 1)
})

t.test('a database that somebody has closed is told with the way to open it', async t => {
  const tenants = await setUpTenants(t, { ids: ['acme'] })
  const {
    database: { name, sql, adminUrl }
  } = tenants
  await sql.end()
  await withSql({ ...parseConnectionUrl(adminUrl), database: 'postgres' }, {}, async admin => {
    await admin.unsafe(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  })
  t.match(await tenants.post('create', { type: 'database' }, 503), {
    code: 'DATABASE_UNAVAILABLE',
    reason: 'connections-not-allowed',
    remedy: /ALLOW_CONNECTIONS true/
  })
})
