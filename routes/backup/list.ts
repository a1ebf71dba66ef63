import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { BackupType } from '../../src/archive/metadata.js'
import { BackupAnswer, showBackup } from '../../src/repository/view.js'
import { linkToNext, pageOf } from '../paging.js'
import { headers } from '../schemas/error.js'
import { backupOperation } from '../schemas/operation.js'
import { listOf } from '../schemas/shared.js'

const Query = Type.Object(
  {
    type: Type.Optional(Type.Union(BackupType.anyOf, { description: 'Only backups of this type' })),
    ...pageOf('Backups', 50)
  },
  { additionalProperties: false }
)

const listRoute: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/list',
    {
      schema: backupOperation({
        operationId: 'listBackups',
        summary: 'List backups',
        description:
          'The backups of the organization, newest first. When there are more, the Link header with rel="next" holds the address of the next page.',
        tags: ['backups'],
        querystring: Query,
        response: {
          200: {
            ...listOf(BackupAnswer, 'The backups, newest first'),
            ...headers({ link: 'Address of the next page, with rel="next"' })
          }
        }
      })
    },
    async (request, reply) => {
      const { backups, next } = await app.core.catalog.list(request.identity.organizationId, request.query)
      if (next !== null) {
        const { type, limit } = request.query
        reply.header('link', linkToNext(`${app.config.publicUrl}/api/backup/list`, { type, limit, cursor: next }))
      }
      return backups.map(showBackup)
    }
  )
}

export default listRoute
