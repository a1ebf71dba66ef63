import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AppError } from '../../src/errors.js'
import { submit } from '../../src/jobs/operation.js'
import { undo } from '../../src/operations/undo.js'
import { findRestore, listRestores } from '../../src/restore/history.js'
import { RestoreResult, RestoreSummary } from '../../src/restore/report.js'
import { linkToNext, pageOf } from '../paging.js'
import { acceptedHeaders, acceptedResponse, prefersAsync } from '../respond-async.js'
import { headers } from '../schemas/error.js'
import { backupOperation, PreferHeader, RestoreParams } from '../schemas/operation.js'
import { listOf, ref } from '../schemas/shared.js'

/** A request for a dry run is refused, since an undo has none. */
const UndoBody = Type.Object(
  {},
  { title: 'UndoRequest', additionalProperties: false, description: 'an undo takes no fields and has no dry run' }
)

const Query = Type.Object(pageOf('Restores', 50), { additionalProperties: false })

const restoresRoutes: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/restores',
    {
      schema: backupOperation(
        {
          operationId: 'listRestores',
          summary: 'List restores',
          description:
            'The restores and rehearsals of the organization with their reports, newest first, and whether each can be undone. When there are more, the Link header with rel="next" holds the address of the next page. The last thousand are kept.',
          tags: ['restores'],
          querystring: Query,
          response: {
            200: {
              ...listOf(RestoreSummary, 'The restores, newest first'),
              ...headers({ link: 'Address of the next page, with rel="next"' })
            }
          }
        },
        'BAD_REQUEST',
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async ({ identity, query }, reply) => {
      const { restores, next } = await listRestores(app.core, identity.organizationId, query)
      if (next !== null)
        reply.header(
          'link',
          linkToNext(`${app.config.publicUrl}/api/backup/restores`, { limit: query.limit, cursor: next })
        )
      return restores
    }
  )

  app.post(
    '/restores/:restoreId/undo',
    {
      schema: backupOperation(
        {
          operationId: 'undoRestore',
          summary: 'Undo a restore',
          description:
            'Swaps back to the state before the restore, as long as its checkpoint is kept. What was written since the restore is lost.',
          tags: ['restores'],
          params: RestoreParams,
          headers: PreferHeader,
          body: UndoBody,
          response: {
            200: { ...ref(RestoreResult), description: 'What was put back' },
            202: acceptedResponse('The job that undoes it')
          }
        },
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'JOB_CONFLICT',
        'JOB_CANCELLED',
        'RESTORE_NOT_FOUND',
        'OTHER_ORGANIZATIONS_AFFECTED',
        'SCHEMA_DRIFT',
        'RESTORE_CONFLICT',
        'RESTORE_UNFINISHED',
        'RESTORE_NOT_UNDOABLE',
        'PREFLIGHT_FAILED',
        'DATABASE_BUSY',
        'CHECKSUM_MISMATCH',
        'ARCHIVE_UNTRUSTED',
        'BACKUP_INCOMPATIBLE',
        'DUMP_INVALID',
        'DATABASE_ERROR',
        'DATABASE_UNAVAILABLE',
        'DATABASE_TOOLS_MISSING',
        'STORAGE_UNAVAILABLE',
        'REPOSITORY_UNAVAILABLE',
        'CONFIG_INVALID',
        'DISK_FULL'
      )
    },
    async (request, reply) => {
      const {
        identity: { organizationId, userId, email },
        params: { restoreId }
      } = request
      const restore = await findRestore(app.core, organizationId, restoreId)
      if (restore === null)
        throw new AppError('RESTORE_NOT_FOUND', 'no-such-restore', `There is no restore ${restoreId}.`)
      const { backupId, report } = restore
      const startedBy = email ?? userId
      const { job, done } = submit(app.jobs, undo, {
        backupId,
        startedBy,
        // Without a report nothing says that other organizations would not notice.
        params: {
          organizationId,
          restoreId,
          startedBy,
          ofInstance: report === undefined || report.database?.scope === 'instance'
        }
      })
      if (prefersAsync(request))
        return await reply.code(202).headers(acceptedHeaders(job, app.config.publicUrl)).send(job)
      return await reply.code(200).send(await done)
    }
  )
}

export default restoresRoutes
