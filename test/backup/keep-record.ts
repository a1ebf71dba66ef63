import { pino } from 'pino'
import t from 'tap'
import { keepRecord } from '../../src/backup/keep-record.js'
import type { Core } from '../../src/core.js'
import { createCatalog } from '../../src/repository/catalog.js'
import { createLocalRepository } from '../../src/repository/local.js'
import { testFolder } from '../support/archive.js'
import { testKeys } from '../support/core.js'
import { testRecord } from '../support/record.js'

t.test('a backup whose record was not durable is gone, also for who has seen it meanwhile', async t => {
  const backup = testRecord({})
  const { organizationId, id } = backup
  const local = createLocalRepository({ directory: await testFolder(t) })
  const repository: typeof local = {
    ...local,
    async writeRecord(record) {
      await local.writeRecord(record)
      throw new Error('not durable')
    },
    async deleteArchive() {
      t.equal((await catalog.get(organizationId, id))?.id, id)
    }
  }
  const catalog = createCatalog(repository, testKeys, pino({ level: 'silent' }))
  await t.rejects(keepRecord({ catalog, repository } as unknown as Core, backup), { message: 'not durable' })
  t.equal(await catalog.get(organizationId, id), null)
})
