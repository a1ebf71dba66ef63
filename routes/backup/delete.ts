import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { getBackup } from '../../src/backup/get.js'
import { deleteAnyBackup } from '../../src/restore/delete-backup.js'
import { DeleteResult, type Deletion } from '../schemas/deleted.js'
import { backupOperation, BackupParams } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const deleteRoute: FastifyPluginAsyncTypebox = async app => {
  app.delete('/:backupId', {
    schema: backupOperation({
      operationId: 'deleteBackup',
      summary: 'Delete a backup',
      description: 'Removes the archive and its record for good. A restore whose checkpoint it is can\'t be undone any more. Refused while a job of the organization is running.',
      tags: ['backups'],
      params: BackupParams,
      response: { 200: { ...ref(DeleteResult), description: 'It is deleted' } }
    }, 'BAD_REQUEST', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE', 'BACKUP_NOT_FOUND', 'JOB_CONFLICT', 'REPOSITORY_UNAVAILABLE')
  }, async ({ identity: { organizationId }, params: { backupId } }) => {
    await getBackup(app.core, { organizationId, backupId })
    const { done } = app.jobs.start({
      kind: 'delete',
      light: true,
      organizationId,
      backupId,
      run: async (): Promise<Deletion> => {
        await deleteAnyBackup(app.core, { organizationId, backupId })
        return { object: 'deletion', message: 'Backup deleted successfully', backupId }
      }
    })
    const { message } = await done
    return { message, backupId }
  })
}

export default deleteRoute
