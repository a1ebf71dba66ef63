import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readTenancy } from '../../src/backup/tenancy.js'
import { TenancyReport } from '../../src/database/tenancy/tenant-graph.js'
import { backupOperation } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const tenancyRoute: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/tenancy',
    {
      schema: backupOperation(
        {
          operationId: 'getTenancy',
          summary: 'Show how tables belong to organizations',
          description:
            'How a backup of one organization classifies each table, by which foreign keys, and what makes such a backup impossible or partial. Says nothing of any row.',
          tags: ['backups'],
          response: { 200: { ...ref(TenancyReport), description: 'The tables, the obstacles and the notes' } }
        },
        'DATABASE_UNAVAILABLE',
        'DATABASE_ERROR',
        'CONFIG_INVALID'
      )
    },
    async () => await readTenancy(app.core)
  )
}

export default tenancyRoute
