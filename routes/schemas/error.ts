import { STATUS_CODES } from 'node:http'
import { Type, type Static, type TUnsafe } from '@sinclair/typebox'
import { statusOf } from '../../plugins/error-status.js'
import { errorCatalogue, type ErrorCode as Code } from '../../src/errors.js'
import { errorExamples, type ExampleCode } from './error-examples.js'

/** Every code that an error of the API can have. */
export const ErrorCode = Type.Unsafe<Code>({
  $id: 'ErrorCode',
  type: 'string',
  enum: Object.keys(errorCatalogue),
  description: 'What went wrong, for programs: a code stays the same between releases, and new ones come'
})

const Reason = Type.String({
  description:
    'Which case of the code it is, for programs, such as overlapping-entries: it stays when the message is reworded, and new ones come'
})

const details = {
  code: ErrorCode,
  reason: Reason,
  message: Type.String({ description: 'What went wrong, for people' }),
  remedy: Type.Optional(Type.String({ description: 'What can be done about it' })),
  errors: Type.Optional(
    Type.Array(
      Type.Object({
        field: Type.Optional(Type.String({ description: 'Where it is, such as body.dryRun' })),
        reason: Reason,
        message: Type.String()
      }),
      { description: 'One item for each thing that is wrong, when there can be several' }
    )
  )
}

export const ErrorResponse = Type.Object(
  {
    statusCode: Type.Integer({ description: 'The HTTP status' }),
    error: Type.String({ description: 'The phrase of the HTTP status' }),
    ...details
  },
  { $id: 'ErrorResponse' }
)
export type ErrorResponse = Static<typeof ErrorResponse>

/** Why a job failed, as its operation would have answered it. */
export const JobError = Type.Object(details, { $id: 'JobError', additionalProperties: false })

const meanings: Record<number, string> = {
  400: 'The request is not valid: `errors` names each field.',
  401: 'There is no access token, or it is not valid.',
  403: 'The user is no OWNER of the organization.',
  404: 'Your organization has no such thing.',
  409: "It can't be done now: another job is running, or the data stand in the way.",
  413: 'The body is too large, or what is to be backed up.',
  415: 'The body is of a media type that this operation does not take.',
  416: 'The range is not within the archive.',
  422: "The archive is damaged, or of a kind that can't be restored here.",
  429: 'Too many requests: wait as long as Retry-After says.',
  500: "Something failed that the caller can't help.",
  503: 'The database, a folder or a tool that this needs is not available: `remedy` says what to do.',
  507: 'There is not enough disk space.'
}

const headersOf: Record<number, Record<string, string>> = {
  401: { 'www-authenticate': '`Bearer`' },
  416: { 'content-range': 'How many bytes the archive has' },
  429: { 'retry-after': 'After how many seconds to try again' },
  503: { 'retry-after': 'After how many seconds to try again' }
}

/**
 * The error responses of an operation that can fail with these codes, each with an example of every code. Only their
 * documentation: the error handler writes them itself.
 * @param invalid what is wrong in the example of VALIDATION_FAILED
 */
export function errorResponses(codes: readonly ExampleCode[], invalid?: { field: string; message: string }): object {
  const statuses = [...new Set<number>(codes.map(code => statusOf[code]))]
  return Object.fromEntries(
    statuses.map(status => [
      status,
      {
        description: meanings[status],
        ...(headersOf[status] === undefined ? {} : { headers: headers(headersOf[status]).headers }),
        content: {
          'application/json': {
            schema: { $ref: 'ErrorResponse#' },
            examples: Object.fromEntries(
              codes
                .filter(code => statusOf[code] === status)
                .map(code => [code, { value: exampleOf(code, status, invalid) }])
            )
          }
        }
      }
    ])
  )
}

/** Response headers, as a part of a response's schema. */
export function headers(described: Record<string, string>): { headers: Record<string, TUnsafe<string>> } {
  return {
    headers: Object.fromEntries(
      Object.entries(described).map(([name, description]) => [
        name,
        Type.Unsafe<string>({ type: 'string', description })
      ])
    )
  }
}

function exampleOf(code: ExampleCode, statusCode: number, invalid?: { field: string; message: string }): ErrorResponse {
  const errors =
    code === 'VALIDATION_FAILED'
      ? [{ reason: 'field-invalid', ...(invalid ?? { message: 'is not valid' }) }]
      : undefined
  return {
    statusCode,
    error: STATUS_CODES[statusCode] ?? 'Error',
    code,
    remedy: errorCatalogue[code],
    ...errorExamples[code],
    ...(errors === undefined ? {} : { errors })
  }
}
