import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Core } from '../src/core.js'

declare module 'fastify' {
  interface FastifyInstance {
    core: Core
  }
}

async function corePlugin(app: FastifyInstance, { core }: { core: Core }): Promise<void> {
  app.decorate('core', core)
}

export default fp(corePlugin, { name: 'core' })
