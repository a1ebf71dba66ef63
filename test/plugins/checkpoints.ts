import Fastify from 'fastify'
import t from 'tap'
import checkpointsPlugin from '../../plugins/checkpoints.js'
import corePlugin from '../../plugins/core.js'
import jobsPlugin from '../../plugins/jobs.js'
import { buildTestApp } from '../support/app.js'

t.test('looks again and again, also after a failure, until the service closes', async t => {
  const { core, jobs, gate } = await buildTestApp(t)
  let looks = 0
  let seen: () => void = () => {}
  const thrice = new Promise<void>(resolve => {
    seen = resolve
  })
  const organizations = core.repository.organizations.bind(core.repository)
  core.repository.organizations = async () => {
    if (++looks === 3) seen()
    if (looks === 1) throw new Error('the folder is away')
    return await organizations()
  }
  const app = Fastify()
  await app.register(corePlugin, { core })
  await app.register(jobsPlugin, { jobs: { queue: jobs, gate } })
  await app.register(checkpointsPlugin, { intervalMs: 1 })
  await app.ready()
  // The timer alone does not keep a process alive.
  const awake = setInterval(() => {}, 1000)
  await thrice
  clearInterval(awake)
  await app.close()
  const before = looks
  await new Promise(resolve => {
    setImmediate(resolve)
  })
  t.equal(looks, before)
})
