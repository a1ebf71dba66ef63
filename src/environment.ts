import { Type, type TSchema } from '@sinclair/typebox'

/** How a variable is shown and refused, beside what TypeBox checks. */
export interface Variable extends TSchema {
  description: string
  /** Ends the sentence "NAME must be …". */
  expects: string
  /** May also come from the file that NAME_FILE names; its value is never shown. */
  secret?: boolean
}

/** `30m`, `24h`, `7d`, or 0. */
export const durationPattern = '^(?:0|([1-9][0-9]{0,8})(ms|s|m|h|d))$'

const oneOf = <const T extends string[]>(...values: T) =>
  Type.Union(values.map(value => Type.Literal(value as T[number])))

function choice<const T extends string[]>(values: T, fallback: T[number], description: string) {
  return Type.Unsafe<T[number]>({
    ...oneOf(...values),
    default: fallback,
    description: `${description}: ${values.join(', ')}`,
    expects: `one of ${values.join(', ')}`
  })
}

const text = (description: string, expects = 'text') => Type.Optional(Type.String({ description, expects }))
const folder = (fallback: string, description: string) =>
  Type.String({ default: fallback, description, expects: 'a folder' })

/** Every environment variable that the service reads. */
export const Environment = Type.Object({
  HOST: Type.String({
    default: '127.0.0.1',
    description: 'Address to listen on; 0.0.0.0 for every one, as a container needs',
    expects: 'an address'
  }),
  PORT: Type.Integer({
    default: 3000,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on',
    expects: 'a port number from 0 to 65535'
  }),
  PUBLIC_URL: text(
    'Where clients reach the service, such as https://example.org/backups behind a reverse proxy (default: the address that they ask)',
    'an http or https URL without a user, a query or a fragment'
  ),
  TRUST_PROXY: text(
    "Reverse proxies whose X-Forwarded-For tells the client's address: their addresses, subnets or loopback, separated by commas, or how many there are (default: none)",
    'addresses or subnets separated by commas, loopback, linklocal, uniquelocal, a number of proxies, true or false'
  ),
  LOG_LEVEL: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info', 'What is logged'),
  RATE_LIMIT: Type.Integer({
    default: 300,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Requests a minute for each user, or address without a token',
    expects: 'a whole number from 1 to 1000000'
  }),
  MAX_JOBS: Type.Integer({
    default: 2,
    minimum: 1,
    maximum: 100,
    description: 'Backups and restores that run at the same time; more wait in line',
    expects: 'a whole number from 1 to 100'
  }),
  JWT_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      secret: true,
      description: 'Secret that HS256 tokens are signed with; needed unless JWT_PUBLIC_KEY is set',
      expects: 'at least 32 characters long'
    })
  ),
  JWT_PUBLIC_KEY: Type.Optional(
    Type.String({
      secret: true,
      description: 'Public key in PEM that verifies RS256 or ES256 tokens',
      expects: 'a public key in PEM'
    })
  ),
  BACKUP_SIGNING_KEY: Type.Optional(
    Type.String({
      minLength: 32,
      secret: true,
      description:
        'Secret that archives are signed with (default: made from JWT_SECRET); needed with JWT_PUBLIC_KEY alone',
      expects: 'at least 32 characters long'
    })
  ),
  BACKUP_SIGNING_KEY_PREVIOUS: Type.Optional(
    Type.String({
      minLength: 32,
      secret: true,
      description: 'Former keys whose archives stay trusted, or former values of JWT_SECRET, one a line',
      expects: 'keys of at least 32 characters, one a line'
    })
  ),
  ACCEPT_UNSIGNED_ARCHIVES: Type.Boolean({
    default: false,
    description: 'Take and restore archives too that this installation has not signed',
    expects: 'true or false'
  }),
  UPLOAD_DIR: folder('./data/uploads', 'Folder of the uploaded files, one folder an organization'),
  BACKUP_DIR: Type.Optional(
    Type.String({
      description:
        'Folder of the backups (default {UPLOAD_DIR}/backups; better on another disk: a loss of that folder would take the backups too)',
      expects: 'a folder'
    })
  ),
  DATABASE_URL: Type.Optional(
    Type.String({ secret: true, description: 'URL of an external PostgreSQL database', expects: 'a URL' })
  ),
  USE_EMBEDDED_DB: Type.Optional(
    Type.Boolean({
      description: 'Run an embedded PostgreSQL (default true unless DATABASE_URL is set)',
      expects: 'true or false'
    })
  ),
  EMBEDDED_DB_DIR: folder('./data/postgres', 'Data folder of the embedded PostgreSQL'),
  PG_BIN_DIR: text("Folder of pg_dump and psql (default: found by the server's version)", 'a folder'),
  FILE_STORAGE_TYPE: choice(['local', 'smb'], 'local', 'Where the uploaded files are'),
  SMB_HOST: text('SMB server, for FILE_STORAGE_TYPE=smb'),
  SMB_SHARE: text('SMB share'),
  SMB_USERNAME: text('SMB user'),
  SMB_PASSWORD: Type.Optional(
    Type.String({
      secret: true,
      description: "SMB password; accepted for the main application's sake, never used or stored",
      expects: 'text'
    })
  ),
  SMB_DOMAIN: text('SMB domain'),
  DATABASE_SCOPE: choice(['auto', 'instance', 'organization'], 'auto', 'What a backup holds of the database'),
  TENANT_TABLE: Type.String({
    default: 'organizations',
    description: 'Table with one row an organization',
    expects: 'a table name'
  }),
  TENANCY_FILE: text("File that declares tables the foreign keys can't classify", 'a file'),
  CHECKPOINT_RETENTION: Type.Optional(
    Type.String({
      default: '24h',
      pattern: durationPattern,
      description: 'How long the newest restore can be undone, such as 30m, 24h or 7d; 0 keeps no checkpoint',
      expects: 'a duration such as 30m, 24h or 7d, or 0'
    })
  ),
  UPLOAD_MAX_BYTES: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Largest archive that can be uploaded, in bytes (default: what the disk takes)',
      expects: 'a whole number of bytes'
    })
  ),
  LOAD_TIMEOUT: Type.Optional(
    Type.String({
      pattern: '^[1-9][0-9]{0,8}(ms|s|m|h|d)$',
      description:
        'How long loading a dump may take, such as 30m or 24h (default: 15 minutes, and 10 s for each MB of it)',
      expects: 'a duration such as 30m or 24h'
    })
  ),
  COMPRESSION: choice(['fast', 'balanced', 'small'], 'fast', 'How hard archives are compressed')
})
