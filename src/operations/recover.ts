import { Type } from '@sinclair/typebox'
import { defineOperation } from '../jobs/operation.js'
import { database } from '../jobs/resources.js'
import { recoverRestores } from '../restore/recover.js'

/** Finishes restores that were cut off. One that still runs would look like that, so it waits for every job. */
export const recover = defineOperation({
  kind: 'recover',
  params: Type.Object({}),
  resources: () => [database('exclusive')],
  run: async core => {
    await recoverRestores(core)
  }
})
