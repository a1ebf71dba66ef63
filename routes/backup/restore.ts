import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { getBackup } from '../../src/backup/get.js'
import { submit } from '../../src/jobs/operation.js'
import { restore } from '../../src/operations/restore.js'
import { RestoreResult } from '../../src/restore/report.js'
import { acceptedHeaders, acceptedResponse, prefersAsync } from '../respond-async.js'
import { backupOperation, BackupParams, PreferHeader } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const Body = Type.Object(
  {
    validateChecksum: Type.Boolean({
      default: true,
      description: 'Check the SHA-256 of the archive before anything else'
    }),
    rollbackOnFailure: Type.Boolean({
      default: true,
      description:
        'Keep a checkpoint to go back to; without it the former state is dropped as soon as the restore is committed'
    }),
    dryRun: Type.Boolean({
      default: false,
      description: 'Rehearse only: everything but the commit, reported as a diff'
    })
  },
  {
    title: 'RestoreRequest',
    additionalProperties: false,
    examples: [{ validateChecksum: true, rollbackOnFailure: true, dryRun: true }]
  }
)

const restoreRoute: FastifyPluginAsyncTypebox = async app => {
  app.post(
    '/restore/:backupId',
    {
      schema: backupOperation(
        {
          operationId: 'restoreBackup',
          summary: 'Restore a backup',
          description:
            'Puts a backup back as one transaction: either all of it, or nothing. A client that goes away does not stop it.',
          tags: ['restores'],
          params: BackupParams,
          headers: PreferHeader,
          body: Body,
          response: {
            200: { ...ref(RestoreResult), description: 'What the restore did, or with dryRun would do' },
            202: acceptedResponse('The job that restores')
          }
        },
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'JOB_CONFLICT',
        'JOB_CANCELLED',
        'BACKUP_NOT_FOUND',
        'ARCHIVE_MISSING',
        'ORGANIZATION_NOT_FOUND',
        'OTHER_ORGANIZATIONS_AFFECTED',
        'TENANCY_VIOLATION',
        'TENANCY_UNSUPPORTED',
        'SCHEMA_DRIFT',
        'RESTORE_CONFLICT',
        'RESTORE_UNFINISHED',
        'CHECKPOINT_IMPOSSIBLE',
        'PREFLIGHT_FAILED',
        'DATABASE_BUSY',
        'CHECKSUM_MISMATCH',
        'ARCHIVE_INVALID',
        'ARCHIVE_UNTRUSTED',
        'ARCHIVE_VERSION_UNSUPPORTED',
        'BACKUP_INCOMPATIBLE',
        'DUMP_INVALID',
        'LOAD_LIMIT_EXCEEDED',
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
      const {
        identity: { organizationId, userId, email },
        params: { backupId },
        body
      } = request
      const { databaseScope } = await getBackup(app.core, { organizationId, backupId })
      const startedBy = email ?? userId
      const { job, done } = submit(app.jobs, restore, {
        backupId,
        startedBy,
        params: { organizationId, backupId, ...body, startedBy, ofInstance: databaseScope === 'instance' }
      })
      if (prefersAsync(request))
        return await reply.code(202).headers(acceptedHeaders(job, app.config.publicUrl)).send(job)
      return await reply.code(200).send(await done)
    }
  )
}

export default restoreRoute
