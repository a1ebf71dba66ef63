import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError, type ErrorCode } from '../src/errors.js'
import type { ErrorResponse } from '../routes/schemas/error.js'
import { statusOf } from './error-status.js'
import { isDraining } from './unread-body.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Answers an address, or a method of one, that there is no route for. Fastify's own answer has another shape. */
    refuseUnknownRoute: (request: FastifyRequest, reply: FastifyReply) => never
  }
}

/** Errors that Fastify and its plugins raise themselves, by their status. */
const codeOfStatus: Record<number, ErrorCode> = {
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'RATE_LIMITED'
}

/** Answers with the shape that every error of the API has, and logs what is not the caller's fault. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const shown = toAppError(error)
  const statusCode = statusOf[shown.code]
  if (statusCode >= 500) request.log.error({ err: error }, shown.message)
  else request.log.info({ code: shown.code }, shown.message)

  reply.header('x-request-id', request.id)
  if (statusCode === 401) reply.header('www-authenticate', 'Bearer')
  if (statusCode === 503) reply.header('retry-after', '5')
  // Without the route's own serializer and headers: the answer is no longer what the route promised. Fastify closes the
  // connection on a body that it refuses, which plugins/unread-body.ts makes needless.
  for (const header of ['content-length', 'content-disposition', 'etag', 'repr-digest', 'connection'])
    reply.removeHeader(header)
  void reply
    .code(statusCode)
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(responseOf(shown, statusCode))
}

/** Answers what is no HTTP request, in the shape of every other error. */
export function refuseBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || isDraining(socket)) {
    socket.destroy()
    return
  }
  const statusCode = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }[error.code ?? ''] ?? 400
  const body = `${JSON.stringify(responseOf(new AppError('BAD_REQUEST', 'not-http', 'This is no HTTP request that can be read.'), statusCode))}\n`
  socket.end(
    [
      `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body
    ].join('\r\n')
  )
}

function responseOf({ code, reason, message, remedy, errors }: AppError, statusCode: number): ErrorResponse {
  return {
    statusCode,
    error: STATUS_CODES[statusCode] ?? 'Error',
    code,
    reason,
    message,
    remedy,
    ...(errors === undefined ? {} : { errors: [...errors] })
  }
}

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const { statusCode = 500, validation, validationContext, message } = error as Partial<FastifyError>
  if (validation !== undefined) {
    return new AppError('VALIDATION_FAILED', 'request-schema', 'The request is not valid.', {
      errors: validation.map(({ instancePath, message }) => ({
        field: [validationContext, ...instancePath.split('/').slice(1)].join('.'),
        reason: 'field-invalid',
        message: message ?? 'is not valid'
      }))
    })
  }
  if (statusCode < 400 || statusCode >= 500) {
    return new AppError('INTERNAL_ERROR', 'unexpected', 'Something unexpected happened.', { cause: error })
  }
  return new AppError(
    codeOfStatus[statusCode] ?? 'BAD_REQUEST',
    'refused-by-framework',
    message ?? 'The request is not valid.'
  )
}

async function errorHandlerPlugin(app: FastifyInstance): Promise<void> {
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url }) => {
    routes.push({ methods: [method].flat(), pattern: patternOf(url) })
  })
  app.decorate('refuseUnknownRoute', (request, reply) => {
    const path = request.url.split('?')[0] as string
    const allowed = new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))
    if (allowed.size === 0) throw new AppError('NOT_FOUND', 'no-such-address', `There is no ${path}.`)
    reply.header('allow', [...allowed].sort().join(', '))
    throw new AppError('METHOD_NOT_ALLOWED', 'no-such-method', `There is no ${request.method} ${path}.`)
  })
  // Node's own answer to an Expect header that it does not know is no answer of ours; it may be ignored (RFC 9110,
  // section 10.1.1).
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response)
  })
  app.setErrorHandler(sendError)
  app.setNotFoundHandler(app.refuseUnknownRoute)
}

interface Route {
  methods: string[]
  pattern: RegExp
}

/** The addresses that a route's pattern, such as `/:backupId/download`, stands for. */
function patternOf(url: string): RegExp {
  const parts = url
    .split('/')
    .map(part => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replace('*', '.*')))
  return new RegExp(`^${parts.join('/')}$`)
}

export default fp(errorHandlerPlugin, { name: 'error-handler' })
