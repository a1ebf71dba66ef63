import { Type, type TSchema } from '@sinclair/typebox'
import { errorResponses } from './error.js'

interface Operation {
  operationId: string
  summary: string
  description: string
  tags: string[]
  response: Record<number, unknown>
}

/**
 * What all operations under /api/backup share, added to one of them: its documentation, and that it takes no query unless it
 * says so. A `?dryRun=true` that is passed over would start a real restore.
 */
export function backupOperation<const T extends Operation> (operation: T): T {
  const where = 'body' in operation ? 'this operation takes fields in its JSON body, none in its address' : 'this operation takes none'
  return {
    querystring: Type.Object({}, { additionalProperties: false, description: where }),
    ...operation,
    security: [{ bearerAuth: [] }],
    response: { ...operation.response, ...errorResponses(400, 401, 403, 429, 500, 503) }
  }
}

const uuidPattern = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

/** An id in a path. */
export const id = (what: string, example: string) => Type.String({
  format: 'uuid', pattern: uuidPattern, description: `Id of the ${what}`, examples: [example]
})

export const BackupParams = Type.Object({ backupId: id('backup', '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54') })
export const RestoreParams = Type.Object({ restoreId: id('restore', '3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83') })
export const JobParams = Type.Object({ jobId: id('job', 'c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52') })

/** Headers of an operation that runs as a job. No optional parameter has an example: Swagger UI would send it. */
export const PreferHeader = Type.Object({
  prefer: Type.Optional(Type.String({
    description: '`respond-async` answers 202 with the job at once instead of waiting for its end (RFC 7240)'
  }))
})

/** Response headers, as a part of a response's schema. */
export function headers (described: Record<string, string>): { headers: Record<string, TSchema> } {
  return { headers: Object.fromEntries(Object.entries(described).map(([name, description]) => [name, Type.String({ description })])) }
}
