import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { getBackup } from '../../src/backup/get.js'
import { requireWhole } from '../../src/backup/require-whole.js'
import type { Core } from '../../src/core.js'
import { AppError } from '../../src/errors.js'
import { chooseBytes } from '../byte-range.js'
import { headers } from '../schemas/error.js'
import { backupOperation, BackupParams } from '../schemas/operation.js'

const RangeHeaders = Type.Object({
  range: Type.Optional(Type.String({ description: 'One range of bytes, such as bytes=0-1048575' })),
  'if-range': Type.Optional(Type.String({ description: 'ETag: the range counts only for this archive' })),
  'if-none-match': Type.Optional(Type.String({ description: 'ETags: 304 when the archive is one of them' }))
})

const archiveHeaders = {
  'accept-ranges': '`bytes`',
  etag: 'The SHA-256 of the archive in hex, quoted',
  'content-disposition': 'The file name of the archive',
  'repr-digest': 'The SHA-256 of the whole archive (RFC 9530)'
}
const archive = { content: { 'application/zip': { schema: { type: 'string', format: 'binary' } } } }

const downloadRoute: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/:backupId/download',
    {
      exposeHeadRoute: false,
      schema: backupOperation(
        {
          operationId: 'downloadBackup',
          summary: 'Download an archive',
          description:
            'The archive as it is stored, or a range of it, so that an interrupted download can go on. HEAD answers the headers alone.',
          tags: ['backups'],
          params: BackupParams,
          headers: RangeHeaders,
          response: {
            200: { description: 'The archive', ...headers(archiveHeaders), ...archive },
            206: {
              description: 'The range of the archive',
              ...headers({ ...archiveHeaders, 'content-range': 'Which bytes these are' }),
              ...archive
            },
            304: { type: 'null', description: 'The archive is one of those named in If-None-Match' }
          }
        },
        'BACKUP_NOT_FOUND',
        'ARCHIVE_MISSING',
        'RANGE_NOT_SATISFIABLE',
        'CHECKSUM_MISMATCH',
        'REPOSITORY_UNAVAILABLE'
      )
    },
    async (request, reply) => await download(app.core, request, request.params.backupId, reply)
  )

  // Fastify's own HEAD would read the whole archive to throw it away.
  app.head(
    '/:backupId/download',
    {
      schema: { hide: true, params: BackupParams, headers: RangeHeaders }
    },
    async (request, reply) => await download(app.core, request, request.params.backupId, reply)
  )
}

type Asked = Pick<FastifyRequest, 'identity' | 'headers' | 'method'>

async function download(
  core: Core,
  { identity, headers, method }: Asked,
  backupId: string,
  reply: FastifyReply
): Promise<unknown> {
  const { organizationId } = identity
  const backup = await getBackup(core, { organizationId, backupId })
  await requireWhole(core, backup)
  const { size, checksum } = backup

  const etag = `"${checksum}"`
  reply.headers({ etag, 'accept-ranges': 'bytes', 'cache-control': 'private, no-cache' })
  const bytes = chooseBytes(headers, { size, etag })
  if (bytes.status === 304) return await reply.code(304).send()
  if (bytes.status === 416) {
    reply.header('content-range', `bytes */${size}`)
    throw new AppError(
      'RANGE_NOT_SATISFIABLE',
      'range-outside-archive',
      `The archive has ${size} bytes, and the range is not within them.`
    )
  }

  const { start, end } = bytes
  reply.code(bytes.status).headers({
    'content-type': 'application/zip',
    'content-length': end - start + 1,
    'content-disposition': `attachment; filename="backup-${backupId}.zip"`,
    'repr-digest': `sha-256=:${Buffer.from(checksum, 'hex').toString('base64')}:`,
    ...(bytes.status === 206 ? { 'content-range': `bytes ${start}-${end}/${size}` } : {})
  })
  if (method === 'HEAD') return await reply.send()
  const stream = await core.repository.readArchive(organizationId, backupId, { start, end })
  if (stream === null)
    throw new AppError('ARCHIVE_MISSING', 'archive-gone', `The archive of backup ${backupId} is gone.`)
  return await reply.send(stream)
}

export default downloadRoute
