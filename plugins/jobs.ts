import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { JobRunner } from '../src/jobs/runner.js'

declare module 'fastify' {
  interface FastifyInstance {
    jobs: JobRunner
  }
}

async function jobsPlugin (app: FastifyInstance, { jobs }: { jobs: JobRunner }): Promise<void> {
  app.decorate('jobs', jobs)
  // Before the server waits for its connections to end: those that wait for a job are answered by its end.
  app.addHook('preClose', async () => { await jobs.stop() })
}

export default fp(jobsPlugin, { name: 'jobs' })
