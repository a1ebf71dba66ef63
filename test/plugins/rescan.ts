import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import corePlugin from '../../plugins/core.js'
import jobsPlugin from '../../plugins/jobs.js'
import rescanPlugin from '../../plugins/rescan.js'
import { derivedKey } from '../../src/archive/signature.js'
import { AppError } from '../../src/errors.js'
import { readinessWarnings } from '../../src/health/readiness.js'
import { createJobs } from '../../src/create-jobs.js'
import { archiveBytes } from '../support/archive.js'
import { buildTestApp, testSecret } from '../support/app.js'

t.test('archives that are copied in are listed, or named by GET /health/ready, with no call', async t => {
  const { core, backupDir, as, app: service } = await buildTestApp(t)
  const [id, other] = [randomUUID(), randomUUID()]
  const bytes = async (id: string): Promise<Buffer> =>
    await archiveBytes([{ path: '' }], { id }, derivedKey(testSecret))
  await mkdir(join(backupDir, 'acme'))
  await writeFile(join(backupDir, 'acme', `backup-${id}.zip`), await bytes(id))
  await writeFile(join(backupDir, 'acme', 'from the old server.zip'), await bytes(other))

  const app = Fastify()
  await app.register(corePlugin, { core })
  await app.register(jobsPlugin, { jobs: createJobs(core, { places: 1 }) })
  await app.register(rescanPlugin, { intervalMs: 1 })
  await app.ready()
  const awake = setInterval(() => {}, 1000)
  while (core.catalog.strays().length === 0)
    await new Promise(resolve => {
      setImmediate(resolve)
    })
  clearInterval(awake)
  await app.close()

  t.match((await service.inject({ url: '/api/backup/list', headers: as('OWNER', 'acme') })).json(), [
    { id, trusted: true }
  ])
  // The database of this service is not there, so it is never ready.
  t.match(readinessWarnings(core), [
    {
      message: /not in the list of backups, "from the old server\.zip": .*file name/,
      remedy: `Rename it to backup-${other}.zip: it is found then.`
    }
  ])
  t.notMatch(JSON.stringify(readinessWarnings(core)), /acme/)
})

t.test('nothing is looked for before the start is through', async t => {
  const { core } = await buildTestApp(t)
  let looks = 0
  let asked = 0
  core.catalog.rescan = async () => {
    looks += 1
  }
  const { queue, gate } = createJobs(core, { places: 1 })
  gate.set(new AppError('SERVICE_STOPPING', 'service-starting', 'starting'))
  const app = Fastify()
  await app.register(corePlugin, { core })
  await app.register(jobsPlugin, {
    jobs: {
      queue,
      gate: {
        ...gate,
        reason() {
          asked += 1
          return gate.reason()
        }
      }
    }
  })
  await app.register(rescanPlugin, { intervalMs: 1 })
  await app.ready()
  const awake = setInterval(() => {}, 1000)
  while (asked < 3)
    await new Promise(resolve => {
      setImmediate(resolve)
    })
  clearInterval(awake)
  await app.close()
  t.equal(looks, 0)
})
