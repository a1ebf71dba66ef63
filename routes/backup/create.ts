import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { BackupType } from '../../src/archive/metadata.js'
import { submit } from '../../src/jobs/operation.js'
import { create } from '../../src/operations/create.js'
import { BackupAnswer } from '../../src/repository/view.js'
import { acceptedHeaders, acceptedResponse, prefersAsync } from '../respond-async.js'
import { headers } from '../schemas/error.js'
import { backupOperation, PreferHeader } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const Body = Type.Object(
  {
    type: Type.Union(BackupType.anyOf, {
      default: 'full',
      description: 'What the backup holds: the database, the uploaded files, or both'
    }),
    description: Type.Optional(Type.String({ maxLength: 500, description: 'A note for people' }))
  },
  { title: 'CreateRequest', additionalProperties: false, examples: [{ type: 'full' }] }
)

const createRoute: FastifyPluginAsyncTypebox = async app => {
  app.post(
    '/create',
    {
      schema: backupOperation(
        {
          operationId: 'createBackup',
          summary: 'Create a backup',
          description:
            'Makes a consistent archive of the database, the uploaded files, or both, and answers when it is durable. A client that goes away does not stop it.',
          tags: ['backups'],
          headers: PreferHeader,
          body: Body,
          response: {
            201: { ...ref(BackupAnswer), description: 'The backup', ...headers({ location: 'Address of the backup' }) },
            202: acceptedResponse('The job that makes the backup')
          }
        },
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'JOB_CONFLICT',
        'JOB_CANCELLED',
        'ORGANIZATION_NOT_FOUND',
        'OTHER_ORGANIZATIONS_AFFECTED',
        'TENANCY_VIOLATION',
        'TENANCY_UNSUPPORTED',
        'DATABASE_BUSY',
        'PREFLIGHT_FAILED',
        'DUMP_FAILED',
        'DATABASE_ERROR',
        'DATABASE_UNAVAILABLE',
        'DATABASE_TOOLS_MISSING',
        'STORAGE_UNAVAILABLE',
        'REPOSITORY_UNAVAILABLE',
        'CONFIG_INVALID',
        'DISK_FULL'
      )
    },
    async (request, reply) => {
      const { organizationId, userId, email } = request.identity
      const { type, description } = request.body
      const { job, done } = submit(app.jobs, create, {
        startedBy: email ?? userId,
        params: {
          organizationId,
          type,
          ...(description === undefined ? {} : { description }),
          createdBy: userId,
          createdByEmail: email
        }
      })
      if (prefersAsync(request))
        return await reply.code(202).headers(acceptedHeaders(job, app.config.publicUrl)).send(job)
      const backup = await done
      return await reply.code(201).header('location', `${app.config.publicUrl}/api/backup/${backup.id}`).send(backup)
    }
  )
}

export default createRoute
