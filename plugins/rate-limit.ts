import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from '../src/errors.js'
import { RateLimitStore } from './rate-limit-store.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts the request against its address. @throws AppError RATE_LIMITED */
    limitByAddress: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
}

/** So many requests a minute for each user of an organization; before one is known, for each address. */
async function rateLimitPlugin(app: FastifyInstance): Promise<void> {
  await app.register(rateLimit, {
    max: app.config.rateLimit,
    timeWindow: '1 minute',
    store: RateLimitStore,
    enableDraftSpec: true,
    keyGenerator: ({ identity, ip }) => (identity === undefined ? ip : `${identity.organizationId}/${identity.userId}`),
    errorResponseBuilder: (_request, { after }) =>
      new AppError('RATE_LIMITED', 'too-many-requests', `Too many requests: try again in ${after}.`)
  })
  const limit = app.rateLimit()
  app.decorate('limitByAddress', async (request, reply) => {
    await limit.call(app, request, reply)
  })
}

export default fp(rateLimitPlugin, { name: 'rate-limit', dependencies: ['config'] })
