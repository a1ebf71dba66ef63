import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { getBackup } from '../../src/backup/get.js'
import { submit } from '../../src/jobs/operation.js'
import { deleteBackup } from '../../src/operations/delete.js'
import { DeleteResult } from '../schemas/deleted.js'
import { backupOperation, BackupParams } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const deleteRoute: FastifyPluginAsyncTypebox = async app => {
  app.delete(
    '/:backupId',
    {
      schema: backupOperation(
        {
          operationId: 'deleteBackup',
          summary: 'Delete a backup',
          description:
            "Removes the archive and its record for good. A restore whose checkpoint it is can't be undone any more. Refused while a job of the organization is running.",
          tags: ['backups'],
          params: BackupParams,
          response: { 200: { ...ref(DeleteResult), description: 'It is deleted' } }
        },
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'BACKUP_NOT_FOUND',
        'JOB_CONFLICT',
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async ({ identity: { organizationId, userId, email }, params: { backupId } }) => {
      await getBackup(app.core, { organizationId, backupId })
      const { done } = submit(app.jobs, deleteBackup, {
        backupId,
        startedBy: email ?? userId,
        params: { organizationId, backupId }
      })
      const { message } = await done
      return { message, backupId }
    }
  )
}

export default deleteRoute
