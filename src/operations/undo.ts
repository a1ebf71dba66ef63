import { Type } from '@sinclair/typebox'
import { defineOperation } from '../jobs/operation.js'
import { database, organization, place } from '../jobs/resources.js'
import { undoRestore } from '../restore/undo.js'

/** Puts back the state before a restore. */
export const undo = defineOperation({
  kind: 'undo',
  params: Type.Object({
    organizationId: Type.String(),
    restoreId: Type.String(),
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
  run: async (core, { ofInstance: _, ...params }, context) => await undoRestore(core, params, context)
})
