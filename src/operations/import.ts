import { Type } from '@sinclair/typebox'
import { brokenOff, receiveBackup } from '../backup/upload.js'
import { defineOperation } from '../jobs/operation.js'
import { database, organization } from '../jobs/resources.js'
import { showBackup } from '../repository/view.js'

/**
 * Takes in an archive that a client sends. It begins with the sending, so that the organization is locked, and the job
 * can be watched and cancelled, from then on. It waits for the client for most of its time, so it takes no place from
 * jobs that work.
 */
export const importArchive = defineOperation({
  kind: 'import',
  params: Type.Object({
    organizationId: Type.String(),
    /** Of core.incoming. */
    incomingId: Type.String(),
    size: Type.Optional(Type.Integer({ description: 'Bytes, when the sender tells' })),
    checksums: Type.Array(Type.String(), { description: 'SHA-256 in hex' })
  }),
  resources: ({ organizationId }) => [organization(organizationId), database('shared')],
  async run(core, { incomingId, ...params }, context) {
    const stream = core.incoming.get(incomingId)
    if (stream === undefined) throw brokenOff()
    return showBackup(await receiveBackup(core, { ...params, stream }, context))
  }
})
