import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route watches over a body that may take long. */
    slowBody?: boolean
  }
}

const bodyMs = 30_000

/**
 * A client has so long to send a body, but for routes that take large ones; how long the answer takes is another
 * matter.
 */
async function bodyTimeoutPlugin(app: FastifyInstance, { limitMs = bodyMs }: { limitMs?: number }): Promise<void> {
  app.addHook('preParsing', async (request, _reply, payload) => {
    const { headers, raw, routeOptions } = request
    if (
      routeOptions.config.slowBody === true ||
      ((headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined)
    )
      return payload
    const timer = setTimeout(() => {
      raw.destroy()
    }, limitMs).unref()
    for (const event of ['end', 'close'])
      payload.once(event, () => {
        clearTimeout(timer)
      })
    return payload
  })
}

export default fp(bodyTimeoutPlugin, { name: 'body-timeout' })
