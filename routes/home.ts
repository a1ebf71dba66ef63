import type { FastifyPluginAsync } from 'fastify'

/** A disk with an arrow back onto it. Browsers ask for it with every address that they show. */
const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f6feb"/><path d="M9 12a9 9 0 1 1-1 8M9 5v8h8" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>'

/** What a browser finds at the root. No part of the API, so neither in its document nor in the log. */
const homeRoutes: FastifyPluginAsync = async app => {
  // Relative, for a proxy that serves this below a path of its own.
  app.get('/', { logLevel: 'warn', schema: { hide: true } }, async (_request, reply) => reply.redirect('docs', 302))
  app.get('/favicon.ico', { logLevel: 'warn', schema: { hide: true } }, async (_request, reply) =>
    reply.type('image/svg+xml').header('cache-control', 'public, max-age=86400').send(icon)
  )
}

export default homeRoutes
