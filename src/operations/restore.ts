import { Type } from '@sinclair/typebox'
import { defineOperation } from '../jobs/operation.js'
import { database, organization, place } from '../jobs/resources.js'
import { restoreBackup } from '../restore/restore.js'

/**
 * Restores a backup, or rehearses that. The restore's id is the job's, so that what a crash cut off can be looked up.
 */
export const restore = defineOperation({
  kind: 'restore',
  params: Type.Object({
    organizationId: Type.String(),
    backupId: Type.String(),
    validateChecksum: Type.Boolean(),
    rollbackOnFailure: Type.Boolean(),
    dryRun: Type.Boolean(),
    startedBy: Type.String(),
    ofInstance: Type.Boolean({
      description: 'The whole database is replaced, so that other organizations would notice'
    })
  }),
  resources: ({ organizationId, ofInstance }) => [
    organization(organizationId),
    database(ofInstance ? 'exclusive' : 'shared'),
    place
  ],
  run: async (core, { ofInstance: _, ...params }, context) =>
    await restoreBackup(core, { restoreId: context.jobId, ...params }, context)
})
