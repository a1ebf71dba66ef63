import jwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from '../src/errors.js'
import { isOrganizationId } from '../src/io/safe-path.js'

/** Who asks. There is one on every request under /api/backup, and it is an OWNER's. */
export interface Identity {
  organizationId: string
  userId: string
  email: string | null
}

declare module 'fastify' {
  interface FastifyInstance {
    /** onRequest hook: lets an OWNER of an organization pass. */
    requireOwner: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
  interface FastifyRequest {
    identity: Identity
  }
}

type Algorithm = 'HS256' | 'RS256' | 'ES256'

async function authPlugin(app: FastifyInstance): Promise<void> {
  const { jwtSecret, jwtPublicKey } = app.config

  // Each algorithm has its own key, so that no token can choose one: a public key never verifies HS256.
  const keys: Array<{ algorithm: Algorithm; secret: string | { public: string } }> = []
  if (jwtSecret !== null) keys.push({ algorithm: 'HS256', secret: jwtSecret })
  if (jwtPublicKey !== null) keys.push({ algorithm: jwtPublicKey.algorithm, secret: { public: jwtPublicKey.pem } })
  for (const { algorithm, secret } of keys) {
    await app.register(jwt, { namespace: algorithm, secret, verify: { algorithms: [algorithm] } })
  }
  const verifiers = app.jwt as unknown as Partial<Record<string, JWT>>

  function verify(request: FastifyRequest): Record<string, unknown> {
    const { authorization } = request.headers
    const [, token] = /^Bearer +([^ ]+)$/i.exec(authorization ?? '') ?? []
    if (authorization === undefined) throw new AppError('UNAUTHORIZED', 'no-token', 'The request has no access token.')
    if (token === undefined)
      throw new AppError(
        'UNAUTHORIZED',
        'not-bearer',
        'The Authorization header is not the word Bearer, a space, and an access token.'
      )
    try {
      const [first] = keys
      const decoded = verifiers[first?.algorithm ?? '']?.decode<{ header: { alg: string } }>(token, { complete: true })
      const verifier = keys.find(({ algorithm }) => algorithm === decoded?.header.alg)
      const claims = verifiers[verifier?.algorithm ?? '']?.verify<Record<string, unknown>>(token)
      if (typeof claims === 'object') return claims
    } catch (error) {
      if ((error as { code?: string }).code === 'FAST_JWT_EXPIRED')
        throw new AppError('UNAUTHORIZED', 'token-expired', 'The access token has expired.', { cause: error })
      throw new AppError('UNAUTHORIZED', 'token-invalid', 'The access token is not valid.', { cause: error })
    }
    throw new AppError(
      'UNAUTHORIZED',
      'token-algorithm',
      'The access token is not signed in a way that is accepted here.'
    )
  }

  app.decorateRequest('identity')
  app.decorate('requireOwner', async (request, reply) => {
    let claims: Record<string, unknown>
    try {
      claims = verify(request)
    } catch (error) {
      await app.limitByAddress(request, reply)
      throw error
    }
    request.identity = identify(claims)
  })
}

/** @throws AppError UNAUTHORIZED, FORBIDDEN, ORGANIZATION_ID_INVALID */
function identify({ type, sub, userId, email, organizationId, role }: Record<string, unknown>): Identity {
  if (type !== undefined && type !== 'access')
    throw new AppError('UNAUTHORIZED', 'not-an-access-token', 'This is no access token.')
  const id = sub ?? userId ?? email
  if ((typeof id !== 'string' && typeof id !== 'number') || id === '')
    throw new AppError('UNAUTHORIZED', 'token-without-user', 'The access token names no user.')
  if (organizationId === undefined || organizationId === null || organizationId === '') {
    throw new AppError('FORBIDDEN', 'token-without-organization', 'The access token names no organization.', {
      remedy: 'Sign in to an organization, then try again.'
    })
  }
  // A whole number is the id of an application that counts them. One beyond 2^53 was another before JSON was read.
  const organization = Number.isSafeInteger(organizationId) ? String(organizationId) : organizationId
  if (typeof organization !== 'string' || !isOrganizationId(organization)) {
    throw new AppError(
      'ORGANIZATION_ID_INVALID',
      'token-organization-id',
      'The organization id in the access token is not valid: it must be text, or a whole number up to 9007199254740991.'
    )
  }
  if (role !== 'OWNER')
    throw new AppError('FORBIDDEN', 'not-owner', 'Only an OWNER of the organization can work with its backups.')
  return {
    organizationId: organization,
    userId: String(id),
    email: typeof email === 'string' && email !== '' ? email : null
  }
}

export default fp(authPlugin, { name: 'auth', dependencies: ['config', 'rate-limit'] })
