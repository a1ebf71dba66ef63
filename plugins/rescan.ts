import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

interface RescanOptions {
  intervalMs?: number
}

/**
 * Looks for archives that came into BACKUP_DIR, or went from it, without the service. A copy is found by two looks
 * after its end, so that the list is true within a minute.
 */
async function rescanPlugin(app: FastifyInstance, { intervalMs = 15_000 }: RescanOptions): Promise<void> {
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    try {
      // Until the start is through, it does this itself.
      if (app.gate.reason() === null) await app.core.catalog.rescan(app.jobs.isBusy)
    } catch (error) {
      app.log.warn({ err: error }, 'BACKUP_DIR could not be looked through; trying again later')
    }
  }

  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = undefined
    })
  }, intervalMs).unref()

  app.addHook('onClose', async () => {
    clearInterval(timer)
    await looking
  })
}

export default fp(rescanPlugin, { name: 'rescan', dependencies: ['core', 'jobs'] })
