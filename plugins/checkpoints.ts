import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { upkeep } from '../src/jobs/operation.js'
import { expireOldCheckpoints } from '../src/operations/checkpoints.js'

interface CheckpointsOptions {
  intervalMs?: number
}

/** Drops the checkpoints whose time is over, once a minute, never beside a job that might need one. */
async function checkpointsPlugin(app: FastifyInstance, { intervalMs = 60_000 }: CheckpointsOptions): Promise<void> {
  let expiring: Promise<void> | undefined

  async function expire(): Promise<void> {
    try {
      if (app.gate.reason() === null && app.jobs.isIdle()) await upkeep(app.jobs, expireOldCheckpoints, {})
    } catch (error) {
      app.log.warn({ err: error }, 'checkpoints could not be expired; trying again later')
    } finally {
      expiring = undefined
    }
  }

  const timer = setInterval(() => {
    expiring ??= expire()
  }, intervalMs).unref()

  app.addHook('onClose', async () => {
    clearInterval(timer)
    await expiring
  })
}

export default fp(checkpointsPlugin, { name: 'checkpoints', dependencies: ['core', 'jobs'] })
