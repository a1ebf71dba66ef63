import { Type } from '@sinclair/typebox'
import { defineOperation } from '../jobs/operation.js'
import { database, organization } from '../jobs/resources.js'
import { dropEarlierCheckpoints, expireCheckpoints } from '../restore/recover.js'

/** Drops the checkpoints of an organization's earlier restores, once a restore has succeeded. */
export const releaseEarlierCheckpoints = defineOperation({
  kind: 'release-checkpoints',
  params: Type.Object({ organizationId: Type.String(), keep: Type.Union([Type.String(), Type.Null()]) }),
  resources: ({ organizationId }) => [organization(organizationId), database('shared')],
  run: async (core, { organizationId, keep }) => {
    await dropEarlierCheckpoints(core, organizationId, keep)
  }
})

/** Drops the checkpoints whose time is over, beside no job that might need one. */
export const expireOldCheckpoints = defineOperation({
  kind: 'expire-checkpoints',
  params: Type.Object({}),
  resources: () => [database('exclusive')],
  run: async core => {
    await expireCheckpoints(core)
  }
})
