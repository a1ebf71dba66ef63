import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { AppError } from '../../src/errors.js'
import { submit } from '../../src/jobs/operation.js'
import { importArchive } from '../../src/operations/import.js'
import { BackupAnswer } from '../../src/repository/view.js'
import { fileOfForm } from '../form-file.js'
import { headers } from '../schemas/error.js'
import { backupOperation } from '../schemas/operation.js'
import { ref } from '../schemas/shared.js'

const Query = Type.Object(
  {
    checksum: Type.Optional(
      Type.String({ pattern: '^[0-9a-fA-F]{64}$', description: 'SHA-256 of the archive, 64 digits in hex' })
    )
  },
  { additionalProperties: false }
)

const UploadHeaders = Type.Object({
  'repr-digest': Type.Optional(
    Type.String({ description: 'SHA-256 of the archive (RFC 9530): sha-256=:<base64 of 32 bytes>:' })
  )
})

const binary = { type: 'string', format: 'binary' }

const uploadRoute: FastifyPluginAsyncTypebox = async app => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/zip', (_request, stream, done) => {
    done(null, stream)
  })
  app.addContentTypeParser(
    'multipart/form-data',
    async (request: FastifyRequest, stream: Readable) => await fileOfForm(request.headers, stream, 'archive')
  )

  app.post(
    '/upload',
    {
      bodyLimit: Number.MAX_SAFE_INTEGER,
      config: { slowBody: true },
      schema: backupOperation(
        {
          operationId: 'uploadBackup',
          summary: 'Upload an archive',
          description:
            'Brings back an archive that was downloaded, as the body or as the file `archive` of a form. It is checked whole before it becomes a backup, and it must be of the organization.',
          tags: ['backups'],
          querystring: Query,
          headers: UploadHeaders,
          body: {
            content: {
              // First, since tools take the first: browsers and generated clients can send a form.
              'multipart/form-data': {
                schema: Type.Any({
                  title: 'UploadForm',
                  type: 'object',
                  required: ['archive'],
                  properties: { archive: { ...binary, description: 'The archive' } }
                })
              },
              'application/zip': { schema: Type.Any(binary) }
            }
          },
          response: {
            201: { ...ref(BackupAnswer), description: 'The backup', ...headers({ location: 'Address of the backup' }) }
          }
        },
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'JOB_CONFLICT',
        'JOB_CANCELLED',
        'BACKUP_EXISTS',
        'CHECKSUM_MISMATCH',
        'ARCHIVE_INVALID',
        'ARCHIVE_UNTRUSTED',
        'ARCHIVE_VERSION_UNSUPPORTED',
        'REPOSITORY_UNAVAILABLE',
        'DISK_FULL'
      )
    },
    async (request, reply) => {
      const {
        body,
        identity: { organizationId, userId, email },
        query: { checksum }
      } = request
      if (!(body instanceof Readable))
        throw new AppError('BAD_REQUEST', 'no-body', 'The request has no body.', {
          remedy: 'Send the archive as the body, with the content type application/zip.'
        })
      const digest = sha256Of(request.headers['repr-digest'])
      // A form is longer than the archive in it.
      const length = body === request.raw ? request.headers['content-length'] : undefined
      const incomingId = app.core.incoming.add(body)
      try {
        const checksums = [checksum, digest].filter(given => given !== undefined)
        const backup = await submit(app.jobs, importArchive, {
          startedBy: email ?? userId,
          params: { organizationId, incomingId, checksums, ...(length === undefined ? {} : { size: Number(length) }) }
        }).done
        return await reply.code(201).header('location', `${app.config.publicUrl}/api/backup/${backup.id}`).send(backup)
      } finally {
        app.core.incoming.remove(incomingId)
      }
    }
  )

  app.setErrorHandler((error: FastifyError) => {
    if (error.statusCode !== 415) throw error
    throw new AppError(
      'UNSUPPORTED_MEDIA_TYPE',
      'upload-content-type',
      "An archive can't be uploaded with this content type.",
      {
        remedy:
          'Send the archive with Content-Type: application/zip, or as the file "archive" of a form (multipart/form-data).',
        cause: error
      }
    )
  })
}

/**
 * The SHA-256 among the digests of a Repr-Digest header, in hex; other algorithms are left alone (RFC 9530, section 3).
 */
function sha256Of(header: string | undefined): string | undefined {
  const member = header
    ?.split(',')
    .map(part => part.trim())
    .find(part => part.startsWith('sha-256='))
  if (member === undefined) return undefined
  const [, base64 = ''] = /^sha-256=:([A-Za-z0-9+/]{43}=):$/.exec(member) ?? []
  if (base64 === '') {
    throw new AppError('VALIDATION_FAILED', 'digest-header', 'The request is not valid.', {
      errors: [
        { field: 'headers.repr-digest', reason: 'field-invalid', message: 'expected sha-256=:<base64 of 32 bytes>:' }
      ]
    })
  }
  return Buffer.from(base64, 'base64').toString('hex')
}

export default uploadRoute
