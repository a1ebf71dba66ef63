import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { getBackup } from '../../src/backup/get.js'
import { BackupAnswer, showBackup } from '../../src/repository/view.js'
import { backupOperation, BackupParams } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const getRoute: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/:backupId',
    {
      schema: backupOperation(
        {
          operationId: 'getBackup',
          summary: 'Get a backup',
          description: 'One backup of the organization.',
          tags: ['backups'],
          params: BackupParams,
          response: { 200: { ...ref(BackupAnswer), description: 'The backup' } }
        },
        'BACKUP_NOT_FOUND'
      )
    },
    async ({ identity: { organizationId }, params: { backupId } }) =>
      showBackup(await getBackup(app.core, { organizationId, backupId }))
  )
}

export default getRoute
