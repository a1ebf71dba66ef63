import { Type } from '@sinclair/typebox'
import { defineOperation } from '../jobs/operation.js'
import { database, organization } from '../jobs/resources.js'
import { deleteAnyBackup } from '../restore/delete-backup.js'

/** Deletes a backup. Too short to wait for a place. */
export const deleteBackup = defineOperation({
  kind: 'delete',
  params: Type.Object({ organizationId: Type.String(), backupId: Type.String() }),
  resources: ({ organizationId }) => [organization(organizationId), database('shared')],
  async run(core, { organizationId, backupId }) {
    await deleteAnyBackup(core, { organizationId, backupId })
    return { object: 'deletion' as const, message: 'Backup deleted successfully' as const, backupId }
  }
})
