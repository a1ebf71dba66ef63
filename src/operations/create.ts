import { Type } from '@sinclair/typebox'
import { BackupType } from '../archive/metadata.js'
import { createBackup } from '../backup/create.js'
import { defineOperation } from '../jobs/operation.js'
import { database, organization, place } from '../jobs/resources.js'
import { showBackup } from '../repository/view.js'

/** Makes a backup, whose id is the job's. */
export const create = defineOperation({
  kind: 'create',
  params: Type.Object({
    organizationId: Type.String(),
    type: BackupType,
    description: Type.Optional(Type.String()),
    createdBy: Type.String(),
    createdByEmail: Type.Union([Type.String(), Type.Null()])
  }),
  resources: ({ organizationId }) => [organization(organizationId), database('shared'), place],
  run: async (core, params, context) => showBackup(await createBackup(core, { id: context.jobId, ...params }, context))
})
