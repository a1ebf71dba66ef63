import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { JobRunner } from '../src/jobs/runner.js'

declare module 'fastify' {
  interface FastifyInstance {
    jobs: JobRunner
  }
}

/** How long connections may take to end once the jobs have. */
const lingerMs = 5000

async function jobsPlugin (app: FastifyInstance, { jobs }: { jobs: JobRunner }): Promise<void> {
  app.decorate('jobs', jobs)
  // Before the server waits for its connections to end: those that wait for a job are answered by its end.
  app.addHook('preClose', async () => {
    await jobs.stop()
    // A download that its client has paused must not keep the service from stopping.
    setTimeout(() => { app.server.closeAllConnections() }, lingerMs).unref()
  })
}

export default fp(jobsPlugin, { name: 'jobs' })
