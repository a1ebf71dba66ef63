import { Type, type Static, type TUnsafe } from '@sinclair/typebox'

export const ErrorResponse = Type.Object({
  statusCode: Type.Integer({ description: 'The HTTP status' }),
  error: Type.String({ description: 'The phrase of the HTTP status' }),
  code: Type.String({ description: 'What went wrong, for programs: it stays the same between releases' }),
  message: Type.String({ description: 'What went wrong, for people' }),
  remedy: Type.Optional(Type.String({ description: 'What can be done about it' })),
  errors: Type.Optional(Type.Array(Type.Object({
    field: Type.Optional(Type.String({ description: 'Where it is, such as body.dryRun' })),
    message: Type.String()
  }), { description: 'One item for each thing that is wrong, when there can be several' }))
}, { $id: 'ErrorResponse' })
export type ErrorResponse = Static<typeof ErrorResponse>

const meanings = {
  400: 'The request is not valid: `errors` names each field.',
  401: 'There is no access token, or it is not valid.',
  403: 'The user is no OWNER of the organization.',
  404: 'Your organization has no such thing.',
  409: 'It can\'t be done now: another job is running, or the data stand in the way.',
  413: 'The body is too large.',
  415: 'The body is of a media type that this operation does not take.',
  416: 'The range is not within the archive.',
  422: 'The archive is damaged, or of a kind that can\'t be restored here.',
  429: 'Too many requests: wait as long as Retry-After says.',
  500: 'Something failed that the caller can\'t help.',
  503: 'The database, a folder or a tool that this needs is not available: `remedy` says what to do.',
  507: 'There is not enough disk space.'
} as const

type Status = keyof typeof meanings
type ErrorResponses<S extends Status> = Record<S, TUnsafe<ErrorResponse>>

/** The error responses of an operation. Only their documentation: the error handler writes them itself. */
export function errorResponses<const S extends Status> (...statuses: S[]): ErrorResponses<S> {
  const reference = (status: Status) => Type.Unsafe<ErrorResponse>({ $ref: 'ErrorResponse#', description: meanings[status] })
  return Object.fromEntries(statuses.map(status => [status, reference(status)])) as ErrorResponses<S>
}
