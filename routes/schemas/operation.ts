import { Type, type TObject, type TSchema } from '@sinclair/typebox'
import type { ExampleCode } from './error-examples.js'
import { errorResponses } from './error.js'

interface Operation {
  operationId: string
  summary: string
  description: string
  tags: string[]
  response: Record<number, unknown>
}

/** What an operation takes, where it takes such a thing. */
interface Input {
  params?: TObject
  querystring?: TObject
  body?: TObject
}

/** How every operation can fail. */
const always = [
  'VALIDATION_FAILED',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'INTERNAL_ERROR',
  'SERVICE_STOPPING'
] as const

/**
 * What all operations under /api/backup share, added to one of them: its documentation, and that it takes no query
 * unless it says so. A `?dryRun=true` that is passed over would start a real restore.
 * @param codes of the errors that it can answer, besides those that every operation can
 */
export function backupOperation<const T extends Operation>(operation: T, ...codes: ExampleCode[]): T {
  const where =
    'body' in operation
      ? 'this operation takes fields in its JSON body, none in its address'
      : 'this operation takes none'
  const input = operation as Operation & Input
  const querystring = input.querystring ?? Type.Object({}, { additionalProperties: false, description: where })
  return {
    querystring,
    ...operation,
    security: [{ bearerAuth: [] }],
    response: {
      ...operation.response,
      ...errorResponses([...always, ...codes], invalidField({ ...input, querystring }))
    }
  }
}

/** A request that the operation refuses, and how it names what is wrong with it (plugins/validation.ts). */
function invalidField({ params, body, querystring }: Input & { querystring: TObject }): {
  field: string
  message: string
} {
  const unexpected = ({ properties, description }: TObject): string => {
    const names = Object.keys(properties)
    return `unexpected property: ${names.length === 0 ? (description ?? '') : `expected are ${names.join(', ')}`}`
  }
  // A body of several content types has no properties.
  const fields = body?.properties === undefined ? undefined : body
  if (fields?.properties.dryRun !== undefined) return { field: 'body.dryrun', message: unexpected(fields) }
  const [[name, id] = ['', undefined]] = Object.entries<TSchema | undefined>(params?.properties ?? {})
  if (id !== undefined)
    return {
      field: `params.${name}`,
      message: `expected: ${id.description}, such as ${String((id.examples as unknown[])[0])}`
    }
  if (fields !== undefined) return { field: 'body.types', message: unexpected(fields) }
  return { field: 'querystring.page', message: unexpected(querystring) }
}

const uuidPattern = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

/** An id in a path. */
export const id = (what: string, example: string) =>
  Type.String({
    format: 'uuid',
    pattern: uuidPattern,
    description: `Id of the ${what}`,
    examples: [example]
  })

export const BackupParams = Type.Object({ backupId: id('backup', '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54') })
export const RestoreParams = Type.Object({ restoreId: id('restore', '3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83') })
export const JobParams = Type.Object({ jobId: id('job', 'c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52') })

/** Headers of an operation that runs as a job. No optional parameter has an example: Swagger UI would send it. */
export const PreferHeader = Type.Object({
  prefer: Type.Optional(
    Type.String({
      description: '`respond-async` answers 202 with the job at once instead of waiting for its end (RFC 7240)'
    })
  )
})
