import { parseArgs } from 'node:util'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import { loadConfig } from '../src/config.js'
import { AppError } from '../src/errors.js'
import { isOrganizationId } from '../src/io/safe-path.js'

const usage = `Usage: npm run --silent token -- --organization ID [options]

Prints an access token for development, signed with JWT_SECRET (or the secret in JWT_SECRET_FILE).

  --organization ID   organization id (required)
  --role ROLE         OWNER, MANAGER, MEMBER or VIEWER (default OWNER)
  --user ID           user id (default dev-user)
  --email ADDRESS     e-mail of the user
  --expires DURATION  how long it is valid, such as 30m or 12h (default 12h)
  --help              this text
`
const roles = ['OWNER', 'MANAGER', 'MEMBER', 'VIEWER']

try {
  const { values } = parseArgs({
    options: {
      organization: { type: 'string' },
      role: { type: 'string', default: 'OWNER' },
      user: { type: 'string', default: 'dev-user' },
      email: { type: 'string' },
      expires: { type: 'string', default: '12h' },
      help: { type: 'boolean', default: false }
    }
  })
  console.log(values.help ? usage.trimEnd() : await sign(values))
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${error instanceof AppError ? '' : `\n${usage}`}`)
  process.exitCode = 1
}

async function sign(asked: {
  organization?: string
  role: string
  user: string
  email?: string
  expires: string
}): Promise<string> {
  const { organization, role, user, email, expires } = asked
  if (organization === undefined || !isOrganizationId(organization))
    throw new TypeError('--organization must be an organization id: 1 to 64 letters, digits, "_" or "-".')
  if (!roles.includes(role)) throw new TypeError(`--role must be one of ${roles.join(', ')}.`)
  if (!/^[1-9]\d*(s|m|h|d)$/.test(expires)) throw new TypeError('--expires must be a duration such as 30m or 12h.')
  const { jwtSecret } = loadConfig(process.env)
  if (jwtSecret === null) throw new TypeError('Tokens are signed with JWT_SECRET, and it is not set.')

  const app = Fastify()
  await app.register(jwt, { secret: jwtSecret, sign: { algorithm: 'HS256', expiresIn: expires } })
  await app.ready()
  return app.jwt.sign({
    type: 'access',
    sub: user,
    ...(email === undefined ? {} : { email }),
    organizationId: organization,
    role
  })
}
