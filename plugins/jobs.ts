import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Jobs } from '../src/create-jobs.js'
import type { Gate } from '../src/jobs/gate.js'
import type { Queue } from '../src/jobs/queue.js'

declare module 'fastify' {
  interface FastifyInstance {
    jobs: Queue
    gate: Gate
  }
}

/** How long connections may take to end once the jobs have. */
const lingerMs = 5000

async function jobsPlugin(app: FastifyInstance, { jobs: { queue, gate } }: { jobs: Jobs }): Promise<void> {
  app.decorate('jobs', queue)
  app.decorate('gate', gate)
  // Before the server waits for its connections to end: those that wait for a job are answered by its end.
  app.addHook('preClose', async () => {
    await queue.stop()
    // A download that its client has paused must not keep the service from stopping.
    setTimeout(() => {
      app.server.closeAllConnections()
    }, lingerMs).unref()
  })
}

export default fp(jobsPlugin, { name: 'jobs' })
