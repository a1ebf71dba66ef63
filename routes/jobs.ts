import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Job } from '../src/jobs/job.js'
import { openJobEvents } from './job-events.js'
import { backupOperation, JobParams } from './schemas/operation.js'
import { listOf, ref } from './schemas/shared.js'

const jobRoutes: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '',
    {
      schema: backupOperation(
        {
          operationId: 'listJobs',
          summary: 'List jobs',
          description:
            "The running job of the organization and the last hundred finished ones, which a restart of the service keeps. A job that the service was killed in is in no list, but a restore has its job's id, and so has a backup that was made.",
          tags: ['jobs'],
          response: { 200: listOf(Job, 'The jobs, newest first') }
        },
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async ({ identity }) => await app.jobs.list(identity.organizationId)
  )

  app.get(
    '/:jobId',
    {
      schema: backupOperation(
        {
          operationId: 'getJob',
          summary: 'Get a job',
          description: 'The state of a job, and once it has ended its result or error.',
          tags: ['jobs'],
          params: JobParams,
          response: { 200: { ...ref(Job), description: 'The job' } }
        },
        'JOB_NOT_FOUND',
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async ({ identity, params }) => await app.jobs.get(identity.organizationId, params.jobId)
  )

  app.delete(
    '/:jobId',
    {
      schema: backupOperation(
        {
          operationId: 'cancelJob',
          summary: 'Cancel a job',
          description:
            "Asks a running job to stop. It ends, with the state `cancelled`, when it has cleaned up after itself; past its commit point it can't be cancelled.",
          tags: ['jobs'],
          params: JobParams,
          response: { 200: { ...ref(Job), description: 'The job, which is about to end' } }
        },
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'JOB_NOT_FOUND',
        'JOB_CONFLICT',
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async ({ identity, params }) => await app.jobs.cancel(identity.organizationId, params.jobId)
  )

  app.get(
    '/:jobId/events',
    {
      schema: backupOperation(
        {
          operationId: 'watchJob',
          summary: 'Watch a job',
          description:
            'Server-sent events, each with the job as JSON in its data: `progress` with the job each time it changes, and at last `result` with the finished job. A finished job sends its result at once.',
          tags: ['jobs'],
          params: JobParams,
          response: {
            200: {
              description: 'The events',
              content: { 'text/event-stream': { schema: { $ref: `${Job.$id}#` } } }
            }
          }
        },
        'JOB_NOT_FOUND',
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async ({ identity, params }, reply) => {
      const events = await openJobEvents(app.jobs, identity.organizationId, params.jobId)
      return await reply
        .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
        .send(events)
    }
  )
}

export default jobRoutes
