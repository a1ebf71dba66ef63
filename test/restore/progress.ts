import t from 'tap'
import { restoreBackup } from '../../src/restore/restore.js'
import { forge } from '../support/forge.js'
import { testJob } from '../support/job.js'
import { setUpTenants, type TenantsOptions } from '../support/tenants.js'

const cases: Record<string, TenantsOptions> = {
  swap: { ids: ['acme'] },
  'in-place': { ids: ['acme'], database: { createdb: false, createrole: false } },
  merge: {}
}

for (const [mode, options] of Object.entries(cases)) {
  t.test(`progress ends at its total and never goes beyond it: ${mode}`, async t => {
    const tenants = await setUpTenants(t, options)
    const backup = await tenants.create()
    const modest = await forge(tenants.core, backup, {
      files: true,
      metadata: ({ counts }) => {
        counts.bytes = 1
      }
    })
    for (const backupId of [backup.id, modest]) {
      let [done, total, beyond] = [0, 0, 0]
      const job = testJob({ core: tenants.core })
      const { report } = await restoreBackup(
        tenants.core,
        {
          organizationId: 'acme',
          backupId,
          validateChecksum: true,
          rollbackOnFailure: true,
          dryRun: false,
          startedBy: 'tester'
        },
        {
          ...job,
          progress: {
            ...job.progress,
            total(bytes) {
              total = bytes
            },
            advance(bytes) {
              done += bytes
              if (done > total) beyond += 1
            }
          }
        }
      )
      t.equal(report.database?.mode, mode)
      t.ok(total > 0)
      t.equal(done, total)
      t.equal(beyond, 0)
    }
  })
}
