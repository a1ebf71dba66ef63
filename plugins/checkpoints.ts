import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { expireCheckpoints } from '../src/restore/recover.js'

const intervalMs = 60_000

/** Drops the checkpoints whose time is over, once a minute and never twice at once. */
async function checkpointsPlugin (app: FastifyInstance): Promise<void> {
  let expiring: Promise<void> | undefined

  async function expire (): Promise<void> {
    try {
      await expireCheckpoints(app.core)
    } catch (error) {
      app.log.warn({ err: error }, 'checkpoints could not be expired; trying again in a minute')
    } finally {
      expiring = undefined
    }
  }

  const timer = setInterval(() => {
    if (app.jobs.refusal() === null) expiring ??= expire()
  }, intervalMs).unref()

  app.addHook('onClose', async () => {
    clearInterval(timer)
    await expiring
  })
}

export default fp(checkpointsPlugin, { name: 'checkpoints', dependencies: ['core', 'jobs'] })
