import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** A JSON answer ends with a newline, so that a shell shows its prompt on a line of its own. */
async function newlinePlugin(app: FastifyInstance): Promise<void> {
  app.addHook('onSend', async (_request, reply, payload) =>
    typeof payload === 'string' && /^application\/(?:[\w.+-]+\+)?json\b/.test(String(reply.getHeader('content-type')))
      ? `${payload}\n`
      : payload
  )
}

export default fp(newlinePlugin, { name: 'newline' })
